"""The options that describe a network of ours, and the description that they give."""

from collections.abc import Mapping
from typing import Any, Final

import click

from mbexport.commands import options
from mbexport.commands.options import Group
from mbexport.errors import OptionError
from mbexport.models.architectures import ARCHITECTURES, DETECTORS, Architecture, options_of_architectures
from mbexport.models.mobilenet_v1.spec import Convolution
from mbexport.models.resolution import Resolution
from mbexport.models.spec import REFERENCE_RESOLUTION_PX, NetworkSpec, resolution_from_rho, variant_options
from mbexport.models.ssd.spec import FEATURE_STRIDES
from mbexport.models.task import Task


class _ResolutionType(click.ParamType[Resolution]):
    """96 or 96x128 as a `Resolution`."""

    name = "resolution"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Resolution:
        """The resolution; raises click's error for what is none."""
        try:
            return value if isinstance(value, Resolution) else Resolution.parse(value)
        except OptionError as error:
            raise click.BadParameter(f"{error}", ctx=ctx, param=param) from None


RESOLUTION: Final = _ResolutionType()


task: Final = options.option(
    "--task",
    group=Group.NETWORK,
    type=click.Choice([each.value for each in Task]),
    default=Task.CLASSIFY.value,
    callback=lambda _context, _parameter, value: Task(value),
    help="What the network is for: classify names the class of an image, detect finds objects in it, with an SSD on "
    "MobileNet v1.",
)
feature_stride: Final = options.option(
    "--feature-stride",
    group=Group.NETWORK,
    type=click.Choice([str(each) for each in FEATURE_STRIDES]),
    help="Detectors: pixels from place to place of the finest map of boxes; if absent 16, or 8 where that covers the "
    "boxes of --data clearly better; that of --model.",
)
anchors: Final = options.option(
    "--anchors",
    group=Group.NETWORK,
    metavar="TABLE",
    help="Detectors: smallest and largest scale of the anchors, 0.2-0.95, 0.15-0.95 or 0.1-0.95; if absent the first, "
    "or another that covers the boxes of --data clearly better; those that --model names.",
)
arch: Final = options.option(
    "--arch",
    group=Group.NETWORK,
    type=click.Choice([each.name for each in ARCHITECTURES]),
    default=ARCHITECTURES[0].name,
    help="Architecture of the network.",
)
alpha: Final = options.option(
    "--alpha",
    group=Group.COMMON,
    type=float,
    default=1.0,
    metavar="A",
    help="Width multiplier, in (0, 1]; of MobileNet v2 and v3 in (0, 2].",
)
resolution: Final = options.option(
    "--resolution",
    group=Group.COMMON,
    type=RESOLUTION,
    metavar="PX|HxW",
    help="Side of the input in pixels, a multiple of 32 from 32 to 1024; or its height and width, as 96x128.",
)
rho: Final = options.option(
    "--rho",
    group=Group.NETWORK,
    type=float,
    metavar="R",
    help=f"Resolution multiplier, instead of --resolution: the side of a square divided by {REFERENCE_RESOLUTION_PX}.",
)
conv: Final = options.option(
    "--conv",
    group=Group.NETWORK,
    type=click.Choice([each.value for each in Convolution]),
    default=Convolution.SEPARABLE.value,
    callback=lambda _context, _parameter, value: Convolution(value),
    help="MobileNet v1: convolutions of the blocks, depthwise separable or the standard ones that the paper compares "
    "them with.",
)
shallow: Final = options.option(
    "--shallow",
    group=Group.NETWORK,
    is_flag=True,
    help="MobileNet v1: leave out the five blocks from 512 to 512 channels.",
)
minimalistic: Final = options.option(
    "--minimalistic",
    group=Group.NETWORK,
    is_flag=True,
    help="MobileNet v3: without squeeze-and-excite, h-swish and 5x5 kernels.",
)
variants: Final = options.together(conv, shallow, minimalistic)  # what not every architecture has


def resolution_or_rho(resolution: Resolution | None, rho: float | None, *, default_px: int) -> Resolution:
    """The resolution that --resolution or --rho gives, else a square. Raises `OptionError` for both."""
    if resolution is not None and rho is not None:
        raise OptionError(f"give --resolution or --rho, not both, got {resolution} and {rho:g}")
    if rho is not None:
        return Resolution.square(resolution_from_rho(rho))
    return Resolution.square(default_px) if resolution is None else resolution


def spec_of(given: Mapping[str, Any], *, resolution: Resolution, classes: int) -> NetworkSpec:
    """The network that the options describe.

    Raises `OptionError` for one that is not built here, and for an option that its architecture does not have.
    """
    if given.get("task") is Task.DETECT:
        return _detector(given, resolution=resolution, classes=classes)
    require_no_detector(given)
    row = next(each for each in ARCHITECTURES if each.name == given["arch"])
    own = variant_options(row.spec)
    for name, owners in options_of_architectures().items():
        if name not in own and given[name] != variant_options(owners[0].spec)[name]:
            legal = " or ".join(each.name for each in owners)
            raise OptionError(f"--{name} is for --arch {legal}, got --arch {row.name}: drop --{name}")
    chosen = {name: given[name] for name in own}
    return row.spec(alpha=given["alpha"], resolution=resolution, classes=classes, **chosen)


def require_no_detector(given: Mapping[str, Any]) -> None:
    """Raises `OptionError` for an option that only a detector has."""
    for name in ("feature-stride", "anchors"):
        if given.get(name.replace("-", "_")) is not None:
            raise OptionError(f"--{name} is for --task {Task.DETECT}, got --task {Task.CLASSIFY}: drop --{name}")


def _detector(given: Mapping[str, Any], *, resolution: Resolution, classes: int) -> NetworkSpec:
    """The detector that the options describe, with the usual stride where none is given."""
    row = _detector_on(given["arch"])
    for name, owners in options_of_architectures().items():
        if given[name] != variant_options(owners[0].spec)[name]:
            raise OptionError(f"--{name} is for --task {Task.CLASSIFY}, got --task {Task.DETECT}: drop --{name}")
    stride = int(given["feature_stride"] or FEATURE_STRIDES[0])
    chosen: dict[str, Any] = {"feature_stride": stride}
    return row.spec(alpha=given["alpha"], resolution=resolution, classes=classes, **chosen)


def _detector_on(backbone: str) -> Architecture:
    found = next((each for each in DETECTORS if each.backbone == backbone), None)
    if found is None:
        legal = " or ".join(str(each.backbone) for each in DETECTORS)
        raise OptionError(f"--task {Task.DETECT} is for --arch {legal}, got --arch {backbone}")
    return found
