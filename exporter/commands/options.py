"""Turns the options that several subcommands share into decorators and checked values."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from mbexport.errors import OptionError
from mbexport.models.spec import REFERENCE_RESOLUTION_PX, resolution_from_rho

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
PATH: Final = click.Path(path_type=Path)

alpha: Final = click.option("--alpha", type=float, default=1.0, metavar="A", help="Width multiplier, in (0, 1].")
resolution: Final = click.option(
    "--resolution", type=int, metavar="PX", help="Input side, a multiple of 32 from 32 to 1024."
)
rho: Final = click.option(
    "--rho", type=float, metavar="R", help=f"Resolution multiplier: resolution / {REFERENCE_RESOLUTION_PX}."
)
as_json: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
classes_file: Final = click.option(
    "--classes",
    "classes_file",
    type=PATH,
    metavar="FILE",
    help="Class order: a folder name and its label a line.",
)
gates: Final = click.option(
    "--gate", "gates", multiple=True, metavar="NAME=VALUE", help="Set a gate's limit; may be repeated."
)
seed: Final = click.option("--seed", type=int, default=0, metavar="N", help="Decides every random choice.")
threads: Final = click.option("--threads", type=int, default=1, metavar="N", help="Threads of one inference.")


def _load_config(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    """Makes the file's values the defaults: a flag and the environment both beat them."""
    if value is None:
        return
    try:
        settings = tomllib.loads(value.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(f"the config file {value} cannot be read: {error}") from None
    # One file may serve several commands: a table named as the command, or the options themselves.
    settings = settings.get(context.command.name or "", settings)
    long_names = {
        option.removeprefix("--"): known
        for known in context.command.params
        for option in known.opts
        if option.startswith("--") and known.name != parameter.name
    }
    defaults: dict[str, Any] = {}
    for name, given in settings.items():
        known = long_names.get(name.replace("_", "-"))
        if known is None or known.name is None:
            raise OptionError(f"{value} must hold options of {context.command.name}, got {name}")
        if known.name == "gates" and isinstance(given, dict):
            defaults[known.name] = [f"{gate}={limit}" for gate, limit in given.items()]
        else:
            defaults[known.name] = given
    context.default_map = {**(context.default_map or {}), **defaults}


config: Final = click.option(
    "--config",
    type=PATH,
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_load_config,
    help="TOML file with the same names; flag beats environment beats file.",
)


def resolution_px(resolution: int | None, rho: float | None, *, default_px: int) -> int:
    """The resolution that --resolution or --rho says. Raises `OptionError` if both speak."""
    if resolution is not None and rho is not None:
        raise OptionError(f"give --resolution or --rho, not both, got {resolution} and {rho:g}")
    if rho is not None:
        return resolution_from_rho(rho)
    return default_px if resolution is None else resolution


def gate_limits(gates: tuple[str, ...]) -> dict[str, float]:
    """The limits that --gate NAME=VALUE sets. Raises `OptionError` for another form."""
    limits: dict[str, float] = {}
    for text in gates:
        name, _, value = text.partition("=")
        try:
            limits[name.strip()] = float(value)
        except ValueError:
            raise OptionError(f"a gate must be NAME=VALUE with a number, got {text}") from None
    return limits
