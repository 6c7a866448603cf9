"""The values that gates compare, taken from the measured part of a report.

A number that was not measured is None in a report and NaN here, which fails every gate.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from mbexport.artifact import RAW, Precision
from mbexport.latency.machine import JUDGED_THREADS

Json = dict[str, Any]

_CODES: Final = ("uint8", "int8")
_STEPS: Final = 255  # between the first of 256 codes and the last
_PROBABILITIES: Final = ("softmax", "sigmoid")
_PRECISIONS: Final = re.compile("|".join(sorted((each.value for each in Precision), key=len, reverse=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One measured value. `ci95` is its 95 % interval, None for an exact value; `subject` names what was measured.

    `reason` says why the value is missing or bad, where more is known than the number. A value that `is_doubtful`
    decides nothing, whatever it is, for that reason.
    """

    value: float
    ci95: tuple[float, float] | None = None
    subject: str | None = None
    reason: str | None = None
    is_doubtful: bool = False


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
    select: Callable[[Json], Iterable[Json]], number_of: Callable[[Json], float | None]
) -> Callable[[Json], Iterator[Value]]:
    """The `values` of a gate that compares the `number_of` each artifact that `select` takes."""
    return lambda measured: (exact(entry, number_of(entry)) for entry in select(measured))


def label_matches(measured: Json) -> Iterator[Value]:
    """The share of labels at their place, of each artifact whose labels can be compared."""
    for entry in measured["artifacts"]:
        if entry["labels_matched"] is not None:
            yield replace(exact(entry, entry["labels_matched"]), reason=entry["labels_problem"])


def named_precisions(measured: Json) -> Iterator[Value]:
    """1 for an artifact of the precision that its name ends in, else 0; names that end otherwise say nothing."""
    for entry in measured["artifacts"]:
        names = _PRECISIONS.findall(entry["file"].rpartition(".")[0].removesuffix(RAW).rpartition("_")[2])
        if names:
            yield exact(entry, names[-1] == entry["precision"])


def byte_distances(measured: Json) -> Iterator[Value]:
    """How far the codes of each 8-bit input are from the bytes of the camera."""
    entries = (entry for entry in measured["artifacts"] if entry["input"]["dtype"] in _CODES)
    return (exact(entry, entry["input"]["byte_distance"]) for entry in entries)


def beyond_probability(measured: Json) -> Iterator[Value]:
    """How far the codes of each 8-bit output of probabilities reach beyond 0..1.

    Codes that lie evenly around 0, as some quantizers have them everywhere, leave the lower half unused.
    """
    for entry in measured["artifacts"]:
        output = entry["output"]
        if output["codes"] is not None and output["kind"] in _PROBABILITIES:
            low, high = output["codes"]
            is_even = abs(low + high) <= (high - low) / _STEPS
            yield exact(entry, max(0.0, high - 1, 0.0 if is_even else -low))


def input_words(measured: Json) -> Iterator[Value]:
    """1 for an artifact of less than fp32 whose words on its input can be right, else 0."""
    return (_unless(entry, entry["input"]["conflict"]) for entry in reduced(measured))


def output_words(measured: Json) -> Iterator[Value]:
    """1 for an artifact whose words on its output can be right, else 0."""
    return (_unless(entry, entry["output"]["conflict"]) for entry in measured["artifacts"])


def has_codes(entry: Json) -> bool:
    """Whether the artifact takes and gives 8-bit codes."""
    return entry["input"]["dtype"] in _CODES and entry["output"]["dtype"] in _CODES


def integer_share(entry: Json) -> float:
    """The share of the artifact's convolutions that run in integers; NaN if it has none."""
    kernels = entry["kernels"]
    convolutions = kernels["int8_convs"] + kernels["float_convs"]
    return kernels["int8_convs"] / convolutions if convolutions else math.nan


def size_ratios(measured: Json) -> Iterator[Value]:
    """int8 over fp32 size: of each int8 file with each fp32 file of its format that gives the same."""
    for entry in int8(measured):
        for fp32 in measured["artifacts"]:
            is_one_form = fp32["format"] == entry["format"] and gives_raw_heads(fp32) is gives_raw_heads(entry)
            if fp32["precision"] == Precision.FP32 and is_one_form:
                yield exact(entry, entry["size_bytes"] / fp32["size_bytes"])


def gives_raw_heads(entry: Json) -> bool:
    """Whether the artifact is a detector whose heads apps decode."""
    return bool(entry["output"].get("raw", False))


# The images and the reference.


def samples(measured: Json) -> Iterator[Value]:
    """The images that were compared."""
    yield Value(value=number(measured["reference"]["samples"]))


def classes_seen(measured: Json) -> Iterator[Value]:
    """The classes among labelled images."""
    if measured["reference"]["labelled"]:
        yield Value(value=number(measured["reference"]["classes_seen"]))


