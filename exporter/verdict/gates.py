"""Turns what was measured into a verdict: each gate a number, a limit and whether it holds.

Verification fails closed: a value that is missing or not a number fails its gate.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from mbexport.errors import OptionError
from mbexport.models.facts import Facts
from mbexport.models.published import nearest_published

# Where a network takes a tenth of a millisecond, starting each op outweighs what integers save; where it takes a
# hundredth, little else is measured.
_SPEEDUPS: Final = ((10_000_000, 1.0), (1_000_000, 0.8), (0, 0.5))  # mult-adds at least, limit
TINY_SPEEDUP: Final = 0.8

Direction = Literal["at least", "at most"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateKind:
    """What a gate compares, which way, and what its limit is where nobody says."""

    direction: Direction
    limit: float
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One judged gate; `value` is None where there was nothing to measure."""

    name: str
    value: float | None
    limit: float
    direction: Direction
    passed: bool
    meaning: str


GATES: Final[Mapping[str, GateKind]] = MappingProxyType(
    {
        "samples": GateKind(direction="at least", limit=30, meaning="images that were compared: fewer prove nothing"),
        "distinct_outputs": GateKind(
            direction="at least",
            limit=5,
            meaning="different score vectors of any one artifact: an untrained network gives one to four",
        ),
        "above_chance": GateKind(
            direction="at least",
            limit=1,
            meaning="float top-1's lower bound over the accuracy of guessing the most frequent class",
        ),
        "fp32_error": GateKind(
            direction="at most",
            limit=1e-3,
            meaning="largest distance of an fp32 artifact's probability from Keras",
        ),
        "top1_drop": GateKind(
            direction="at most",
            limit=0.02,
            meaning="top-1 that an artifact of less than fp32 lost against the reference",
        ),
        "agreement": GateKind(
            direction="at least",
            limit=0.9,
            meaning="images that an artifact of less than fp32 answers as the reference does",
        ),
        "twin_agreement": GateKind(
            direction="at least", limit=0.995, meaning="images that int8 TFLite and int8 ONNX answer alike"
        ),
        "int8_convs": GateKind(
            direction="at least",
            limit=1.0,
            meaning="share of an int8 artifact's convolutions that run in integers",
        ),
        "int8_speedup": GateKind(
            direction="at least",
            limit=1.0,
            meaning="fp32 over int8 latency, upper end of the interval: below the limit it is surely slower",
        ),
        "size_ratio": GateKind(direction="at most", limit=0.3, meaning="int8 size over fp32 size, same format"),
    }
)


_ROUNDING: Final = 1e-9  # 0.864 - 0.848 is a little more than 0.016 in binary


def check_limits(limits: Mapping[str, float]) -> None:
    """Raises `OptionError` for a limit of a gate that does not exist, or that is not a number."""
    for name, limit in limits.items():
        if name not in GATES:
            raise OptionError(f"gate must be one of {', '.join(GATES)}, got {name}")
        if not 0 <= limit < math.inf:
            raise OptionError(f"the limit of gate {name} must be a number of at least 0, got {limit:g}")


def default_limits(facts: Facts) -> dict[str, float]:
    """Limits that depend on the network: what Google's own quantized checkpoint of nearest kind lost, and its size.

    A network of unknown alpha gets the table's limit for what it may lose.
    """
    limits = {
        "size_ratio": size_limit(4 * facts.parameters),
        "int8_speedup": next(limit for least, limit in _SPEEDUPS if facts.mult_adds >= least),
    }
    if facts.alpha is not None:
        published = nearest_published(alpha=facts.alpha, resolution_px=facts.preprocess.resolution_px)
        limits["top1_drop"] = round(published.int8_drop, 4)
    return limits


def size_limit(fp32_bytes: int) -> float:
    """int8 over fp32 size: a quarter, the scales of the channels, and 128 KiB of graph, which small ones feel."""
    return round(0.28 + (128 << 10) / fp32_bytes, 4)


def judge(
    values: Mapping[str, float], limits: Mapping[str, float], *, defaults: Mapping[str, float]
) -> tuple[Gate, ...]:
    """Every gate that has a value, and every one whose limit was asked for in `limits`.

    `defaults` are this network's own default limits; where neither names a gate, the table's limit holds.
    """
    return tuple(
        _judged(name, kind, values.get(name), limits.get(name, defaults.get(name, kind.limit)))
        for name, kind in GATES.items()
        if name in values or name in limits
    )


def all_passed(gates: tuple[Gate, ...]) -> bool:
    """The verdict. No gates at all is a failure: nothing was proved."""
    return bool(gates) and all(gate.passed for gate in gates)


def _judged(name: str, kind: GateKind, value: float | None, limit: float) -> Gate:
    if value is None:
        passed = False
    elif kind.direction == "at least":
        passed = value >= limit - _ROUNDING
    else:
        passed = value <= limit + _ROUNDING
    return Gate(name=name, value=value, limit=limit, direction=kind.direction, passed=passed, meaning=kind.meaning)
