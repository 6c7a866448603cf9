"""The measured part of a detectors' report, written by hand from a few numbers; whatever is not given is flawless."""

from typing import Any

from measured_by_hand import artifact_json, measured_json

Json = dict[str, Any]
_OF_ANY_FILE = (
    *("file", "format", "precision", "runtime", "size_bytes", "sha256", "samples", "input", "labels_matched"),
    *("labels_problem", "latency_ms", "threads", "cold_start_ms", "peak_memory_bytes", "throughput", "kernels"),
)
QUALITY: Json = {
    "ap": 0.45,
    "ap_ci95": [0.43, 0.47],
    "ap50": 0.8,
    "ap50_ci95": [0.78, 0.82],
    "ap75": 0.5,
    "ap_by_size": {"small": 0.3, "medium": 0.5, "large": None},
    "chance": 0.05,
    "otherwise": {"reading": "x and y of the labelled boxes swapped", "ap50": 0.2},
    "curve": [1.0] * 101,
}
OUTPUT: Json = {
    "dtype": "float32",
    "raw": False,
    "detections": 100,
    "score_threshold": 0.01,
    "iou_threshold": 0.6,
    "conflict": None,
}
ANCHORS: Json = {"count": 1917, "objects": 1000, "uncovered": 0.05, "uncovered_ci95": [0.04, 0.07]}
TAIL: Json = {
    "same_as_reference": True,
    "conflict": None,
    "images": 64,
    "alike": 1.0,
    "alike_ci95": [0.943, 1.0],
    "network_ms": 1.5,
    "network_share": 0.75,
    "network_share_ci95": [0.74, 0.76],
}
PAIRED: Json = {
    "paired": 1.0,
    "paired_ci95": [0.995, 1.0],
    "paired_count": 900,
    "paired_back": 1.0,
    "paired_back_ci95": [0.995, 1.0],
    "paired_back_count": 900,
    "score_error": 0.001,
}


def detector_json(file: str, **given: Any) -> Json:
    """One artifact called `<stem>_<precision>.<format>`; `given` are keys of its entry, or what makes its input."""
    usual = artifact_json(file, **{"input": "uint8", **{key: given[key] for key in given if key in _FOR_ANY}})
    drop = {"ap_drop": 0.0, "ap_drop_ci95": [-0.002, 0.002], "ap50_drop": 0.0, "ap50_drop_ci95": [-0.002, 0.002]}
    return {
        **{key: usual[key] for key in _OF_ANY_FILE},
        "output": OUTPUT,
        **QUALITY,
        **drop,
        **PAIRED,
        "inside": 1.0,
        "ordered": 1.0,
        "distinct_outputs": 100,
        "per_class": [],
        "worst_images": [],
        "anchors": ANCHORS,
        "tail": TAIL,
        **{key: value for key, value in given.items() if key not in _FOR_ANY},
    }


_FOR_ANY = ("input", "conflict", "size_bytes", "int8_convs", "float_convs", "labels_matched", "labels_problem")


def detectors_json(
    *artifacts: Json,
    reference: Json | None = None,
    twins: Json | None = None,
    paths: Json | None = None,
    speedups: dict[tuple[str, str], tuple[float, float]] | None = None,
    noise: str | None = None,
) -> Json:
    """The measured part; `twins` and `paths` are of the first two files, and of the first one."""
    usual = measured_json(*[artifact_json(entry["file"]) for entry in artifacts], speedups=speedups, noise=noise)
    known = {"name": "reference", "precision": "fp32", "samples": 100, "objects": 1000, "classes_seen": 3}
    alike = {**PAIRED, "alike": 1.0, "alike_ci95": [0.96, 1.0]}
    untimed = {"latency_ratio": None, "latency_ratio_ci95": None}
    first, second = [*(entry["file"] for entry in artifacts), ""][:2]
    pair = {"a": first, "b": second, "is_twin": True, "conflict": None, **alike, **untimed}
    run = {"file": first, "images": 64, "paths": ["xnnpack", "reference"]}
    return {
        "task": "detect",
        "reference": {**known, "labelled": True, **QUALITY, "per_class": [], **(reference or {})},
        "artifacts": list(artifacts),
        "pairs": [] if twins is None else [pair | twins],
        "speedups": usual["speedups"],
        "paths": [] if paths is None else [{**run, "pairs": [{"a": "xnnpack", "b": "reference", **alike, **paths}]}],
        "machine": usual["machine"],
    }
