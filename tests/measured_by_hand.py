"""The measured part of a report, written by hand from a few numbers; whatever is not given is flawless."""

from typing import Any

Json = dict[str, Any]


def artifact_json(file: str, **given: Any) -> Json:
    """One artifact called `<stem>_<precision>.<format>`; intervals have no width unless they are given."""
    precision, suffix = file.split(".")[-2].rpartition("_")[2], file.rpartition(".")[2]
    top1, agreement = given.get("top1", 0.9), given.get("agreement", 1.0)
    kind = "uint8" if precision == "int8" else "float32"
    return {
        "file": file,
        "format": suffix,
        "precision": precision,
        "runtime": "table",
        "size_bytes": given.get("size_bytes", 1000),
        "sha256": "0" * 64,
        "samples": 100,
        "input": {
            "dtype": given.get("input", kind),
            "layout": "nhwc",
            "mean": [127.5],
            "std": [127.5],
            "channel_order": "RGB",
            "source": "metadata",
            "conflict": given.get("conflict"),
            "byte_distance": 0 if given.get("input", kind) == "uint8" else None,
        },
        "output": {
            "dtype": given.get("output", kind),
            "kind": given.get("kind", "softmax"),
            "background": False,
            "codes": given.get("codes", (0, 255 / 256) if given.get("output", kind) == "uint8" else None),
            "conflict": given.get("output_conflict"),
        },
        "top1": top1,
        "top1_ci95": list(given.get("top1_ci95", (0.8, 0.95))),
        "top5": given.get("top5", 1.0),
        "top5_ci95": [0.9, 1.0],
        "agreement": agreement,
        "agreement_ci95": list(given.get("agreement_ci95", (agreement, agreement))),
        "difference": None,
        "max_abs_error": given.get("max_abs_error", 0.0),
        "mean_abs_error": 0.0,
        "score_error": given.get("score_error", 0.0),
        "score_error_ci95": list(given.get("score_error_ci95", [given.get("score_error", 0.0)] * 2)),
        "error_histogram": {"edges": [0.0, 1.0], "counts": [100]},
        "lsb": None,
        "tied": 0.0,
        "distinct_outputs": given.get("distinct_outputs", 100),
        "labels_matched": given.get("labels_matched"),
        "labels_problem": given.get("labels_problem"),
        "per_class": [],
        "worst_classes": [],
        "confusions": [],
        "disagreements": {"count": 0, "worst": []},
        "latency_ms": {"p50": 1.0, "p90": 2.0, "p99": 3.0, "runs": 4, "percentiles": [[0, 1.0], [100, 3.0]]},
        "threads": [{"threads": 1, "p50": 1.0, "p90": 2.0, "p99": 3.0, "runs": 4}],
        "cold_start_ms": None,
        "peak_memory_bytes": None,
        "throughput": [],
        "kernels": {
            "int8_convs": given.get("int8_convs", 28),
            "float_convs": given.get("float_convs", 0),
            "hybrid_convs": 0,
            "delegated_ops": 28,
            "other_ops": 0,
            "partitions": 1,
        },
    }


def measured_json(
    *artifacts: Json,
    reference: Json | None = None,
    chance: float = 0.1,
    is_labelled: bool = True,
    twins: dict[tuple[str, str], float] | None = None,
    speedups: dict[tuple[str, str], tuple[float, float]] | None = None,
    paths: list[Json] | None = None,
    noise: str | None = None,
) -> Json:
    """The measured part of a report; `twins` and `speedups` say agreements and intervals by the files' names.

    `noise` says why the machine was too busy to measure latencies.
    """
    truth = {"top1": 0.9, "top1_ci95": [0.8, 0.95], "top5": 1.0, "top5_ci95": [0.9, 1.0], **(reference or {})}
    told = {"name": "reference", "precision": "fp32", "kind": "softmax", "samples": 100, "classes_seen": 10, **truth}
    formats = {entry["file"]: entry["format"] for entry in artifacts}
    return {
        "reference": {**told, "chance": chance, "labelled": is_labelled},
        "artifacts": [entry | {"difference": _difference(entry, truth, is_labelled)} for entry in artifacts],
        "pairs": [_pair(a, b, agreement, formats[a] != formats[b]) for (a, b), agreement in (twins or {}).items()],
        "speedups": [
            {"a": a, "b": b, "latency_ratio": sum(ci95) / 2, "latency_ratio_ci95": list(ci95), "threads": 1}
            for (a, b), ci95 in (speedups or {}).items()
        ],
        "paths": paths or [],
        "machine": {
            "system": "Linux x86_64",
            "cpu": "a processor",
            "cores": 2,
            "python": "3.12.1",
            "flags": ["avx2"],
            "memory_bytes": 1 << 34,
            "load": {"before": [0.1, 0.1, 0.1], "after": [0.5, 0.1, 0.1]},
            "noise": noise,
            "noise_of_gates": noise,
        },
    }


def _difference(entry: Json, truth: Json, is_labelled: bool) -> Json | None:
    if not is_labelled:
        return None
    drop = truth["top1"] - entry["top1"]
    counts = {"only_reference_right": 3, "only_artifact_right": 1, "mcnemar_p": 0.625}
    return {"top1_drop": drop, "bootstrap_ci95": [drop, drop], "score_ci95": [drop, drop], **counts}


def _pair(a: str, b: str, agreement: float, is_twin: bool) -> Json:
    return {
        "a": a,
        "b": b,
        "agreement": agreement,
        "agreement_ci95": [agreement, agreement],
        "max_lsb": 3,
        "mean_lsb": 0.5,
        "lsb_histogram": {"edges": [0, 4], "counts": [100]},
        "differing_fraction": 0.25,
        "latency_ratio": 1.5,
        "latency_ratio_ci95": [1.4, 1.6],
        "is_twin": is_twin,
        "conflict": None,
    }
