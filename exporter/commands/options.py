"""Options of the command line: their groups in --help, those that commands share, and checks of their values."""

import errno
import importlib.util
import os
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mbexport.errors import DataError, OptionError, OutputError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mbexport.models.preprocess import Normalization


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_IMPOSSIBLE: Final = frozenset({errno.ENAMETOOLONG, errno.EACCES})  # pathlib raises them, of the usual ones not
_WIDEST_TERM: Final = 26  # of 80 columns: what is longer stands on a line of its own, above its help


class _PathType(click.Path):
    """A path as `Path`, of an argument too, that can be looked for."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; raises click's error for one that the system cannot look for."""
        _require_possible(os.fspath(value), param, ctx, is_path=True)
        return super().convert(value, param, ctx)


def _require_possible(value: str, param: click.Parameter | None, ctx: click.Context | None, *, is_path: bool) -> None:
    """Raises click's error for a text with a NUL byte, and for a path that the system does not look up."""
    reason = "it must not hold a NUL byte" if "\0" in value else ""
    if is_path and not reason:
        try:
            os.lstat(value)
        except OSError as error:
            reason = f"{error.strerror}" if error.errno in _IMPOSSIBLE else ""
        except UnicodeEncodeError:  # JSON can hold half a character, which no system's path does
            reason = "it must be text"
    if reason:
        raise click.BadParameter(f"{reason}, got {value!r}", ctx=ctx, param=param)


PATH: Final = _PathType(path_type=Path)
DATA: Final = "digits|[wds:|tfrecord:]DIR|tfds:NAME"  # what --data takes, in help


class ListType(click.ParamType[tuple[Any, ...]]):
    """Values of another type with commas between them."""

    def __init__(self, each: "click.ParamType[Any]") -> None:
        self.each, self.name = each, f"list of {each.name}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """The values in their order, each once; raises click's error for what is none, or for none at all."""
        words = value.split(",") if isinstance(value, str) else [value]
        values = [self.each.convert(word.strip() if isinstance(word, str) else word, param, ctx) for word in words]
        return tuple(dict.fromkeys(values))


class Group(StrEnum):
    """The headings under which --help lists options, in this order."""

    COMMON = "Common options"
    NETWORK = "Network"
    DATA = "Data"
    TRAINING = "Training"
    QUANTIZATION = "Quantization"
    ARTIFACTS = "Artifacts"
    BUNDLES = "Bundles"
    VERDICT = "Verdict"
    LATENCY = "Latency"
    RUN = "Run"


class Option(click.Option):
    """An option whose environment variable is named as the option is typed: MBEXPORT_<COMMAND>_<OPTION>.

    `group` is the heading that --help lists it under. What a build was made with is recorded (manifest.json), but for
    options that cannot change a byte of what is made: those have `is_recorded` false. `is_input` says that the value
    may name a file or a folder that is read.
    """

    def __init__(
        self, *arguments: Any, group: Group, is_recorded: bool = True, is_input: bool = False, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self.group, self.is_recorded, self.is_input = group, is_recorded, is_input

    @property
    def long_name(self) -> str:
        """The name behind the two dashes."""
        return max(self.opts, key=len).lstrip("-")

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The value of the environment variable; an empty one counts as unset, and a command alone has none."""
        if ctx.auto_envvar_prefix is None:
            return None
        name = f"{ctx.auto_envvar_prefix}_{self.long_name}".upper().replace("-", "_")
        return os.environ.get(name) or None

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """The value as the option has it, wherever it comes from; raises click's error for an impossible text."""
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str):
                _require_possible(each, self, ctx, is_path=self.is_input)
        return super().type_cast_value(ctx, value)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """What completes a value; for one that may name a file or folder, the files and folders of the shell."""
        from click.shell_completion import CompletionItem

        values = super().shell_complete(ctx, incomplete)
        return values or ([CompletionItem(incomplete, type="file")] if self.is_input else [])


