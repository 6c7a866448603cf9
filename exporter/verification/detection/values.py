"""The values that the gates of detectors compare beside those that all tasks have, from the measured part of a report.

A number that was not measured is None in a report and NaN here, which fails every gate.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mbexport.verification.measured_values import Value, comparable_fp32, number, of_paths, reduced, sampled, twins

Json = dict[str, Any]

# A network that finds nothing by looking elsewhere is not infinitely better than chance.
_LEAST_CHANCE: Final = 0.01
_CODES: Final = ("uint8", "int8")


def takes_codes(entry: Json) -> bool:
    """Whether the artifact takes 8-bit codes."""
    return entry["input"]["dtype"] in _CODES


def times_chance(measured: Json) -> Iterator[Value]:
    """The lower bound of the reference's AP at 0.5, over what it has on the objects of other images.

    Of each artifact beside labels alone.
    """
    for name, entry in _looking(measured):
        low, chance = number((entry["ap50_ci95"] or [None])[0]), number(entry["chance"])
        yield Value(value=low / max(chance, _LEAST_CHANCE) if chance >= 0 else math.nan, subject=name)


def as_labelled(measured: Json) -> Iterator[Value]:
    """The upper bound of the reference's AP at 0.5, over what it has where objects are read in another way.

    Of each artifact beside labels alone.
    """
    for name, entry in _looking(measured):
        other = entry["otherwise"]
        high, best = number((entry["ap50_ci95"] or [None, None])[1]), number(other["ap50"])
        if not math.isnan(best):  # else there is no other way
            reason = f"with {other['reading']} AP50 would be {best:.3f}"
            yield Value(value=high / max(best, _LEAST_CHANCE), subject=name, reason=reason if high < best else None)


def _looking(measured: Json) -> list[tuple[str, Json]]:
    """Who is asked whether it finds anything, by name: the reference or, beside labels alone, each artifact."""
    reference = measured["reference"]
    if reference["precision"] is not None:
        return [(reference["name"], reference)]
    return [(entry["file"], entry) for entry in measured["artifacts"]]


def precisions(measured: Json) -> Iterator[Value]:
    """AP of each artifact."""
    return (sampled(entry["ap"], entry["ap_ci95"], entry["file"]) for entry in measured["artifacts"])


def precisions_at_half(measured: Json) -> Iterator[Value]:
    """AP at 0.5 of each artifact."""
    return (sampled(entry["ap50"], entry["ap50_ci95"], entry["file"]) for entry in measured["artifacts"])


def precision_drops(measured: Json) -> Iterator[Value]:
    """The AP that each artifact of less than fp32 lost."""
    return (sampled(entry["ap_drop"], entry["ap_drop_ci95"], entry["file"]) for entry in reduced(measured))


def paired(measured: Json) -> Iterator[Value]:
    """The detections that each artifact of less than fp32 shares with the reference: of either's."""
    return _of_either((entry["file"], entry) for entry in reduced(measured))


def paired_fp32(measured: Json) -> Iterator[Value]:
    """The detections that each fp32 artifact shares with a float reference: of either's."""
    return _of_either((entry["file"], entry) for entry in comparable_fp32(measured))


def twin_paired(measured: Json) -> Iterator[Value]:
    """The detections that each two twins share: of either's."""
    return _of_either(twins(measured))


def path_paired(measured: Json) -> Iterator[Value]:
    """The detections that each two kernel paths of a file share: of either's."""
    return of_paths(measured, lambda names, pair: _of_either([(names, pair)]))


def boxes_inside(measured: Json) -> Iterator[Value]:
    """The share of each artifact's boxes that lie within the image."""
    return (Value(value=number(entry["inside"]), subject=entry["file"]) for entry in measured["artifacts"])


def scores_in_order(measured: Json) -> Iterator[Value]:
    """The share of images whose detections each artifact gives with the most certain first."""
    return (Value(value=number(entry["ordered"]), subject=entry["file"]) for entry in measured["artifacts"])


def tails_alike(measured: Json) -> Iterator[Value]:
    """How often each tail of ours gives what the tail in numpy makes of the same heads."""
    known = ((entry["file"], entry["tail"]) for entry in measured["artifacts"] if entry["tail"] is not None)
    return (sampled(tail["alike"], tail["alike_ci95"], name) for name, tail in known)


def twin_tails(measured: Json) -> Iterator[Value]:
    """1 for twins whose tails are the same, as far as is known, else 0."""
    for names, pair in twins(measured):
        yield Value(value=float(pair["conflict"] is None), subject=names, reason=pair["conflict"])


def reference_tails(measured: Json) -> Iterator[Value]:
    """1 for an artifact whose tail is the reference's, else 0, where both are known."""
    for entry in measured["artifacts"]:
        tail = entry["tail"]
        if tail is not None and tail["same_as_reference"] is not None:
            is_same = float(tail["same_as_reference"])
            yield Value(value=is_same, subject=entry["file"], reason=tail["conflict"])


def objects_uncovered(measured: Json) -> Iterator[Value]:
    """The share of objects that no anchor covers, of each artifact whose anchors are known.

    Such an object is learned by the nearest anchor nevertheless, and found sometimes: the share of those that are
    missed for want of an anchor lies between none of them and all. Such an interval passes a limit or leaves it open.
    """
    for entry in measured["artifacts"]:
        found = entry["anchors"]
        if found is not None:
            upper = number((found["uncovered_ci95"] or [None, None])[1])
            reason = "no anchor overlaps such objects by half"
            yield Value(value=number(found["uncovered"]), ci95=(0.0, upper), subject=entry["file"], reason=reason)


def _of_either(named: Iterable[tuple[str, Json]]) -> Iterator[Value]:
    """The share of either side's certain detections that the other has too, a value each."""
    for name, entry in named:
        for key in ("paired", "paired_back"):
            reason = None if entry[f"{key}_count"] else "nothing was found with a score of at least 0.3"
            value = sampled(entry[key], entry[f"{key}_ci95"], name)
            yield Value(value=value.value, ci95=value.ci95, subject=name, reason=reason)
