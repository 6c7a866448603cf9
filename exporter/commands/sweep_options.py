"""The options of `sweep`: those of `build`, of which some take lists, and the arguments of each point's build."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import click

from mbexport.artifact import Precision
from mbexport.commands import build, network_options, options
from mbexport.commands.options import Group, Option
from mbexport.commands.recipe import given_words, text_of
from mbexport.errors import OptionError
from mbexport.models.mobilenet_v1.spec import Convolution
from mbexport.models.resolution import Resolution
from mbexport.models.spec import resolution_from_rho

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _list_option(name: str, *names: str, group: Group, each: "click.ParamType[Any]", metavar: str, text: str) -> Any:
    return options.option(
        name, *names, group=group, type=options.ListType(each), multiple=True, metavar=metavar, help=text
    )


# Instead of the options of these names that `build` has.
_LISTS: Final = (
    _list_option(
        "--alpha",
        "alphas",
        group=Group.COMMON,
        each=click.FLOAT,
        metavar="A[,A]",
        text="Width multipliers; 1 if absent.",
    ),
    _list_option(
        "--resolution",
        "resolutions",
        group=Group.COMMON,
        each=network_options.RESOLUTION,
        metavar="PX[,PX]",
        text="Sides of the input in pixels, or heights and widths, as 96x128.",
    ),
    _list_option(
        "--rho",
        "rhos",
        group=Group.NETWORK,
        each=click.FLOAT,
        metavar="R[,R]",
        text="Resolution multipliers, instead of --resolution.",
    ),
    _list_option(
        "--conv",
        "convs",
        group=Group.NETWORK,
        each=click.Choice([each.value for each in Convolution]),
        metavar="C[,C]",
        text="MobileNet v1: convolutions of the blocks, separable or standard.",
    ),
    _list_option(
        "--precision",
        "precisions",
        group=Group.ARTIFACTS,
        each=click.Choice([each.value for each in Precision]),
        metavar="P[,P]",
        text="Precisions of each point's artifacts: fp32, int8, dynamic, int16x8, fp16.",
    ),
)
# What a sweep decides itself for each of its builds, or has in its own way.
_OWN: Final = ("out", "dry-run", "summary", "status", "latency", "threads", "log-dir", "cache", "config")
# A point that was made with these is what it would be without.
_NO_MATTER: Final = ("force", "resume")
_REPLACED: Final = ("alpha", "resolution", "rho", "conv", "precision")


def build_options() -> Iterator[Option]:
    """The options of `build` that each point's build is given as they are."""
    for each in build.command.params:
        if isinstance(each, Option) and each.long_name not in (*_OWN, *_REPLACED):
            yield each


def family_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate the command with the options of `build`, some of which take lists."""
    own = options.together(*_LISTS)(function)
    parameters: list[click.Parameter] = list(build_options())
    own.__click_params__ = [*reversed(parameters), *getattr(own, "__click_params__", [])]  # type: ignore[attr-defined]
    return own


def networks_of(given: Mapping[str, Any]) -> list[dict[str, str]]:
    """The options that tell points apart, of each point: every alpha with every resolution and every convolution.

    Raises `OptionError` for --resolution beside --rho.
    """
    if given["resolutions"] and given["rhos"]:
        raise OptionError("give --resolution or --rho, not both")
    resolutions = _flat(given["resolutions"]) or [
        Resolution.square(resolution_from_rho(rho)) for rho in _flat(given["rhos"])
    ]
    axes = {"alpha": _flat(given["alphas"]) or [1.0], "resolution": resolutions, "conv": _flat(given["convs"])}
    wanted = {name: values for name, values in axes.items() if values}
    points = itertools.product(*wanted.values())
    return [{name: text_of(value) for name, value in zip(wanted, values, strict=True)} for values in points]


def arguments_of(context: click.Context, network: Mapping[str, str]) -> list[str]:
    """The arguments that `mbexport` is given for one point: what the user asked of all points, and its own."""
    words = ["build", *(f"--{name}={value}" for name, value in network.items())]
    words += [f"--precision={each}" for each in _flat(context.params["precisions"])]
    asked = (each for each in build_options() if each.long_name not in _NO_MATTER)
    gates = [gate for gate in context.params["gates"] if not _is_on_speed(gate)]
    return [*words, *given_words(context, asked, {"gates": gates}), "--no-latency"]


def no_matter(context: click.Context) -> list[str]:
    """The arguments of every point that say nothing of what it is or how it is judged."""
    return given_words(context, (each for each in build_options() if each.long_name in _NO_MATTER))


def speed_limits(gates: tuple[str, ...]) -> dict[str, float]:
    """The limits of gates on speed, which are judged behind all builds. Raises `OptionError` as `gate_limits` does."""
    return options.gate_limits(tuple(filter(_is_on_speed, gates)))


def parsed(arguments: list[str]) -> click.Context:
    """The context of a `build` with these arguments: neither the environment nor a file of options is read."""
    context: click.Context = build.command.make_context("build", arguments[1:], auto_envvar_prefix=None)
    return context


def _is_on_speed(gate: str) -> bool:
    from mbexport.verification.gates import speed_gates

    return gate.partition("=")[0].strip() in speed_gates()


def _flat(lists: Any) -> list[Any]:
    """The values of a list option that may be repeated, each once."""
    return list(dict.fromkeys(itertools.chain.from_iterable(lists)))
