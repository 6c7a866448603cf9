"""What tests of reports share: the example of one, and the same as other runs would have it."""

import copy
import json
from pathlib import Path
from typing import Any

from mbexport.verification.gates import comparing_gates

Json = dict[str, Any]
EXAMPLE = json.loads((Path(__file__).parent / "exporter" / "report" / "example_report.json").read_text("utf-8"))
OF_BUILDS = ("stages", "options", "calibration", "sensitivity", "simulation", "health", "qat", "training")


def of_build() -> Json:
    """The example itself, to be changed."""
    return copy.deepcopy(EXAMPLE)


def of_verify() -> Json:
    """What `verify` reports: nothing of how the artifacts were made."""
    report = {key: value for key, value in of_build().items() if key not in OF_BUILDS}
    del report["tool"]["version"], report["data"]["images"], report["data"]["best_epoch_chosen_on_test"]
    return {**report, "model": {"reference": "float.keras", "resolution_px": 224, "classes": 1000}}


def with_named_paths() -> Json:
    """A report on paths that the user named: one that takes most of a graph, one that the process did not survive."""
    report = of_build()
    pair = {
        "a": "optimized",
        "b": "qnn-htp:v75",
        "agreement": 0.9375,
        "agreement_ci95": [0.7167, 0.9889],
        "max_lsb": 17,
        "max_abs_error": 0.07,
    }
    nothing = dict.fromkeys(("agreement", "agreement_ci95", "max_lsb", "max_abs_error"))
    report["paths"] = named_paths(pair, nothing)
    return report


def named_paths(pair: Json, nothing: Json) -> list[Json]:
    """The entries of two files: of a path compared as `pair`, and of one of which `nothing` is known but why."""
    share = {
        "path": "qnn-htp:v75",
        "taken": 140,
        "total": 144,
        "partitions": 1,
        "left": {"Reshape": 1, "Softmax": 3},
        "executor": "the CPU",
        "device": "Hexagon v75, simulated",
        "arena_bytes": None,
    }
    failed = {"a": "xnnpack", "b": "webgpu", **nothing, "failure": "webgpu crashed (SIGSEGV) & <b>more</b>"}
    return [
        {"file": "a.onnx", "images": 16, "paths": ["optimized", "qnn-htp:v75"], "pairs": [pair], "shares": [share]},
        {"file": "b.tflite", "images": 0, "paths": ["xnnpack", "webgpu"], "pairs": [failed]},
    ]


def with_npu() -> Json:
    """A report on files that were compiled for NPUs: one that answers alike, one that the emulator did not survive."""
    report = of_build()
    compiled = {
        "file": "npu/a_int8_qualcomm-sm8650.onnx",
        "source": "a_int8.onnx",
        "chip": "qualcomm:SM8650",
        "title": "Snapdragon 8 Gen 3",
        "device": "Hexagon v75, simulated",
        "compiler": "onnxruntime-qnn 2.7.0",
        "size_bytes": 2_857_301,
        "sha256": "ab" * 32,
        "images": 16,
        "a": "optimized",
        "b": "qnn-htp:v75",
        "agreement": 0.9375,
        "agreement_ci95": [0.7167, 0.9889],
        "max_lsb": 17,
        "max_abs_error": 0.07,
    }
    nothing = dict.fromkeys(("agreement", "agreement_ci95", "max_lsb", "max_abs_error"))
    failed = {"file": "npu/a_int8_qualcomm-sm8350.tflite", "chip": "qualcomm:SM8350", "title": "Snapdragon 888"}
    failed |= {"images": 0, **nothing, "failure": "qnn-htp:v68 crashed (SIGSEGV) & <b>more</b>"}
    report["npu"] = [compiled, {**compiled, **failed}]
    return report


def with_packages() -> Json:
    """A report on Core ML packages: one that was simulated, one that could not be."""
    report = of_build()
    made = {
        "file": "coreml/a_fp16.mlpackage",
        "precision": "coreml-fp16",
        "target": "iOS15",
        "maker": "coremltools 9.0",
        "device": "simulated here and not run: Core ML needs macOS or iOS",
        "size_bytes": 5_221_323,
        "sha256": {"Manifest.json": "ab" * 32},
        "images": 100,
        "agreement": 0.99,
        "agreement_ci95": [0.9455, 0.9982],
        "max_abs_error": 0.018,
    }
    nothing = dict.fromkeys(("agreement", "agreement_ci95", "max_abs_error"))
    failed = {"file": "coreml/a_w8.mlpackage", "precision": "coreml-w8", "target": "iOS16", "images": 0, **nothing}
    report["coreml"] = [made, {**made, **failed, "failure": "it has the operation erf & <b>more</b>"}]
    return report


def unlabelled() -> Json:
    """A report on images without labels."""
    report = of_build()
    nothing = dict.fromkeys(("top1", "top1_ci95", "top5", "top5_ci95"))
    report["reference"] |= {**nothing, "labelled": False, "chance": None}
    report["reference"]["classes_seen"] = 0
    for entry in report["artifacts"]:
        entry.update({**nothing, "difference": None, "per_class": [], "worst_classes": [], "confusions": []})
        for case in entry["disagreements"]["worst"]:
            case["label"] = None
    return report


def of_labels() -> Json:
    """What `verify` reports on files beside the labels alone."""
    report = of_verify()
    report["model"] |= {"reference": None, "name": report["artifacts"][0]["file"]}
    nothing = dict.fromkeys(("top1", "top1_ci95", "top5", "top5_ci95"))
    report["reference"] |= {**nothing, "name": "the labels of eval", "precision": None, "kind": None}
    compared = ("agreement", "agreement_ci95", "difference", "lsb", "max_abs_error", "mean_abs_error")
    for entry in report["artifacts"]:
        entry.update(dict.fromkeys(compared))
        entry["error_histogram"] = {"edges": [0.0, 1.0], "counts": [0]}
    report["gates"] = [gate for gate in report["gates"] if gate["name"] not in comparing_gates()]
    return report


def barely_measured() -> Json:
    """A report in which all that may be missing is."""
    report = unlabelled()
    report |= dict.fromkeys(("calibration", "sensitivity", "simulation", "health", "qat"))
    report |= {"pairs": [], "speedups": [], "paths": [], "gates": []}
    for entry in report["artifacts"]:
        entry.update(dict.fromkeys(("lsb", "cold_start_ms", "peak_memory_bytes", "max_abs_error", "mean_abs_error")))
        entry.update({"threads": [], "throughput": [], "disagreements": {"count": 0, "worst": []}})
        entry["agreement"], entry["agreement_ci95"] = None, None
        entry["error_histogram"] = {"edges": [], "counts": []}
        entry["latency_ms"] = {"p50": None, "p90": None, "p99": None, "runs": 0, "percentiles": []}
    return report


def of_artifacts(count: int) -> Json:
    """A report on that many artifacts."""
    report = of_build()
    entries = report["artifacts"]
    report["artifacts"] = [
        {**copy.deepcopy(entries[index % 4]), "file": f"network_{index}_{entries[index % 4]['file']}"}
        for index in range(count)
    ]
    return report


KINDS = {
    "build": of_build,
    "verify": of_verify,
    "named paths": with_named_paths,
    "npu": with_npu,
    "packages": with_packages,
    "unlabelled": unlabelled,
    "labels alone": of_labels,
    "barely measured": barely_measured,
    "one artifact": lambda: of_artifacts(1),
    "ten artifacts": lambda: of_artifacts(10),
}
