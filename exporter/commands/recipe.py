"""Record the options of a command in a manifest, restore them from one, and write them as words again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from mbexport.commands.config import require_type
from mbexport.commands.options import Option
from mbexport.errors import DataError
from mbexport.models.resolution import Resolution

if TYPE_CHECKING:
    from mbexport.pipeline.plan import BuildPlan
    from mbexport.provenance.manifest import Recipe

# Options, their default for digits in manifests of version 0.1, and the option that takes its place.
_EARLIER_DIGITS: Final = (("resolution", 64, "rho"), ("epochs", 16, "weights"), ("qat-epochs", 2, "qat-steps"))


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


def with_recipe(plan: "BuildPlan", recipe: "Recipe") -> "BuildPlan":
    """The plan with the recipe that it was made from, in which the defaults that depend on the data have their values.

    Such a default may be another one in a later version; what a manifest asks for must stay the same.
    """
    from mbexport.pipeline.plan import Trained

    origin, options = plan.origin, recipe.options
    if isinstance(origin, Trained):
        taken: dict[str, Any] = {"epochs": origin.epochs}
        if options["rho"] is None:
            taken["resolution"] = origin.spec.resolution.json
        if options["qat-steps"] is None:
            taken["qat-epochs"] = plan.qat_epochs
        if origin.anchors is not None:
            chosen = origin.anchors.chosen
            taken |= {"feature-stride": str(chosen.spec.feature_stride), "anchors": chosen.table_name}
        recipe = replace(recipe, options=_filled(options, taken))
    return replace(plan, recipe=recipe)


def with_earlier_defaults(recipe: "Recipe") -> Mapping[str, Any]:
    """The recipe's options; the defaults for digits that manifests did not record before they had their values."""
    options = recipe.options
    if recipe.command != "build" or options.get("data") != "digits":
        return options
    taken = {
        name: value
        for name, value, instead in _EARLIER_DIGITS
        if options.get(instead) is None or options[instead] == "none"
    }
    return _filled(options, taken)


def _filled(options: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values.get(name) if value is None else value for name, value in options.items()}


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
            if known[name].multiple and not isinstance(value, list):
                raise DataError(f"{source}: {name} must be a list, got {value!r}")
            defaults[str(known[name].name)] = value
    return command.make_context(str(command.name), [], default_map=defaults)


def given_words(
    context: click.Context, parameters: Iterable[Option], instead: Mapping[str, Any] = MappingProxyType({})
) -> list[str]:
    """The words of a command line for those options that were given, with other values where `instead` names them."""
    words = []
    for each in parameters:
        name = str(each.name)
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            words += words_of(each, instead.get(name, context.params[name]))
    return words


def words_of(parameter: Option, value: Any) -> list[str]:
    """The words of a command line that give an option this value; none for what only its absence gives."""
    name = f"--{parameter.long_name}"
    if parameter.is_flag:
        chosen = parameter.opts if value else parameter.secondary_opts
        return [max(chosen, key=len)] if chosen else []
    values = value if parameter.multiple else [value]
    return [f"{name}={text_of(each)}" for each in values if each is not None]


def text_of(value: Any) -> str:
    """A value as it is typed."""
    return str(_plain(value))


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Resolution):
        return value.json
    return str(value) if isinstance(value, Path) else value
