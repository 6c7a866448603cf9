"""Judge measured values by the gates: pass, fail, or undecided where the value cannot tell.

It cannot where its interval holds the limit, and where it is in doubt altogether, as a latency on a busy machine is.
Verification fails closed: a value that is missing or not a number fails its gate. An undecided gate fails only where
the user is strict.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mbexport.verification.gates import GATES, Direction, Gate, Gates, NetworkFacts, default_limits, gate_values
from mbexport.verification.measured_values import Json, Value

_ROUNDING: Final = 1e-9  # 0.864 - 0.848 is a little more than 0.016 in binary


class Verdict(StrEnum):
    """The verdict of a gate; `UNDECIDED` where the value is in doubt, or its interval holds the limit."""

    FAIL = "fail"
    UNDECIDED = "undecided"
    PASS = "pass"


_SEVERITY: Final = (Verdict.FAIL, Verdict.UNDECIDED, Verdict.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One judged gate, with its worst value; `value` is None where there was nothing to measure.

    `reason` says why it did not pass, where more is known than the value and its interval.
    """

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
    reason: str | None = None


def judge_files(
    measured: Json,
    network: NetworkFacts,
    limits: Mapping[str, float],
    *,
    strict: bool = False,
    gates: Gates = GATES,
) -> tuple[GateResult, ...]:
    """Judge what was `measured` of a network's files, by that network's own default limits where `limits` has none."""
    defaults = default_limits(network, gates)
    return judge(gate_values(measured, gates), limits, defaults=defaults, strict=strict, gates=gates)


def judge(
    values: Mapping[str, Sequence[Value]],
    limits: Mapping[str, float],
    *,
    defaults: Mapping[str, float],
    strict: bool = False,
    gates: Gates = GATES,
) -> tuple[GateResult, ...]:
    """Judge every gate of the table `gates` that has a value, and every gate that `limits` names.

    Of several values the worst one counts. `defaults` are this network's own default limits; where neither names a
    gate, the limit of its row holds, and a gate without one is not judged. With `strict` an undecided gate does not
    pass.
    """
    known = {name: limits.get(name, defaults.get(name, gate.limit)) for name, gate in gates.items()}
    return tuple(
        _judged(name, gates[name], values.get(name, ()), limit, strict=strict)
        for name, limit in known.items()
        if limit is not None and (values.get(name) or name in limits)
    )


def all_passed(gates: Sequence[GateResult]) -> bool:
    """Whether every gate passed. Without any gate nothing was proved, which is a failure."""
    return bool(gates) and all(gate.passed for gate in gates)


def verdict_of(value: Value, limit: float, direction: Direction) -> Verdict:
    """The verdict on one value: pass or fail where its whole interval is on one side of the limit; NaN fails.

    A value in doubt is undecided, on whichever side of the limit it lies.
    """
    low, high = value.ci95 or (value.value, value.value)
    if not (math.isfinite(value.value) and low <= high):
        return Verdict.FAIL
    if value.is_doubtful:
        return Verdict.UNDECIDED
    if direction == "at least":
        low, high, limit = -high, -low, -limit
    if high <= limit + _ROUNDING:
        return Verdict.PASS
    return Verdict.UNDECIDED if low <= limit + _ROUNDING else Verdict.FAIL


def _judged(name: str, gate: Gate, values: Sequence[Value], limit: float, *, strict: bool) -> GateResult:
    def badness(value: Value) -> tuple[int, bool, float]:
        sign = 1 if gate.direction == "at least" else -1
        severity = _SEVERITY.index(verdict_of(value, limit, gate.direction))
        return severity, not math.isnan(value.value), sign * value.value

    worst = min(values, key=badness, default=None)
    verdict = Verdict.FAIL if worst is None else verdict_of(worst, limit, gate.direction)
    return GateResult(
        name=name,
        value=worst.value if worst else None,
        ci95=worst.ci95 if worst else None,
        limit=limit,
        direction=gate.direction,
        verdict=verdict,
        passed=verdict is Verdict.PASS or (verdict is Verdict.UNDECIDED and not strict),
        meaning=gate.meaning,
        advice=gate.advice,
        subject=worst.subject if worst else None,
        reason=worst.reason if worst and verdict is not Verdict.PASS else None,
    )
