"""Turns measurements, gates and stage times into the values of report.json (schema 1) and into its bytes."""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from mbexport.calibration.choices import Correction, Observer
from mbexport.calibration.sites import StoredSite
from mbexport.latency.interleaved import Latency, Ratio
from mbexport.models.preprocess import Preprocess
from mbexport.runtimes.kernels import Kernels
from mbexport.verdict.gates import Gate, all_passed
from mbexport.verdict.measure import Measured, MeasuredPair, Measurements

SCHEMA: Final = 1
Json = dict[str, Any]


def measured_json(found: Measurements) -> Json:
    """The part of the report that was measured. Fractions are 0..1, times are milliseconds."""
    return {
        "reference": {
            "samples": found.reference.samples,
            "top1": found.reference.top1,
            "top1_ci95": list(found.reference.top1_ci95),
            "top5": found.reference.top5,
            "chance": found.chance,
            "labelled": found.is_labelled,
        },
        "artifacts": [_artifact(entry) for entry in found.artifacts],
        "pairs": [_pair(pair) for pair in found.pairs],
        "speedups": [ratio_json(ratio) for ratio in found.speedups],
        "machine": machine(),
    }


def report_json(measured: Json, gates: tuple[Gate, ...], extra: Mapping[str, Any]) -> Json:
    """The whole report: `extra` (model, data, stages) first, then what was measured, then the verdict."""
    return {
        "schema": SCHEMA,
        **extra,
        **measured,
        "gates": [_gate(gate) for gate in gates],
        "passed": all_passed(gates),
    }


def to_bytes(report: Json) -> bytes:
    """The report as UTF-8 JSON; what is not a number (NaN, infinity) becomes null, as JSON has no word for it."""
    return (json.dumps(_finite(report), indent=2, ensure_ascii=False) + "\n").encode()


def machine() -> Json:
    """Where the latencies were measured."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def stages_json(stages: Sequence[tuple[str, float, bool]]) -> list[Json]:
    """One entry a stage: its name, the seconds it took when it ran, whether this run reused it."""
    return [{"name": name, "seconds": round(seconds, 1), "reused": reused} for name, seconds, reused in stages]


def preprocess_json(preprocess: Preprocess) -> Json:
    """What an image goes through before a float network sees it; one number where all channels have the same."""
    norm = preprocess.normalization
    mean, std = (values[0] if len(set(values)) == 1 else list(values) for values in (norm.mean, norm.std))
    return {
        "crop_fraction": preprocess.crop_fraction,
        "mean": mean,
        "std": std,
        "channel_order": "BGR" if norm.is_bgr else "RGB",
    }


def unreadable_json(bad: Sequence[tuple[str, str]]) -> list[Json]:
    """The images that were left out, and why."""
    return [{"file": name, "reason": reason} for name, reason in bad]


def calibration_json(
    *,
    observer: Observer | None,
    errors: Mapping[Observer, float],
    corrections: Sequence[Correction],
    samples: int,
    sites: Mapping[str, StoredSite],
) -> Json:
    """How the ranges were found and what was corrected; then each stored tensor in the order of the network.

    Without an `observer` the ranges came from a file.
    """
    return {
        "observer": observer.value if observer else None,
        "errors": {name.value: error for name, error in errors.items()},
        "corrections": [each.value for each in corrections],
        "samples": samples,
        "sites": [{"site": name, **asdict(site)} for name, site in sites.items()],
    }


def latency_json(latency: Latency) -> Json:
    """The percentiles, rounded to a microsecond."""
    return {
        "p50": round(latency.p50_ms, 3),
        "p90": round(latency.p90_ms, 3),
        "p99": round(latency.p99_ms, 3),
        "runs": latency.runs,
    }


def _artifact(entry: Measured) -> Json:
    artifact, accuracy = entry.artifact, entry.accuracy
    return {
        "file": artifact.path.name,
        "format": artifact.format.value,
        "precision": artifact.precision.value,
        "runtime": entry.runtime,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "samples": accuracy.samples,
        "top1": accuracy.top1,
        "top1_ci95": list(accuracy.top1_ci95),
        "top5": accuracy.top5,
        "agreement": accuracy.agreement,
        "max_abs_error": accuracy.max_abs_error,
        "distinct_outputs": accuracy.distinct_outputs,
        "latency_ms": latency_json(entry.latency),
        "kernels": kernels_json(entry.kernels),
    }


def kernels_json(kernels: Kernels) -> Json:
    """How many convolutions run in integers and in floats, hybrid ones among the latter; how many ops a delegate took.

    `partitions` are the pieces that the delegate's ops form; onnxruntime on the CPU has none.
    """
    return {
        "int8_convs": kernels.int8_convs,
        "float_convs": kernels.float_convs,
        "hybrid_convs": kernels.hybrid_convs,
        "delegated_ops": kernels.delegated_ops,
        "other_ops": kernels.other_ops,
        "partitions": kernels.partitions,
    }


def _pair(entry: MeasuredPair) -> Json:
    return {
        "a": entry.pair.a,
        "b": entry.pair.b,
        "agreement": entry.pair.agreement,
        "max_lsb": entry.pair.max_lsb,
        "differing_fraction": entry.pair.differing_fraction,
        "latency_ratio": entry.latency.ratio,
        "latency_ratio_ci95": list(entry.latency.ci95),
    }


def ratio_json(ratio: Ratio) -> Json:
    """Two medians as a ratio, with its interval."""
    return {"a": ratio.a, "b": ratio.b, "latency_ratio": ratio.ratio, "latency_ratio_ci95": list(ratio.ci95)}


def _gate(gate: Gate) -> Json:
    return {
        "name": gate.name,
        "value": gate.value,
        "limit": gate.limit,
        "direction": gate.direction,
        "passed": gate.passed,
        "meaning": gate.meaning,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123  # a kernel interface, not a path of ours
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux: platform.processor() is all there is
    return platform.processor() or "unknown"
