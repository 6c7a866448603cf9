"""Say what to do about a gate that did not pass, and how many images would decide one that is undecided."""

import math
from typing import Final

from mbexport.report.formatting import PASS, UNDECIDED, Json, verdict
from mbexport.verification.detection.gates import DETECTION_GATES
from mbexport.verification.gates import GATES

# A gate that two tasks have is alike in both.
_NOT_OF_IMAGES: Final = frozenset(
    name for gates in (GATES, DETECTION_GATES) for name, gate in gates.items() if not gate.narrows_with_images
)
_DIGITS: Final = 2  # of an estimate
# What points into a report, and what stands there instead where there is none.
_POINTERS: Final = (
    ("see the report's kernel paths", "--out DIR writes a report that compares them"),
    ("see the disagreements: ", "--out DIR writes a report with the images; "),
    ("see the worst images: ", "--out DIR writes a report with the images; "),
    ("; see the worst layers", ""),
)


def advice(gate: Json, *, samples: int, has_report: bool = True) -> str:
    """The next step for a gate of report.json; empty for one that passed.

    It begins with the gate's own reason, if it has one. `samples` are the images of the
    verification. Without a report of its own, as after `verify` without --out, the text
    says how to get one where it would point into it.
    """
    if verdict(gate) == PASS and gate["passed"]:
        return ""
    usual = _without_report(gate["advice"]) if not has_report else str(gate["advice"])
    if gate.get("reason"):  # reports of older versions have none
        return f"{gate['reason']}: {usual}"
    if verdict(gate) != UNDECIDED or gate["name"] in _NOT_OF_IMAGES:
        return usual
    if gate["value"] == gate["limit"]:
        return f"the value is the limit itself: no number of test images decides it; {usual}"
    wanted = deciding_samples(gate, samples)
    if wanted is None:
        return usual
    more = f"give more test images: about {wanted:,} would decide it (an estimate; these were {samples:,})"
    return more if _keeps_limit(gate) else f"{more}; it fails if the value stays what it is: {usual}"


def deciding_samples(gate: Json, samples: int) -> int | None:
    """How many images would move a gate's limit out of its interval, estimated, in two digits, rounded up.

    The half-width of the interval of a proportion, or of a difference of two, shrinks with 1 / sqrt(n) (Wald's
    normal approximation: method 1 of Newcombe 1998, "Two-sided confidence intervals for the single proportion"). With
    the distance d of the value from the limit and, on n images, the half-width h on the limit's side of the value, it
    takes n (h / d)^2 images. Wilson's and Tango's intervals, which the gates have, shrink faster than that near 0
    and 1: the estimate is then too large. Returns None where the interval does not hold the limit, or the value is
    the limit.
    """
    value, ci95, limit = gate["value"], gate["ci95"], gate["limit"]
    if value is None or ci95 is None or None in ci95 or value == limit:
        return None
    half_width = ci95[1] - value if limit > value else value - ci95[0]
    exact = samples * (half_width / (limit - value)) ** 2
    if not samples <= exact < math.inf:
        return None
    step: int = 10 ** max(0, math.floor(math.log10(exact)) + 1 - _DIGITS)
    rounded: int = math.ceil(exact / step) * step
    return rounded if rounded > samples else rounded + step


def _keeps_limit(gate: Json) -> bool:
    """Whether the value itself lies on the limit's right side."""
    is_above = gate["value"] >= gate["limit"]
    return bool(is_above if gate["direction"] == "at least" else not is_above)


def _without_report(text: str) -> str:
    for pointer, instead in _POINTERS:
        text = text.replace(pointer, instead)
    return text
