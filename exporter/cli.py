"""The command line: it calls the commands, and is the only place that exits and that catches our errors.

stdout carries the result, stderr the progress and the errors, a line each.
"""

import errno
import importlib
import os
import re
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import click

from mbexport import __version__
from mbexport.errors import (
    EXIT_BAD_INPUT,
    EXIT_DONE,
    EXIT_SIGNALLED,
    EXIT_STAGE_FAILED,
    MbexportError,
    did_you_mean,
)
from mbexport.escaping.terminal import visible, visible_lines
from mbexport.progress import last_signal, remember_interrupts, was_interrupted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "build": "train, quantize, export and verify a MobileNet",
        "sweep": "build a family of MobileNets, and choose among them by what was measured",
        "export": "quantize, export and verify a network that is already trained",
        "verify": "compare artifacts on labelled images",
        "predict": "show the likeliest classes of images",
        "bench": "time artifacts side by side",
        "bundle": "make app bundles again, or check every byte of a folder",
        "demo": "show the demo page of a web bundle in a browser",
        "inspect": "show tensors, quantization and kernels of an artifact",
        "rebuild": "make the files of an earlier run again and compare every byte",
        "cache": "list or prune what runs share between output folders",
        "cost": "show mult-adds and parameters of a MobileNet",
        "doctor": "show what is installed, and what would fail",
    }
)

_KEEP_STAGES: Final = frozenset({"build", "export", "sweep"})  # commands that go on where an earlier run was stopped
_SIGNALLED: Final[Mapping[int, str]] = MappingProxyType({signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"})
_LONGEST_ERROR: Final = 4000  # characters: a name in it may have any number
_BREAKS: Final = re.compile(r"[ \t\r\n]+")  # libraries break their messages into lines
_OUTPUT_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
_COMPLETE: Final = (
    "_MBEXPORT_COMPLETE"  # what a shell sets to <shell>_source or <shell>_complete, by click's convention
)


class _LazyGroup(click.Group):
    """A group that imports a command when it runs; neither the list of commands nor completion needs any of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"mbexport.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that `args` begin with. Raises `UsageError` for an unknown one, and suggests another."""
        if args[0] not in _COMMANDS and not ctx.resilient_parsing:
            suggestion = did_you_mean(args[0], _COMMANDS) or "`mbexport --help` lists them"
            raise click.UsageError(f"no such command: {args[0]}; {suggestion}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        commands = [CompletionItem(name, help=text) for name, text in _COMMANDS.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


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
@click.version_option(__version__, prog_name="mbexport", allow_from_autoenv=False)
def group() -> None:
    """From a Keras MobileNet to verified int8 TFLite and ONNX, in one command.

    Every option can be set by an environment variable, MBEXPORT_<COMMAND>_<OPTION>. `mbexport <command> --help` lists
    the options.

    Exit codes: 0 done, 1 a gate failed, 2 bad input, 3 a stage failed, 129, 130 or 143 stopped by
    a signal.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    remember_interrupts()
    code = run(arguments)
    if code > EXIT_SIGNALLED:
        # An interrupt that passed through an exec() of a string (dataclasses, named tuples) makes CPython end itself
        # with the signal at exit, handled or not: the shell would not see our code.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; expected errors become one line on stderr."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return _invoke(words)
    except (Exception, KeyboardInterrupt) as error:
        code, message = _explained(error, keeps_stages=next(iter(words), None) in _KEEP_STAGES)
    if message:
        line = visible(_BREAKS.sub(" ", message.strip()), _LONGEST_ERROR)
        with suppress(OSError):  # of a terminal that has been closed
            click.echo(f"Error: {line}", err=True)
    return code


def _invoke(arguments: Sequence[str]) -> int:
    if sys.stdout is None:  # closed by whoever started us: there is nobody to read the result
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # stays open until the end
    if instruction := os.environ.get(_COMPLETE):
        return _complete(instruction)
    try:
        # Not group.main(): it turns a broken pipe into exit code 1, which here means that a gate failed.
        with group.make_context("mbexport", list(arguments)) as context:
            result: Any = group.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return EXIT_BAD_INPUT
    return result if isinstance(result, int) else EXIT_DONE


def _complete(instruction: str) -> int:
    """Prints a shell's completion script, or what completes the words that the shell tells of."""
    from click.shell_completion import shell_complete

    return EXIT_BAD_INPUT if shell_complete(group, {}, "mbexport", _COMPLETE, instruction) else EXIT_DONE


def _no_such_option(error: click.NoSuchOption) -> str:
    """The message for an unknown option, with the option of the command that is spelled most like it.

    click compares the dashes, too, and so offers --data for --alhpa.
    """
    assert error.ctx is not None
    parameters = error.ctx.command.get_params(error.ctx)
    names = [name.lstrip("-") for each in parameters for name in (*each.opts, *each.secondary_opts)]
    suggestion = did_you_mean(error.option_name.lstrip("-"), names, prefix="--")
    return f"no such option: {error.option_name}; {suggestion or f'`{error.ctx.command_path} --help` lists them'}"


def _explained(error: BaseException, *, keeps_stages: bool) -> tuple[int, str]:
    """The exit code that an exception means, and the line to print, if any.

    With `keeps_stages` a command that was stopped may say that it goes on.
    """
    if was_interrupted():  # what an interrupt broke on its way, an import for example, is no bug
        error = KeyboardInterrupt()
    match error:
        case MbexportError():
            answer = error.exit_code, str(error)
        case click.NoSuchOption():
            answer = EXIT_BAD_INPUT, _no_such_option(error)
        case click.ClickException():
            answer = EXIT_BAD_INPUT, error.format_message()
        case click.Abort() | KeyboardInterrupt():
            word = _SIGNALLED.get(last_signal(), "interrupted")
            rest = "; finished stages are kept and will be reused" if keeps_stages else ""
            answer = EXIT_SIGNALLED + last_signal(), word + rest
        case BrokenPipeError():  # whoever read our output has enough of it
            _drop_output()
            answer = EXIT_DONE, ""
        case OSError(errno=code) if code in _OUTPUT_ERRORS:
            _drop_output()
            answer = EXIT_STAGE_FAILED, f"cannot write the result: {error.strerror}"
        case _:  # a bug keeps its traceback; exit code 1 would say that a gate failed
            click.echo(visible_lines("".join(traceback.format_exception(error)).rstrip().split("\n")), err=True)
            answer = EXIT_STAGE_FAILED, ""
    return answer


def _drop_output() -> None:
    """Leads stdout nowhere: what is left in its buffer must not raise again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
