"""Turns what was measured into a verdict: each gate a number, its interval, a limit, and whether that is kept.

Verification fails closed: a value that is missing or not a number fails its gate. What a sample cannot decide fails
only where the user is strict: a gate whose interval holds the limit is undecided.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from mbexport.errors import OptionError

Direction = Literal["at least", "at most"]
_ROUNDING: Final = 1e-9  # 0.864 - 0.848 is a little more than 0.016 in binary


class Verdict(StrEnum):
    """What a gate says; `UNDECIDED` where the interval of the value holds the limit."""

    FAIL = "fail"
    UNDECIDED = "undecided"
    PASS = "pass"


_SEVERITY: Final = (Verdict.FAIL, Verdict.UNDECIDED, Verdict.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateKind:
    """What a gate compares, which way, its limit where nobody says, and what to do about a value beyond it."""

    direction: Direction
    limit: float
    meaning: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One measured value; `ci95` is what it may really be, None for a plain fact; `subject` says of what it is."""

    value: float
    ci95: tuple[float, float] | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One judged gate, of the subject that does worst; `value` is None where there was nothing to measure."""

    name: str
    value: float | None
    ci95: tuple[float, float] | None
    limit: float
    direction: Direction
    verdict: Verdict
    passed: bool
    meaning: str
    advice: str
    subject: str | None


GATES: Final[Mapping[str, GateKind]] = MappingProxyType(
    {
        "samples": GateKind(
            direction="at least",
            limit=30,
            meaning="images that were compared: fewer prove nothing",
            advice="give more images with --data",
        ),
        "classes": GateKind(
            direction="at least",
            limit=2,
            meaning="classes among the images: one proves nothing",
            advice="give images of several classes with --data",
        ),
        "distinct_outputs": GateKind(
            direction="at least",
            limit=5,
            meaning="different score vectors of any one artifact: an untrained network gives one to four",
            advice="is the network trained, and are its activations' ranges those of real images?",
        ),
        "above_chance": GateKind(
            direction="at least",
            limit=1,
            meaning="float top-1's lower bound over the accuracy of guessing the most frequent class",
            advice="are the classes in the order of the scores (--classes), and is the input normalized as it expects?",
        ),
        "fp32_error": GateKind(
            direction="at most",
            limit=1e-3,
            meaning="largest distance of an fp32 artifact's probability from the float reference",
            advice="is it the same network as the reference, and fed with the same numbers?",
        ),
        "top1_drop": GateKind(
            direction="at most",
            limit=0.02,
            meaning="top-1 that an artifact of less than fp32 lost against the reference",
            advice="calibrate on more images like the app's, or train: --qat-epochs 2; see the worst layers",
        ),
        "agreement": GateKind(
            direction="at least",
            limit=0.9,
            meaning="images that an artifact of less than fp32 answers as the reference does",
            advice="see the disagreements: is the input normalized as it expects, and in this order of channels?",
        ),
        "twin_agreement": GateKind(
            direction="at least",
            limit=0.99,  # of 500 images that all agree, the interval begins at 0.9924
            meaning="images that int8 TFLite and int8 ONNX answer alike",
            advice="were both made by one run? Make them again together",
        ),
        "twin_lsb": GateKind(
            direction="at most",
            limit=8,
            meaning="largest distance of twins' outputs, in steps of their scale",
            advice="one of them was changed, or they come from two runs: make them again together",
        ),
        "path_agreement": GateKind(
            direction="at least",
            limit=0.85,
            meaning="images that a file answers alike through every kernel path of its runtime",
            advice="phones may take another path: see the report's kernel paths",
        ),
        "labels": GateKind(
            direction="at least",
            limit=0.98,
            meaning="labels inside a file that are those of the data's class at their place",
            advice="are the labels in the order of the scores, and is --background needed?",
        ),
        "named_precision": GateKind(
            direction="at least",
            limit=1,
            meaning="1 if a file holds the precision that its name says, else 0",
            advice="rename it, or convert it again",
        ),
        "byte_input": GateKind(
            direction="at most",
            limit=1,
            meaning="how far the codes of an 8-bit input are from the camera's bytes that apps feed",
            advice="export with --io uint8 and the normalization that the network was trained with",
        ),
        "input_words": GateKind(
            direction="at least",
            limit=1,
            meaning="1 if what a file says of its input in words and in codes can both be right, else 0",
            advice="convert it again: apps that read the words and apps that feed bytes get different answers",
        ),
        "int8_io": GateKind(
            direction="at least",
            limit=1,
            meaning="1 if an int8 artifact takes and gives 8-bit codes, 0 if its input or output are floats",
            advice="export with --io uint8; where floats are wanted, say --gate int8_io=0",
        ),
        "int8_convs": GateKind(
            direction="at least",
            limit=1.0,
            meaning="share of an int8 artifact's convolutions that run in integers",
            advice="see `mbexport inspect --kernels FILE`; convert from the int8 .tflite, not from Keras",
        ),
        "int8_speedup": GateKind(
            direction="at least",
            limit=1.0,
            meaning="fp32 over int8 latency in the same format",
            advice="see `mbexport inspect --kernels FILE`; time it on a quiet machine",
        ),
        "size_ratio": GateKind(
            direction="at most",
            limit=0.3,
            meaning="int8 size over fp32 size, same format",
            advice="are float weights left in the file? See `mbexport inspect FILE`",
        ),
    }
)


def check_limits(limits: Mapping[str, float]) -> None:
    """Raises `OptionError` for a limit of a gate that does not exist, or that is not a number."""
    for name, limit in limits.items():
        if name not in GATES:
            raise OptionError(f"gate must be one of {', '.join(GATES)}, got {name}")
        if not 0 <= limit < math.inf:
            raise OptionError(f"the limit of gate {name} must be a number of at least 0, got {limit:g}")


def judge(
    values: Mapping[str, Sequence[Value]],
    limits: Mapping[str, float],
    *,
    defaults: Mapping[str, float],
    strict: bool = False,
) -> tuple[Gate, ...]:
    """Every gate that has a value, and every one whose limit was asked for in `limits`.

    Of several values the one that does worst speaks for all. `defaults` are this network's own default limits;
    where neither names a gate, the table's limit holds. With `strict` an undecided gate does not pass.
    """
    return tuple(
        _judged(name, values.get(name, ()), limits.get(name, defaults.get(name, kind.limit)), strict=strict)
        for name, kind in GATES.items()
        if values.get(name) or name in limits
    )


def all_passed(gates: Sequence[Gate]) -> bool:
    """The verdict. No gates at all is a failure: nothing was proved."""
    return bool(gates) and all(gate.passed for gate in gates)


def verdict_of(value: Value, limit: float, direction: Direction) -> Verdict:
    """Whether `value` keeps the limit: surely, surely not, or its interval does not say. NaN does not."""
    low, high = value.ci95 or (value.value, value.value)
    if not (math.isfinite(value.value) and low <= high):
        return Verdict.FAIL
    if direction == "at least":
        low, high, limit = -high, -low, -limit
    if high <= limit + _ROUNDING:
        return Verdict.PASS
    return Verdict.UNDECIDED if low <= limit + _ROUNDING else Verdict.FAIL


def _judged(name: str, values: Sequence[Value], limit: float, *, strict: bool) -> Gate:
    kind = GATES[name]

    def badness(value: Value) -> tuple[int, bool, float]:
        sign = 1 if kind.direction == "at least" else -1
        severity = _SEVERITY.index(verdict_of(value, limit, kind.direction))
        return severity, not math.isnan(value.value), sign * value.value

    worst = min(values, key=badness, default=None)
    verdict = Verdict.FAIL if worst is None else verdict_of(worst, limit, kind.direction)
    return Gate(
        name=name,
        value=worst.value if worst else None,
        ci95=worst.ci95 if worst else None,
        limit=limit,
        direction=kind.direction,
        verdict=verdict,
        passed=verdict is Verdict.PASS or (verdict is Verdict.UNDECIDED and not strict),
        meaning=kind.meaning,
        advice=kind.advice,
        subject=worst.subject if worst else None,
    )
