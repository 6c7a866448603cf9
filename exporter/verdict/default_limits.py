"""Turns what is known of a network into the limits that its gates have where nobody says others."""

from dataclasses import dataclass
from typing import Final

from mbexport.models.published import nearest_published

# Where a network takes a tenth of a millisecond, starting each op outweighs what integers save; where it takes a
# hundredth, little else is measured.
_SPEEDUPS: Final = ((10_000_000, 1.0), (1_000_000, 0.8), (0, 0.5))  # mult-adds at least, limit
# Others' quantizers change 4 to 10 answers for each that they lose, ours 2.5 (decision 0013).
_CHANGES_PER_LOSS: Final = 5
_MOST_CHANGES, _FEWEST_CHANGES = 0.15, 0.05
_BYTES_PER_PARAMETER: Final = 4
_GRAPH_BYTES: Final = 128 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What decides default limits: None for what nobody knows.

    `alpha` is MobileNet's width multiplier, `mult_adds` counts one image, `fp32_bytes` is the size of float weights.
    """

    resolution_px: int
    alpha: float | None = None
    mult_adds: int | None = None
    fp32_bytes: int | None = None

    @classmethod
    def of_parameters(cls, *, alpha: float | None, resolution_px: int, mult_adds: int, parameters: int) -> "Known":
        """A network whose size is known in parameters."""
        return cls(
            alpha=alpha,
            resolution_px=resolution_px,
            mult_adds=mult_adds,
            fp32_bytes=_BYTES_PER_PARAMETER * parameters,
        )


def default_limits(known: Known) -> dict[str, float]:
    """Limits that depend on the network; the table's hold for the others.

    What Google's own quantized checkpoint of nearest alpha and resolution lost, and the agreement that goes with
    such a loss; int8 size; what integers can save where there is so much work.
    """
    limits = {}
    if known.fp32_bytes is not None:
        limits["size_ratio"] = size_limit(known.fp32_bytes)
    if known.mult_adds is not None:
        limits["int8_speedup"] = next(limit for least, limit in _SPEEDUPS if known.mult_adds >= least)
    if known.alpha is not None:
        published = nearest_published(alpha=known.alpha, resolution_px=known.resolution_px)
        changes = min(max(_CHANGES_PER_LOSS * published.int8_drop, _FEWEST_CHANGES), _MOST_CHANGES)
        limits |= {"top1_drop": round(published.int8_drop, 4), "agreement": round(1 - changes, 4)}
    return limits


def size_limit(fp32_bytes: int) -> float:
    """int8 over fp32 size: a quarter, the scales of the channels, and 128 KiB of graph, which small ones feel."""
    return round(0.28 + _GRAPH_BYTES / fp32_bytes, 4)
