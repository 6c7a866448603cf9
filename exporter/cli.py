"""Turns the command line into calls of the library: the only place that exits and that catches our errors.

stdout carries the result, stderr the progress and the errors, a line each.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import click

from mbexport import __version__
from mbexport.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_INTERRUPTED, MbexportError

_COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "build": "train, quantize, export and verify a MobileNet v1",
        "verify": "compare .tflite and .onnx files on labelled images",
        "bench": "time artifacts, interleaved",
        "inspect": "tensors, quantization and kernels of an artifact",
        "cost": "mult-adds and parameters, without building anything",
        "doctor": "what is installed, what would fail",
    }
)


class _LazyGroup(click.Group):
    """Imports a subcommand when it runs; the list of commands needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"mbexport.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(
    cls=_LazyGroup,
    context_settings={
        "auto_envvar_prefix": "MBEXPORT",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
    epilog="Example: mbexport build --alpha 0.75 --int8",
)
@click.version_option(__version__, prog_name="mbexport")
def group() -> None:
    """From a Keras MobileNet to verified int8 TFLite and ONNX, in one command.

    Exit codes: 0 done, 1 a gate failed, 2 bad input, 3 a stage failed, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and gives its exit code; expected errors become one line on stderr."""
    try:
        result: Any = group.main(args=arguments, prog_name="mbexport", standalone_mode=False)
        sys.stdout.flush()
    except MbexportError as error:
        return _fail(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return EXIT_BAD_INPUT
    except click.ClickException as error:
        return _fail(error.format_message(), EXIT_BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted; finished stages are kept and will be reused", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough of it; what is left in the buffer must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    return result if isinstance(result, int) else EXIT_DONE


def _fail(message: str, code: int) -> int:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    return code
