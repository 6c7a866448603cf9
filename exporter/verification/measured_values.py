"""The values that gates compare, taken from the measured part of a report.

A number that was not measured is None in a report and NaN here, which fails every gate.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from mbexport.artifact import Precision

Json = dict[str, Any]

_CODES: Final = ("uint8", "int8")
_PRECISIONS: Final = re.compile("|".join(sorted((each.value for each in Precision), key=len, reverse=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One measured value. `ci95` is its 95 % interval, None for an exact value; `subject` names what was measured."""

    value: float
    ci95: tuple[float, float] | None = None
    subject: str | None = None


# Which artifacts a gate is about.


def artifacts(measured: Json) -> Iterator[Json]:
    """All artifacts."""
    yield from measured["artifacts"]


def reduced(measured: Json) -> Iterator[Json]:
    """The artifacts of less than fp32."""
    return (entry for entry in measured["artifacts"] if entry["precision"] != Precision.FP32)


def int8(measured: Json) -> Iterator[Json]:
    """The int8 artifacts."""
    return (entry for entry in measured["artifacts"] if entry["precision"] == Precision.INT8)


def comparable_fp32(measured: Json) -> Iterator[Json]:
    """The fp32 artifacts beside a float reference: the probabilities of a quantized one are no measure of theirs."""
    if measured["reference"]["precision"] == Precision.FP32:
        yield from (entry for entry in measured["artifacts"] if entry["precision"] == Precision.FP32)


# One exact number of each artifact.


def of_each(
    select: Callable[[Json], Iterable[Json]], number: Callable[[Json], float | None]
) -> Callable[[Json], Iterator[Value]]:
    """The `values` of a gate that compares `number` of each artifact that `select` takes."""
    return lambda measured: (_exact(entry, number(entry)) for entry in select(measured))


def label_matches(measured: Json) -> Iterator[Value]:
    """The share of labels at their place, of each artifact whose labels can be compared."""
    entries = (entry for entry in measured["artifacts"] if entry["labels_matched"] is not None)
    return (_exact(entry, entry["labels_matched"]) for entry in entries)


def named_precisions(measured: Json) -> Iterator[Value]:
    """1 for an artifact of the precision that its name ends in, else 0; names that end otherwise say nothing."""
    for entry in measured["artifacts"]:
        names = _PRECISIONS.findall(entry["file"].rpartition(".")[0].rpartition("_")[2])
        if names:
            yield _exact(entry, names[-1] == entry["precision"])


def byte_distances(measured: Json) -> Iterator[Value]:
    """How far the codes of each 8-bit input are from the bytes of the camera."""
    entries = (entry for entry in measured["artifacts"] if entry["input"]["dtype"] in _CODES)
    return (_exact(entry, entry["input"]["byte_distance"]) for entry in entries)


def has_codes(entry: Json) -> bool:
    """Whether the artifact takes and gives 8-bit codes."""
    return entry["input"]["dtype"] in _CODES and entry["output"]["dtype"] in _CODES


def integer_share(entry: Json) -> float:
    """The share of the artifact's convolutions that run in integers; NaN if it has none."""
    kernels = entry["kernels"]
    convolutions = kernels["int8_convs"] + kernels["float_convs"]
    return kernels["int8_convs"] / convolutions if convolutions else math.nan


def size_ratios(measured: Json) -> Iterator[Value]:
    """int8 over fp32 size: of each int8 file with each fp32 file of its format."""
    for entry in int8(measured):
        for fp32 in measured["artifacts"]:
            if fp32["precision"] == Precision.FP32 and fp32["format"] == entry["format"]:
                yield _exact(entry, entry["size_bytes"] / fp32["size_bytes"])


# The images and the reference.


def samples(measured: Json) -> Iterator[Value]:
    """The images that were compared."""
    yield Value(value=_number(measured["reference"]["samples"]))


def classes_seen(measured: Json) -> Iterator[Value]:
    """The classes among labelled images."""
    if measured["reference"]["labelled"]:
        yield Value(value=_number(measured["reference"]["classes_seen"]))


def times_chance(measured: Json) -> Iterator[Value]:
    """The lower bound of the reference's top-1, over the accuracy of guessing."""
    reference = measured["reference"]
    if reference["labelled"]:
        low, chance = _number((reference["top1_ci95"] or [None])[0]), _number(reference["chance"])
        yield Value(value=low / chance if chance else math.nan, subject=reference["name"])


# Values with an interval.


def top1_drops(measured: Json) -> Iterator[Value]:
    """What each artifact of less than fp32 lost on labelled images."""
    if measured["reference"]["labelled"]:
        for entry in reduced(measured):
            difference = entry["difference"]
            yield _sampled(difference["top1_drop"], difference["score_ci95"], entry["file"])


def agreements(measured: Json) -> Iterator[Value]:
    """How often each artifact of less than fp32 answers as the reference does."""
    return (_sampled(entry["agreement"], entry["agreement_ci95"], entry["file"]) for entry in reduced(measured))


def twin_agreements(measured: Json) -> Iterator[Value]:
    """How often each two twins answer alike."""
    return (_sampled(pair["agreement"], pair["agreement_ci95"], names) for names, pair in _twins(measured))


def twin_distances(measured: Json) -> Iterator[Value]:
    """The largest distance of each two twins' outputs, in codes."""
    return (Value(value=_number(pair["max_lsb"]), subject=names) for names, pair in _twins(measured))


def path_agreements(measured: Json) -> Iterator[Value]:
    """How often each two kernel paths of a file answer alike."""
    for entry in measured["paths"]:
        for pair in entry["pairs"]:
            names = f"{entry['file']}, {pair['a']} and {pair['b']}"
            yield _sampled(pair["agreement"], pair["agreement_ci95"], names)


def speedups(measured: Json) -> Iterator[Value]:
    """fp32 over int8 latency of each format, on one thread."""
    return (
        _sampled(ratio["latency_ratio"], ratio["latency_ratio_ci95"], ratio["b"])
        for ratio in measured["speedups"]
        if ratio["threads"] == 1
    )


def _twins(measured: Json) -> Iterator[tuple[str, Json]]:
    return ((f"{pair['a']} and {pair['b']}", pair) for pair in measured["pairs"] if pair["is_twin"])


def _exact(entry: Json, value: float | None) -> Value:
    return Value(value=_number(value), subject=entry["file"])


def _sampled(value: float | None, ci95: list[float | None] | None, subject: str) -> Value:
    low, high = (_number(end) for end in ci95 or (None, None))
    return Value(value=_number(value), ci95=(low, high), subject=subject)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
