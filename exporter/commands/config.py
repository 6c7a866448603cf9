"""Read options of a command from a TOML file (`--config`)."""

from pathlib import Path
from typing import Any, Final

import click

from mbexport.commands.network_options import RESOLUTION
from mbexport.commands.options import PATH, Group, ListType, Option, option
from mbexport.documents import parse_toml, read_document
from mbexport.errors import DataError, OptionError, did_you_mean

_MAX_BYTES: Final = 1 << 20
_NUMBER: Final = (int, float)
_SIDES: Final = (int, str)
_LISTED: Final = (int, float, str)
_KINDS: Final[dict[type | tuple[type, ...], str]] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    _NUMBER: "a number",
    _LISTED: "a number, or a text such as 0.5,1",
    _SIDES: "a whole number, or a text such as 96x128",
}


def _load_config(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    """Makes the file's values the defaults: a flag and the environment both beat them."""
    if value is None or context.resilient_parsing:  # the latter while a shell completes a word
        return
    settings = _settings(value)
    group = context.parent.command if context.parent else None
    tables = set(group.list_commands(context)) if isinstance(group, click.Group) else set()
    if any(name in tables and isinstance(table, dict) for name, table in settings.items()):
        # One file for several commands: a table for each.
        settings = settings.get(context.command.name or "", {})
        if not isinstance(settings, dict):
            raise OptionError(f"{value}: {context.command.name} must be a table of options, got {settings!r}")
    known = {each.long_name: each for each in context.command.params if isinstance(each, Option)}
    known.pop("config", None)
    defaults: dict[str, Any] = {}
    for name, given in settings.items():
        named = known.get(name.replace("_", "-"))
        if named is None or named.name is None:
            question = did_you_mean(name.replace("_", "-"), known)
            raise OptionError(
                f"{value} must hold options of {context.command.name}, got {name}"
                + (f"; {question}" if question else "")
            )
        if name == "gate" and isinstance(given, dict):
            given = [f"{gate}={limit}" for gate, limit in given.items()]  # noqa: PLW2901
        require_type(named, given, where=f"{value}: {name}")
        defaults[named.name] = given if not named.multiple or isinstance(given, list) else [given]
    context.default_map = {**(context.default_map or {}), **defaults}


def _settings(file: Path) -> dict[str, Any]:
    try:
        return parse_toml(read_document(file, limit_bytes=_MAX_BYTES))
    except (DataError, ValueError) as error:
        raise OptionError(f"the config file {file} cannot be read: {error}") from None


def require_type(known: Option, given: object, *, where: str) -> None:
    """Raises `OptionError` for a TOML value that click would quietly bend into shape: 1.5 epochs, a true alpha."""
    wanted: type | tuple[type, ...] = str
    if known.is_flag:
        wanted = bool
    elif known.type is click.INT:
        wanted = int
    elif known.type is click.FLOAT:
        wanted = _NUMBER
    elif known.type is RESOLUTION:
        wanted = _SIDES
    elif isinstance(known.type, ListType):
        wanted = _LISTED
    values = given if known.multiple and isinstance(given, list) else [given]
    for value in values:
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise OptionError(f"{where} must be {_KINDS[wanted]}, got {value!r}")


config: Final = option(
    "--config",
    group=Group.RUN,
    type=PATH,
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    is_recorded=False,
    callback=_load_config,
    help="TOML file of options, named as here. The environment beats the file, a flag beats both.",
)