def times_chance(measured: Json) -> Iterator[Value]:
    """The lower bound of the reference's top-1, over the accuracy of guessing; of each artifact's beside labels."""
    reference = measured["reference"]
    if not reference["labelled"]:
        return
    named = ((entry["file"], entry) for entry in measured["artifacts"])
    for name, told in named if reference["precision"] is None else [(reference["name"], reference)]:
        low, chance = number((told["top1_ci95"] or [None])[0]), number(reference["chance"])
        yield Value(value=low / chance if chance else math.nan, subject=name)


# Values with an interval.


def top1s(measured: Json) -> Iterator[Value]:
    """The accuracy of each artifact on labelled images."""
    if measured["reference"]["labelled"]:
        for entry in measured["artifacts"]:
            yield sampled(entry["top1"], entry["top1_ci95"], entry["file"])


def top1_drops(measured: Json) -> Iterator[Value]:
    """What each artifact of less than fp32 lost on labelled images."""
    if measured["reference"]["labelled"]:
        for entry in reduced(measured):
            difference = entry["difference"]
            yield sampled(difference["top1_drop"], difference["score_ci95"], entry["file"])


def score_errors(measured: Json) -> Iterator[Value]:
    """How far the probabilities of each artifact of less than fp32 are from the reference's."""
    return (sampled(entry["score_error"], entry["score_error_ci95"], entry["file"]) for entry in reduced(measured))


def agreements(measured: Json) -> Iterator[Value]:
    """How often each artifact of less than fp32 answers as the reference does."""
    return (sampled(entry["agreement"], entry["agreement_ci95"], entry["file"]) for entry in reduced(measured))


def twin_agreements(measured: Json) -> Iterator[Value]:
    """How often each two twins answer alike."""
    return (sampled(pair["agreement"], pair["agreement_ci95"], names) for names, pair in twins(measured))


def twin_distances(measured: Json) -> Iterator[Value]:
    """The largest distance of each two twins' outputs, in codes; NaN where these are codes of other steps."""
    return (
        Value(value=number(pair["max_lsb"]), subject=names, reason=pair["conflict"]) for names, pair in twins(measured)
    )


def path_agreements(measured: Json) -> Iterator[Value]:
    """How often each two kernel paths of a file answer alike."""
    return of_paths(measured, lambda names, pair: [sampled(pair["agreement"], pair["agreement_ci95"], names)])


def npu_agreements(measured: Json) -> Iterator[Value]:
    """How often what was compiled for an NPU answers as its source does on the CPU."""
    for entry in measured.get("npu", ()):
        if "failure" in entry:
            yield Value(value=math.nan, subject=entry["file"], reason=entry["failure"])
        else:
            yield sampled(entry["agreement"], entry["agreement_ci95"], entry["file"])


def speedups(measured: Json) -> Iterator[Value]:
    """fp32 over int8 latency of each format, on one thread; in doubt where the machine was too busy to tell."""
    machine = measured["machine"]
    noise = machine.get("noise_of_gates", machine["noise"])  # reports of earlier versions know of all threads together
    for ratio in measured["speedups"]:
        if ratio["threads"] == JUDGED_THREADS:
            value = sampled(ratio["latency_ratio"], ratio["latency_ratio_ci95"], ratio["b"])
            yield replace(value, reason=noise, is_doubtful=noise is not None)


# What values are made of.


def twins(measured: Json) -> Iterator[tuple[str, Json]]:
    """Each two twins with their names."""
    return ((f"{pair['a']} and {pair['b']}", pair) for pair in measured["pairs"] if pair["is_twin"])


def of_paths(measured: Json, values_of: Callable[[str, Json], Iterable[Value]]) -> Iterator[Value]:
    """The `values_of` the names of each two kernel paths of a file, and their entry; NaN where one could not be run."""
    for entry in measured["paths"]:
        for pair in entry["pairs"]:
            names = f"{entry['file']}, {pair['a']} and {pair['b']}"
            if "failure" in pair:
                yield Value(value=math.nan, subject=names, reason=pair["failure"])
            else:
                yield from values_of(names, pair)


def exact(entry: Json, value: float | None) -> Value:
    """A number of an artifact that no sample decides."""
    return Value(value=number(value), subject=entry["file"])


def _unless(entry: Json, conflict: str | None) -> Value:
    """1, or 0 with the conflict as the reason."""
    return Value(value=float(conflict is None), subject=entry["file"], reason=conflict)


def sampled(value: float | None, ci95: list[float | None] | None, subject: str) -> Value:
    """A number with its interval; one without an interval is no number."""
    low, high = (number(end) for end in ci95 or (None, None))
    return Value(value=number(value), ci95=(low, high), subject=subject)


def number(value: float | None) -> float:
    """The number; NaN for None."""
    return math.nan if value is None else float(value)