class Command(click.Command):
    """A command whose --help lists the options under the headings of their groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a section for each group that has an option here."""
        rows: dict[Group, list[tuple[str, str]]] = {group: [] for group in Group}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                group = parameter.group if isinstance(parameter, Option) else Group.RUN  # --help is click's own
                rows[group].append((record[0].ljust(_WIDEST_TERM), record[1]))
        shown = {group: records for group, records in rows.items() if records}
        for group, records in shown.items():
            with formatter.section(group if len(shown) > 1 else "Options"):
                formatter.write_dl(records, col_max=_WIDEST_TERM)


command: Final = partial(click.command, cls=Command)
option: Final = partial(click.option, cls=Option)


def together(*decorators: Decorator) -> Decorator:
    """One decorator for several options, which --help lists in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(decorators):
            command = each(command)
        return command

    return decorate


as_json: Final = option("--json", "as_json", group=Group.COMMON, is_flag=True, help="Print the result as JSON.")
classes_file: Final = option(
    "--classes",
    "classes_file",
    group=Group.DATA,
    type=PATH,
    metavar="FILE",
    is_input=True,
    help="Text file with the order of the classes, a line each: the name of the sub-folder, then the label to show. "
    "Without folders of classes, as of shards, a line is a label.",
)
crop_fraction: Final = option(
    "--crop-fraction",
    group=Group.DATA,
    type=float,
    metavar="F",
    help="Side of the central crop, as a fraction of the image's; if absent 0.875 for photos and 1 for digits.",
)
gates: Final = option(
    "--gate",
    "gates",
    group=Group.COMMON,
    multiple=True,
    metavar="NAME=VALUE",
    is_recorded=False,
    help="Set the limit of a gate, e.g. top1_drop=0.02; may be repeated.",
)
strict: Final = option(
    "--strict",
    group=Group.VERDICT,
    is_flag=True,
    is_recorded=False,
    help="Fail undecided gates: those that more test images, or a quiet machine, would have to decide.",
)
summary: Final = option(
    "--summary",
    group=Group.VERDICT,
    type=PATH,
    metavar="FILE",
    is_recorded=False,
    help="Write the verdict to this file as Markdown. $GITHUB_STEP_SUMMARY gets it in any case, where it is set.",
)
force: Final = option(
    "--force",
    group=Group.RUN,
    is_flag=True,
    is_recorded=False,
    help="Replace and remove files in the output folder that are not as an earlier run left them.",
)
status: Final = option(
    "--status",
    group=Group.RUN,
    type=PATH,
    metavar="FILE",
    is_recorded=False,
    help="Keep what stage runs and how far it is in this file, as JSON.",
)
cache: Final = option(
    "--cache",
    group=Group.RUN,
    type=PATH,
    metavar="DIR|none",
    is_recorded=False,
    help="Folder in which finished stages and decoded images are shared between output folders; the user's cache "
    "folder if absent.",
)
seed: Final = option("--seed", group=Group.RUN, type=int, default=0, metavar="N", help="Seed of every random choice.")
latency: Final = option(
    "--latency/--no-latency",
    group=Group.LATENCY,
    default=True,
    is_recorded=False,
    help="Time the files; measure their cold start and memory in processes of their own.",
)
threads: Final = option(
    "--threads",
    group=Group.LATENCY,
    type=int,
    default=1,
    metavar="N",
    is_recorded=False,
    help="Threads of one inference when latencies are measured.",
)
max_bad: Final = option(
    "--max-bad",
    group=Group.DATA,
    default="1%",
    metavar="F",
    help="How many unreadable images, and boxes of no use, are left out before the run is refused, in percent or as a "
    "fraction.",
)
follow_links: Final = option(
    "--follow-links",
    group=Group.DATA,
    is_flag=True,
    help="Allow files and folders of images, and shards, to be links to anywhere, as DVC and Bazel make them.",
)
background: Final = option(
    "--background",
    group=Group.DATA,
    is_flag=True,
    help="Ignore the first score of files that give one more than there are classes.",
)
preprocess: Final = option(
    "--preprocess",
    group=Group.DATA,
    type=click.Choice(["mobilenet", "unit", "caffe", "raw"]),
    help="What float networks expect for a byte b: b/127.5-1 (mobilenet), b/255 (unit), BGR minus the mean of "
    "ImageNet (caffe) or b itself (raw).",
)
mean: Final = option(
    "--mean",
    group=Group.DATA,
    metavar="M[,M,M]",
    help="Instead of --preprocess: float networks expect (b - mean) * scale. One number, or one a channel.",
)
scale: Final = option(
    "--scale", group=Group.DATA, metavar="S[,S,S]", help="See --mean; a number, or a fraction such as 1/255."
)


def cache_folder(given: Path | None) -> Path | None:
    """The folder of --cache, the user's own if it is absent; None for `none`. Raises `OutputError` for a file."""
    from mbexport.pipeline.shared_cache import user_cache

    if given == Path("none"):
        return None
    if given is not None and given.exists() and not given.is_dir():
        raise OutputError(f"--cache must be a folder or none, got {given}")
    return given or user_cache()


