"""Turns the options that several subcommands share into decorators and checked values."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from mbexport.bundles.choices import Bundling
import importlib.util
import tomllib
from functools import partial
from typing import TYPE_CHECKING

from mbexport.errors import OptionError
from mbexport.models.mobilenet_v1.spec import REFERENCE_RESOLUTION_PX, Convolution, resolution_from_rho

if TYPE_CHECKING:
    from mbexport.models.preprocess import Normalization


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
PATH: Final = click.Path(path_type=Path)


class Option(click.Option):
    """An option whose environment variable is named as the option is typed: MBEXPORT_<COMMAND>_<OPTION>.

    What a build was made with is recorded (manifest.json), but for options that cannot change a byte of what is made:
    those have `is_recorded` false. `is_input` says that the value may name a file or a folder that is read.
    """

    def __init__(self, *arguments: Any, is_recorded: bool = True, is_input: bool = False, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.is_recorded, self.is_input = is_recorded, is_input

    @property
    def long_name(self) -> str:
        """The name behind the two dashes."""
        return max(self.opts, key=len).lstrip("-")

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """What the environment says; an empty variable says nothing, and there is none for a command by itself."""
        if ctx.auto_envvar_prefix is None:
            return None
        name = f"{ctx.auto_envvar_prefix}_{self.long_name}".upper().replace("-", "_")
        return os.environ.get(name) or None


option: Final = partial(click.option, cls=Option)


def together(*decorators: Decorator) -> Decorator:
    """One decorator for several options, which --help lists in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(decorators):
            command = each(command)
        return command

    return decorate


alpha: Final = option("--alpha", type=float, default=1.0, metavar="A", help="Width multiplier, in (0, 1].")
resolution: Final = option("--resolution", type=int, metavar="PX", help="Input side, a multiple of 32 from 32 to 1024.")
rho: Final = option(
    "--rho", type=float, metavar="R", help=f"Resolution multiplier: resolution / {REFERENCE_RESOLUTION_PX}."
)
conv: Final = option(
    "--conv",
    type=click.Choice([each.value for each in Convolution]),
    default=Convolution.SEPARABLE.value,
    callback=lambda _context, _parameter, value: Convolution(value),
    help="What the blocks are made of.",
)
shallow: Final = option("--shallow", is_flag=True, help="Leave out the five blocks from 512 to 512 channels.")
as_json: Final = option("--json", "as_json", is_flag=True, help="Print JSON.")
classes_file: Final = option(
    "--classes",
    "classes_file",
    type=PATH,
    metavar="FILE",
    is_input=True,
    help="Class order: a folder name and its label a line.",
)
gates: Final = option(
    "--gate",
    "gates",
    multiple=True,
    metavar="NAME=VALUE",
    is_recorded=False,
    help="Set a gate's limit; may be repeated.",
)
strict: Final = option(
    "--strict", is_flag=True, is_recorded=False, help="Fail gates that the images are too few to decide."
)
summary: Final = option(
    "--summary",
    type=PATH,
    metavar="FILE",
    is_recorded=False,
    help="Write the verdict as Markdown; GITHUB_STEP_SUMMARY gets it too where it is set.",
)
seed: Final = option("--seed", type=int, default=0, metavar="N", help="Decides every random choice.")
threads: Final = option(
    "--threads", type=int, default=1, metavar="N", is_recorded=False, help="Threads of one inference."
)


max_bad: Final = option(
    "--max-bad",
    default="1%",
    metavar="F",
    help="Images that may be unreadable and are then left out, in percent or as a fraction.",
)


preprocess: Final = option(
    "--preprocess",
    type=click.Choice(["mobilenet", "unit", "caffe", "raw"]),
    help="What a float network expects of bytes b: b/127.5-1, b/255, BGR minus the ImageNet mean, or b itself.",
)
mean: Final = option("--mean", metavar="M[,M,M]", help="In the place of --preprocess: (b - mean) * scale.")
scale: Final = option("--scale", metavar="S[,S,S]", help="A number or a fraction such as 1/255.")


def normalization(preset: str | None, mean: str | None, scale: str | None) -> "Normalization | None":
    """What --preprocess, or --mean and --scale, say; None if they say nothing. Raises `OptionError` for both."""
    from mbexport.models.preprocess import NORMALIZATIONS, Normalization

    if preset is not None and (mean is not None or scale is not None):
        raise OptionError(f"give --preprocess, or --mean and --scale, not both, got --preprocess {preset}")
    if preset is not None:
        return NORMALIZATIONS[preset]
    if mean is None and scale is None:
        return None
    scales = _numbers("scale", scale or "1")
    if not all(value > 0 for value in scales):
        raise OptionError(f"scale must be positive, got {scale}")
    return Normalization(mean=_numbers("mean", mean or "0"), std=tuple(1 / value for value in scales))


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"{name} must be one or three numbers or fractions, got {text}") from None


