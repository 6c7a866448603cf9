"""Turns what was measured, in the words of report.json, into the values of the gates."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from mbexport.artifact import Precision
from mbexport.models.mobilenet_v1.published import nearest_published
from mbexport.verify.judge import Value

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


Json = dict[str, Any]
Values = dict[str, tuple[Value, ...]]

_CODES: Final = ("uint8", "int8")
_NAMES: Final = re.compile("|".join(sorted((each.value for each in Precision), key=len, reverse=True)))


def gate_values(measured: Json) -> Values:
    """The values of each gate that `measured`, a report or its measured part, has; null becomes NaN."""
    artifacts, is_labelled = measured["artifacts"], measured["reference"]["labelled"]
    values = {
        "samples": [Value(value=_number(measured["reference"]["samples"]))],
        "distinct_outputs": [_fact(entry, entry["distinct_outputs"]) for entry in artifacts],
        "fp32_error": [_fact(entry, entry["max_abs_error"]) for entry in _comparable(measured)],
        "agreement": [
            _sampled(entry["agreement"], entry["agreement_ci95"], entry["file"]) for entry in _reduced(measured)
        ],
        **_of_pairs(measured),
        "labels": [_fact(entry, entry["labels_matched"]) for entry in artifacts if entry["labels_matched"] is not None],
        "named_precision": [_fact(entry, named) for entry in artifacts if (named := _named(entry)) is not None],
        "byte_input": [_fact(entry, entry["input"]["byte_distance"]) for entry in artifacts if _takes_codes(entry)],
        "input_words": [_fact(entry, entry["input"]["conflict"] is None) for entry in _reduced(measured)],
        **_of_int8(measured),
    }
    if is_labelled:
        values |= _of_labels(measured)
    return {name: tuple(each) for name, each in values.items() if each}


def _of_labels(measured: Json) -> dict[str, list[Value]]:
    reference = measured["reference"]
    low, chance = _number((reference["top1_ci95"] or [None])[0]), _number(reference["chance"])
    told = [(entry["file"], entry["difference"]) for entry in _reduced(measured)]
    return {
        "classes": [Value(value=_number(reference["classes_seen"]))],
        "above_chance": [Value(value=low / chance if chance else math.nan, subject=reference["name"])],
        "top1_drop": [_sampled(each["top1_drop"], each["score_ci95"], file) for file, each in told],
    }


def _of_pairs(measured: Json) -> dict[str, list[Value]]:
    twins = [(f"{pair['a']} and {pair['b']}", pair) for pair in measured["pairs"] if pair["is_twin"]]
    return {
        "twin_agreement": [_sampled(pair["agreement"], pair["agreement_ci95"], names) for names, pair in twins],
        "twin_lsb": [Value(value=_number(pair["max_lsb"]), subject=names) for names, pair in twins],
        "path_agreement": [
            _sampled(pair["agreement"], pair["agreement_ci95"], f"{told['file']}, {pair['a']} and {pair['b']}")
            for told in measured["paths"]
            for pair in told["pairs"]
        ],
    }


def _of_int8(measured: Json) -> dict[str, list[Value]]:
    int8 = [entry for entry in measured["artifacts"] if entry["precision"] == Precision.INT8]
    return {
        "int8_io": [_fact(entry, _has_codes(entry)) for entry in int8],
        "int8_convs": [_fact(entry, _integer_share(entry["kernels"])) for entry in int8],
        "int8_speedup": [
            _sampled(ratio["latency_ratio"], ratio["latency_ratio_ci95"], ratio["b"])
            for ratio in measured["speedups"]
            if ratio["threads"] == 1
        ],
        "size_ratio": [
            _fact(entry, entry["size_bytes"] / fp32["size_bytes"])
            for entry in int8
            for fp32 in measured["artifacts"]
            if fp32["precision"] == Precision.FP32 and fp32["format"] == entry["format"]
        ],
    }


def _reduced(measured: Json) -> Iterator[Json]:
    return (entry for entry in measured["artifacts"] if entry["precision"] != Precision.FP32)


def _comparable(measured: Json) -> Iterable[Json]:
    """The float artifacts whose probabilities may be held against the reference's: those of a float one."""
    if measured["reference"]["precision"] != Precision.FP32:
        return ()
    return (entry for entry in measured["artifacts"] if entry["precision"] == Precision.FP32)


def _named(entry: Json) -> bool | None:
    """Whether the file holds the precision that its name ends in; None if its name says none."""
    said = _NAMES.findall(entry["file"].rpartition(".")[0].rpartition("_")[2])
    return said[-1] == entry["precision"] if said else None


def _takes_codes(entry: Json) -> bool:
    return entry["input"]["dtype"] in _CODES


def _has_codes(entry: Json) -> bool:
    return _takes_codes(entry) and entry["output"]["dtype"] in _CODES


def _integer_share(kernels: Json) -> float:
    convolutions = kernels["int8_convs"] + kernels["float_convs"]
    return kernels["int8_convs"] / convolutions if convolutions else math.nan


def _fact(entry: Json, value: float | None) -> Value:
    return Value(value=_number(value), subject=entry["file"])


def _sampled(value: float | None, ci95: list[float | None] | None, subject: str) -> Value:
    low, high = (_number(end) for end in ci95 or (None, None))
    return Value(value=_number(value), ci95=(low, high), subject=subject)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