def normalization(preset: str | None, mean: str | None, scale: str | None) -> "Normalization | None":
    """The normalization of --preprocess, or of --mean and --scale; None without these options.

    Raises `OptionError` for both, and for what is no positive scale or no number.
    """
    from mbexport.models.preprocess import NORMALIZATIONS, Normalization

    if preset is not None and (mean is not None or scale is not None):
        raise OptionError(f"give --preprocess, or --mean and --scale, not both, got --preprocess {preset}")
    if preset is not None:
        return NORMALIZATIONS[preset]
    if mean is None and scale is None:
        return None
    scales = _numbers("scale", scale or "1")
    if not all(value > 0 for value in scales):
        raise OptionError(f"--scale must be positive, got {scale}")
    return Normalization(mean=_numbers("mean", mean or "0"), std=tuple(1 / value for value in scales))


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"--{name} must be one number or fraction, or one for each channel, got {text}") from None


def _number(text: str) -> float:
    """The value of "0.5", "1/255" or "1/127.5"."""
    numerator, slash, denominator = text.partition("/")
    return float(numerator) / (float(denominator) if slash else 1.0)


def require_library(name: str, *, needed_by: str, extra: str) -> None:
    """Raises `OptionError` unless the optional library `name` is installed."""
    if importlib.util.find_spec(name) is None:
        raise OptionError(f"{needed_by} needs {name}: pip install 'mbexport[{extra}]'")


def require_place(*, force: bool, place: Path | None, option: str = "out") -> None:
    """Raises `OptionError` for --force without the folder of `option`, in which it would replace files."""
    if force and place is None:
        raise OptionError(f"--force goes with --{option}; give --{option} DIR, or drop --force")


def require_files(**paths: Path | None) -> None:
    """Raises `DataError` for the first of these files or folders, by the option that names it, that does not exist."""
    for option, path in paths.items():
        if path is not None and not path.exists():
            raise DataError(f"no such file or folder: {path} (--{option})")


def require_folders(**paths: Path | None) -> None:
    """Raises `DataError` for the first of these folders of images, by the option that names it, that is no folder."""
    for option, path in paths.items():
        if path is not None and not path.is_dir():
            raise DataError(f"--{option} must be a folder of images, got {path}")


def gate_limits(gates: tuple[str, ...]) -> dict[str, float]:
    """The limits that --gate NAME=VALUE sets. Raises `OptionError` for another form."""
    limits: dict[str, float] = {}
    for text in gates:
        name, _, value = text.partition("=")
        try:
            limits[name.strip()] = float(value)
        except ValueError:
            raise OptionError(f"--gate must be NAME=VALUE with a number, got {text}") from None
    return limits