def _number(text: str) -> float:
    """What "0.5", "1/255" or "1/127.5" says."""
    numerator, slash, denominator = text.partition("/")
    return float(numerator) / (float(denominator) if slash else 1.0)


def require_library(name: str, *, needed_by: str, extra: str) -> None:
    """Raises `OptionError` unless the optional library `name` is installed."""
    if importlib.util.find_spec(name) is None:
        raise OptionError(f"{needed_by} needs {name}: pip install 'mbexport[{extra}]'")


def _load_config(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    """Makes the file's values the defaults: a flag and the environment both beat them."""
    if value is None:
        return
    try:
        settings = tomllib.loads(value.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(f"the config file {value} cannot be read: {error}") from None
    group = context.parent.command if context.parent else None
    tables = set(group.list_commands(context)) if isinstance(group, click.Group) else set()
    if any(name in tables and isinstance(table, dict) for name, table in settings.items()):
        # One file for several commands: a table for each.
        settings = settings.get(context.command.name or "", {})
    known = {option.long_name: option for option in context.command.params if isinstance(option, Option)}
    known.pop("config", None)
    defaults: dict[str, Any] = {}
    for name, given in settings.items():
        option = known.get(name.replace("_", "-"))
        if option is None or option.name is None:
            raise OptionError(f"{value} must hold options of {context.command.name}, got {name}")
        if name == "gate" and isinstance(given, dict):
            given = [f"{gate}={limit}" for gate, limit in given.items()]  # noqa: PLW2901
        require_type(option, given, where=f"{value}: {name}")
        defaults[option.name] = given
    context.default_map = {**(context.default_map or {}), **defaults}


def require_type(option: "Option", given: object, *, where: str) -> None:
    """Raises `OptionError` for a TOML value that click would quietly bend into shape: 1.5 epochs, a true alpha."""
    wanted: type | tuple[type, ...] = str
    if option.is_flag:
        wanted = bool
    elif option.type is click.INT:
        wanted = int
    elif option.type is click.FLOAT:
        wanted = (int, float)
    values = given if option.multiple and isinstance(given, list) else [given]
    for value in values:
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            names = " or ".join(kind.__name__ for kind in (wanted if isinstance(wanted, tuple) else (wanted,)))
            raise OptionError(f"{where} must be {names}, got {value!r}")


config: Final = option(
    "--config",
    type=PATH,
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    is_recorded=False,
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


_PASSPHRASE: Final = "MBEXPORT_SIGN_PASSPHRASE"

bundles: Final = (
    option(
        "--platform",
        "platforms",
        type=click.Choice(["android", "ios"]),
        multiple=True,
        help="Whose apps get a bundle; may be repeated, both if absent.",
    ),
    option("--bundle-name", metavar="NAME", help="What bundles call the model; <model> if absent."),
    option("--bundle-version", metavar="X.Y.Z", help="What app teams order bundles by; mbexport's if absent."),
    option(
        "--android-package",
        metavar="NAME",
        help="Java package of the Android bundle; mbexport.<model> if absent.",
    ),
    option("--zip", "is_zipped", is_flag=True, help="Make each bundle as one zip, too."),
)
sign: Final = option(
    "--sign",
    "signing_key",
    type=PATH,
    metavar="KEY",
    is_recorded=False,
    help=f"Sign the manifest with this private key (PEM); {_PASSPHRASE} opens one that is encrypted.",
)


def bundling(given: dict[str, Any]) -> "Bundling":
    """The bundles that these values of the options ask for; all that are possible if they say nothing."""
    from mbexport.bundles.choices import Bundling, Platform

    named = tuple(dict.fromkeys(map(Platform, given["platforms"])))
    return Bundling(
        platforms=named or tuple(Platform),
        is_required=bool(named),
        name=given["bundle_name"],
        version=given["bundle_version"],
        android_package=given["android_package"],
        is_zipped=given["is_zipped"],
    )


def signer(key: Path | None) -> Callable[[bytes], bytes] | None:
    """What signs with the key in that file. Raises `DataError` for one that cannot be used: not after hours of work."""
    if key is None:
        return None
    from mbexport.provenance.signing import load_private_key, sign

    loaded = load_private_key(key, passphrase=os.environ.get(_PASSPHRASE) or None)
    return lambda content: sign(content, loaded)
