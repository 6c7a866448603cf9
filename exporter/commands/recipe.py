"""Record the options of a command in a manifest, and restore them from one."""

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mbexport.commands.config import require_type
from mbexport.commands.options import Option
from mbexport.errors import DataError

if TYPE_CHECKING:
    from mbexport.provenance.manifest import Recipe


def recorded(command: click.Command) -> Iterator[Option]:
    """The options of `command` that can change a byte of what it makes."""
    return (each for each in command.params if isinstance(each, Option) and each.is_recorded)


def recipe_of(context: click.Context) -> "Recipe":
    """The values of all recorded options, whether a flag, the environment, a file or a default gave them."""
    from mbexport.provenance.manifest import Recipe

    options = {each.long_name: _plain(context.params[str(each.name)]) for each in recorded(context.command)}
    return Recipe(
        command=str(context.command.name),
        options=options,
        inputs=tuple(
            each.long_name
            for each in recorded(context.command)
            if each.is_input and options[each.long_name] is not None
        ),
    )


def context_of(command: click.Command, options: Mapping[str, Any], *, source: Path) -> click.Context:
    """The context of `command` with the `options` recorded in `source`; neither environment nor --config is read.

    Raises `DataError` for an option that this version does not have, `OptionError` or click's own error for a wrong
    value.
    """
    known = {each.long_name: each for each in recorded(command)}
    defaults = {}
    for name, value in options.items():
        if name not in known:
            raise DataError(f"{source} must hold options of {command.name}, got {name}: another version made it")
        if value is not None:
            require_type(known[name], value, where=f"{source}: {name}")
            defaults[str(known[name].name)] = value
    return command.make_context(str(command.name), [], default_map=defaults)


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
