"""Describe one network of an architecture that is built here: width multiplier, resolution and number of classes.

Each architecture adds what else its networks differ in.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final

from mbexport.errors import OptionError
from mbexport.models.resolution import Resolution

REFERENCE_RESOLUTION_PX: Final = 224  # rho = 1 (arXiv 1704.04861, section 3.4)
RESOLUTION_STEP_PX: Final = 32  # five stride-2 layers: 2**5
MIN_RESOLUTION_PX: Final = 32
MAX_RESOLUTION_PX: Final = 1024

REFERENCE_RESOLUTION: Final = Resolution.square(REFERENCE_RESOLUTION_PX)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """What every architecture has: width multiplier alpha, input resolution, number of classes.

    Fields that a subclass adds are the options of its architecture; each has a default. `architecture` is the name of
    its row in `models.architectures`, `family_title` what people call it. Raises `OptionError` for an alpha outside
    (0, `max_alpha`], a side that is not a multiple of `side_step_px` from `min_side_px` to 1024, or fewer than
    `min_classes`: of a classifier 32, 32 and two.
    """

    architecture: ClassVar[str]
    family_title: ClassVar[str]
    max_alpha: ClassVar[float]
    side_step_px: ClassVar[int] = RESOLUTION_STEP_PX
    min_side_px: ClassVar[int] = MIN_RESOLUTION_PX
    min_classes: ClassVar[int] = 2

    alpha: float = 1.0
    resolution: Resolution = REFERENCE_RESOLUTION
    classes: int = 1000

    def __post_init__(self) -> None:
        # Written so that NaN fails: every comparison with NaN is false.
        if not 0 < self.alpha <= self.max_alpha:
            raise OptionError(f"alpha must be in (0, {self.max_alpha:g}], got {self.alpha:g}")
        if not all(map(self._is_legal_side, self.resolution.sides_px)):
            step = f"a multiple of {self.side_step_px} " if self.side_step_px > 1 else ""
            raise OptionError(
                f"resolution must be {step}from {self.min_side_px} to {MAX_RESOLUTION_PX}, got {self.resolution}"
            )
        if not self.classes >= self.min_classes:
            raise OptionError(f"classes must be at least {self.min_classes}, got {self.classes}")

    @property
    def rho(self) -> float | None:
        """The resolution multiplier: side / 224. None for an input that is not square: the paper has none for it."""
        return rho_of(self.resolution)

    @property
    def stem_name(self) -> str:
        """The stem of every artifact's file name: architecture, variant, alpha and resolution."""
        return "_".join((self.architecture, *self.variant_names, str(float(self.alpha)), str(self.resolution)))

    @property
    def title(self) -> str:
        """What people call the network, without alpha and resolution."""
        return self.family_title

    @property
    def variant_names(self) -> tuple[str, ...]:
        """What file names say of the options that are not at their defaults."""
        return ()

    @property
    def variant(self) -> dict[str, Any]:
        """The options of this architecture alone, by name."""
        return {name: getattr(self, name) for name in variant_options(type(self))}

    def _is_legal_side(self, side_px: int) -> bool:
        return self.min_side_px <= side_px <= MAX_RESOLUTION_PX and side_px % self.side_step_px == 0


def variant_options(spec: type[NetworkSpec]) -> dict[str, Any]:
    """The options that only this architecture has, by name, with their defaults."""
    shared = {each.name for each in fields(NetworkSpec)}
    return {each.name: each.default for each in fields(spec) if each.name not in shared}


def rho_of(resolution: Resolution) -> float | None:
    """The resolution multiplier of a square input, None of another one."""
    return resolution.height_px / REFERENCE_RESOLUTION_PX if resolution.is_square else None


def resolution_from_rho(rho: float) -> int:
    """The side in pixels of the square input that the resolution multiplier `rho` (224 px is 1) stands for.

    Published multipliers are rounded decimals (0.857 is 192/224), so a value within one pixel of a legal
    resolution means that resolution. Raises `OptionError` otherwise.
    """
    wanted_px = rho * REFERENCE_RESOLUTION_PX
    if MIN_RESOLUTION_PX - 1 <= wanted_px <= MAX_RESOLUTION_PX + 1:  # false for NaN and infinity
        nearest_px = round(wanted_px / RESOLUTION_STEP_PX) * RESOLUTION_STEP_PX
        if abs(wanted_px - nearest_px) <= 1:
            return nearest_px
    raise OptionError(
        f"rho must give a multiple of {RESOLUTION_STEP_PX} px from {MIN_RESOLUTION_PX} to {MAX_RESOLUTION_PX} "
        f"(rho * {REFERENCE_RESOLUTION_PX}, for example 1, 0.857, 0.714 or 0.571), got {rho:g}"
    )


def divisible_by_8(channels: float) -> int:
    """`channels`, rounded to a multiple of 8, at least 8, that is not less than nine tenths of it.

    Source: `_make_divisible` of tf_keras.applications.mobilenet_v2, `_depth` of mobilenet_v3.
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
