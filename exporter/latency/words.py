"""Turns times, memory and rates into the words of report.json: milliseconds, bytes, images per second."""

from collections.abc import Sequence
from typing import Any

from mbexport.latency.interleaved import PERCENTS, Latency, Ratio
from mbexport.latency.probing import Probe
from mbexport.latency.sittings import Timings
from mbexport.latency.throughput import Throughput

Json = dict[str, Any]


def performance_json(
    name: str, timings: Timings, *, probe: Probe | None = None, throughputs: Sequence[Throughput] = ()
) -> Json:
    """All that an artifact's entry says of its speed; `latency_ms` is with the fewest threads."""
    return {
        "latency_ms": latency_json(timings.latency(name, timings.threads[0])),
        "threads": [threads_json(timings.latency(name, each), each) for each in timings.threads],
        "cold_start_ms": None if probe is None else cold_start_json(probe),
        "peak_memory_bytes": None if probe is None else probe.peak_memory_bytes,
        "throughput": [throughput_json(each) for each in throughputs],
    }


def latency_json(latency: Latency) -> Json:
    """The percentiles, rounded to a microsecond."""
    return {
        "p50": round(latency.p50_ms, 3),
        "p90": round(latency.p90_ms, 3),
        "p99": round(latency.p99_ms, 3),
        "runs": latency.runs,
        "percentiles": [
            [percent, round(value, 3)] for percent, value in zip(PERCENTS, latency.percentiles_ms, strict=False)
        ],
    }


def threads_json(latency: Latency, threads: int) -> Json:
    """The latency with so many threads, without its distribution."""
    found = latency_json(latency)
    return {"threads": threads, **{key: found[key] for key in ("p50", "p90", "p99", "runs")}}


def cold_start_json(probe: Probe) -> Json:
    """What the first answer of a fresh process takes, the runtime's own import not counted."""
    return {
        "load": round(probe.load_ms, 3),
        "first_inference": round(probe.first_inference_ms, 3),
        "total": round(probe.total_ms, 3),
        "processes": probe.processes,
    }


def throughput_json(throughput: Throughput) -> Json:
    """Images per second, or the reason why there are none."""
    rate = throughput.images_per_s
    return {
        "batch": throughput.batch,
        "threads": throughput.threads,
        "images_per_s": None if rate is None else round(rate, 1),
        "reason": throughput.reason,
    }


def ratio_json(ratio: Ratio) -> Json:
    """Two medians as a ratio, with its interval."""
    return {
        "a": ratio.a,
        "b": ratio.b,
        "latency_ratio": ratio.ratio,
        "latency_ratio_ci95": list(ratio.ci95),
        "threads": ratio.threads,
    }
