"""Examples of reports on detectors of blood cells, built from a few numbers: of a build, and as other runs have them.

What detectors have in common with classifiers (tool, machine, times, files) is that of the classifiers' example.
"""

import copy
import math
from typing import Any

from detectors_by_hand import OUTPUT
from example_reports import OF_BUILDS, named_paths, of_build

from mbexport.verification.detection.gates import DETECTION_GATES
from mbexport.verification.gates import comparing_gates

Json = dict[str, Any]
STEM = "ssd_mobilenet_v1_stride8_0.25_192"
CLASSES = ("Platelets", "RBC", "WBC")
FP32, FP32_ONNX, INT8, INT8_ONNX = range(4)  # places of artifacts
IMAGES, OBJECTS = 72, 958
# Of each precision: AP, AP50, AP75, what was lost, what was kept, and by class AP and AP50.
_QUALITY = {
    "fp32": (0.4271, 0.7683, 0.4211, 0.0, 1.0, ((0.241, 0.612), (0.412, 0.741), (0.628, 0.952))),
    "int8": (0.4238, 0.7664, 0.4152, 0.0033, 0.934, ((0.236, 0.609), (0.409, 0.739), (0.626, 0.951))),
}
_BOXES = (  # ymin, xmin, ymax, xmax, class, score
    (0.05, 0.08, 0.34, 0.31, 1, 0.91),
    (0.12, 0.52, 0.44, 0.76, 1, 0.88),
    (0.40, 0.28, 0.86, 0.66, 2, 0.97),
    (0.55, 0.74, 0.84, 0.95, 1, 0.64),
    (0.71, 0.05, 0.80, 0.13, 0, 0.48),
    (0.02, 0.88, 0.22, 1.0, 1, 0.37),
)


def of_detector() -> Json:
    """A build of a detector on 72 photos of blood cells, to be changed."""
    report, usual = of_build(), of_build()
    report["task"] = "detect"
    report["model"] = _model(usual["model"])
    report["data"] |= {"name": "bccd"}
    report["options"] |= {"epochs": 60}
    report["training"] = [_epoch(number) for number in range(1, 61)]
    report["calibration"]["sites"][-1]["site"] = "classes_5"
    report["sensitivity"]["measure"] = "Kullback-Leibler divergence"
    report |= {"simulation": None, "tried_normalizations": None, "import_agreement": None}
    report |= {"anchors": _anchor_shapes(), "boxes": _data_boxes()}
    report["reference"] = _reference()
    report["artifacts"] = [_artifact(usual["artifacts"][place], place) for place in range(4)]
    names = [entry["file"] for entry in report["artifacts"]]
    timed = {"latency_ratio": 0.84, "latency_ratio_ci95": [0.81, 0.87]}
    report["pairs"] = [
        {"a": names[FP32], "b": names[FP32_ONNX], "is_twin": True, "conflict": None, **_shared(1.0, 1.0), **timed},
        {"a": names[INT8], "b": names[INT8_ONNX], "is_twin": True, "conflict": None, **_shared(0.997, 0.944), **timed},
    ]
    report["paths"] = [
        {
            "file": names[INT8],
            "images": 20,
            "paths": ["xnnpack", "reference"],
            "pairs": [_path("xnnpack", "reference")],
        },
        {
            "file": names[INT8_ONNX],
            "images": 20,
            "paths": ["optimized", "unoptimized"],
            "pairs": [_path("optimized", "unoptimized")],
        },
    ]
    report["speedups"] = [
        {**ratio, "a": names[place], "b": names[place + INT8]} for place, ratio in enumerate(usual["speedups"])
    ]
    report["gates"] = [_gate("samples", 72), _gate("ap_drop", 0.0033, [-0.0041, 0.0107], names[INT8], "undecided")]
    report["gates"] += [_gate("paired", 0.934, [0.918, 0.949], names[INT8]), _gate("boxes_inside", 1, None, names[0])]
    report["passed"] = True
    return report


def of_verified_detector() -> Json:
    """What `verify` reports: nothing of how the artifacts were made."""
    of_builds = (*OF_BUILDS, "tried_normalizations", "import_agreement", "anchors")
    report = {key: value for key, value in of_detector().items() if key not in of_builds}
    del report["tool"]["version"], report["data"]["images"], report["data"]["best_epoch_chosen_on_test"]
    del report["data"]["calibration_fingerprint"]
    return {**report, "model": {"reference": "float.tflite", "resolution_px": 192, "classes": len(CLASSES)}}


def through_named_paths() -> Json:
    """A report on paths that the user named: one that takes most of a graph, one that the process did not survive."""
    report = of_verified_detector()
    nothing = {**dict.fromkeys((*_NOT_SHARED, "alike", "alike_ci95")), "paired_count": 0, "paired_back_count": 0}
    report["paths"] = named_paths(_path("optimized", "qnn-htp:v75"), nothing)
    return report


def beside_objects() -> Json:
    """What `verify` reports on files beside the labelled objects alone."""
    report = of_verified_detector()
    report["model"] |= {"reference": None, "name": report["artifacts"][0]["file"]}
    unknown = {**dict.fromkeys(report["reference"]), "ap_by_size": {}, "curve": [], "per_class": [], "labelled": True}
    known = {name: report["reference"][name] for name in ("samples", "objects", "classes_seen")}
    report["reference"] = {**unknown, **known, "name": "the labels of bccd"}
    compared = ("ap_drop", "ap_drop_ci95", "ap50_drop", "ap50_drop_ci95", *_NOT_SHARED)
    for entry in report["artifacts"]:
        entry |= {**dict.fromkeys(compared), "paired_count": 0, "paired_back_count": 0}
        entry["per_class"] = [{**row, "reference_ap": None, "reference_ap50": None} for row in entry["per_class"]]
        for image in entry["worst_images"]:
            image["reference"] = [{**each, "score": 1.0} for each in image["reference"]]
    report["gates"] = [each for each in report["gates"] if each["name"] not in comparing_gates(DETECTION_GATES)]
    return report


def anybodys() -> Json:
    """Two files of somebody else: their tails and anchors are not known, nothing was timed, one finds nothing."""
    report = of_verified_detector()
    report |= {"pairs": [], "speedups": [], "paths": [], "gates": [], "passed": False}
    report["artifacts"] = report["artifacts"][:2]
    untimed = {"p50": None, "p90": None, "p99": None, "runs": 0, "percentiles": []}
    for entry in report["artifacts"]:
        entry |= {"anchors": None, "tail": None, "latency_ms": untimed, "threads": [], "throughput": []}
        entry |= {"cold_start_ms": None, "peak_memory_bytes": None, "worst_images": [], "labels_matched": None}
        entry["output"] |= {"detections": 10, "score_threshold": None, "iou_threshold": None}
    nothing = report["artifacts"][1]
    nothing |= {**dict.fromkeys((*_NOT_SHARED, "inside", "ordered")), "paired_count": 0, "paired_back_count": 0}
    nothing |= {"ap": 0.0, "ap50": 0.0, "ap75": 0.0, "ap_ci95": None, "ap50_ci95": None, "curve": [0.0] * 101}
    return report


def of_detectors(count: int) -> Json:
    """A report on that many files."""
    report = of_detector()
    entries = report["artifacts"]
    report["artifacts"] = [
        {**copy.deepcopy(entries[index % 4]), "file": f"network_{index}_{entries[index % 4]['file']}"}
        for index in range(count)
    ]
    return report


def with_long_labels() -> Json:
    """Classes whose names are sentences."""
    report = of_detector()
    for entry in report["artifacts"]:
        for row in entry["per_class"]:
            row["label"] += " of a person who gave blood on a rainy day in November"
        for image in entry["worst_images"]:
            for found in (*image["reference"], *image["artifact"]):
                found["label"] += " of a person who gave blood on a rainy day in November"
    return report


def of_crowds() -> Json:
    """Photos with many boxes side by side, of which every third has moved."""
    report = of_detector()
    grid = [(row / 6, column / 7, (row + 1.3) / 6, (column + 1.2) / 7) for row in range(5) for column in range(6)]
    cells = [(*corners, 1, round(0.95 - 0.02 * place, 2)) for place, corners in enumerate(grid)]
    for entry in report["artifacts"]:
        for image in entry["worst_images"]:
            image["reference"] = [_box(cell, is_paired=place % 3 > 0) for place, cell in enumerate(cells)]
            image["artifact"] = [_box(_moved(cell), is_paired=place % 3 > 0) for place, cell in enumerate(cells)]
            image["lost"] = image["invented"] = 10
    return report


def with_bad_boxes() -> Json:
    """A build on data with boxes that cannot be used: some of a click alone, and those of a photo that is missing."""
    report = of_detector()
    area = {"fault": "without an area", "problem": "box 3 must have an area, got 7 9 7 9", "boxes": 1}
    files = [f"Annotations/BloodImage_{number:05}.xml" for number in range(6)]
    gone = {"fault": "of a missing image", "problem": "image a.jpg must be there, got none", "boxes": 4}
    report["boxes"] |= {
        "left_out": 10,
        "listed": [
            *({**area, "part": "train", "file": file} for file in files),
            {**gone, "part": "test", "file": "Annotations/a.xml"},
        ],
    }
    train, _, test = report["boxes"]["parts"]
    train["left_out"], test["left_out"] = {"without an area": 6}, {"of a missing image": 4}
    return report


DETECTORS = {
    "detector": of_detector,
    "verified detector": of_verified_detector,
    "beside objects": beside_objects,
    "named paths": through_named_paths,
    "anybody's detectors": anybodys,
    "one detector": lambda: of_detectors(1),
    "ten detectors": lambda: of_detectors(10),
    "crowds": of_crowds,
    "long labels": with_long_labels,
    "bad boxes": with_bad_boxes,
}

_NOT_SHARED = ("paired", "paired_ci95", "paired_back", "paired_back_ci95", "score_error")


def _model(usual: Json) -> Json:
    told = {"name": STEM, "family": "ssd_mobilenet_v1", "title": "SSD MobileNet v1", "trained_here": True}
    size = {"alpha": 0.25, "resolution_px": 192, "rho": None, "classes": len(CLASSES), "output": "detections"}
    return {
        **usual,
        **told,
        **size,
        "conv": None,
        "shallow": None,
        "feature_stride": 8,
        "mult_adds": 98_000_000,
        "parameters": 744_508,
    }


def _anchor_shapes() -> Json:
    usual = {"table": "0.2-0.95", "verdict": "what TensorFlow's detectors have", "is_chosen": False}
    return {
        "count": 7_032,
        "scales": [0.2, 0.35, 0.5, 0.65, 0.8, 0.95],
        "ratios": [1.0, 2.0, 0.5, 3.0, 1 / 3],
        "lowest_scale": 0.1,
        "code_scales": [10.0, 10.0, 5.0, 5.0],
        "boxes": 2_804,
        "candidates": [
            {**usual, "feature_stride": 16, "uncovered": 0.2904, "uncovered_class_mean": 0.289},
            {
                **usual,
                "feature_stride": 8,
                "uncovered": 0.0688,
                "uncovered_class_mean": 0.115,
                "verdict": "chosen, at least 10 points less",
                "is_chosen": True,
            },
        ],
    }


def _data_boxes() -> Json:
    counts = {"train": 2_805, "val": 1_124, "test": 959}
    parts = [{"part": part, "checked": count, "left_out": {}} for part, count in counts.items()]
    return {"checked": sum(counts.values()), "left_out": 0, "parts": parts, "listed": []}


def _epoch(number: int) -> Json:
    """The figures of an epoch; those of validation are there every fifth one, as where only some are evaluated."""
    figures: Json = {"loss": 1.9 / math.sqrt(number), "learning_rate": 0.01 * (61 - number) / 60}
    found = 0.43 * (1 - math.exp(-number / 14))
    return figures | (
        {"val_loss": 2 / math.sqrt(number), "val_ap": found, "val_ap50": 1.78 * found} if not number % 5 else {}
    )


def _around(value: float, width: float) -> list[float]:
    return [round(value - width, 4), round(min(1.0, value + width), 4)]


def _curve(ap50: float) -> list[float]:
    """Precision at 101 recalls that falls, with a mean near `ap50`."""
    return [round(max(0.0, 1 - (recall / 100) ** (2 + 6 * ap50)) if recall < 97 else 0.0, 4) for recall in range(101)]


def _quality(precision: str) -> Json:
    ap, ap50, ap75, *_ = _QUALITY[precision]
    return {
        "ap": ap,
        "ap_ci95": _around(ap, 0.019),
        "ap50": ap50,
        "ap50_ci95": _around(ap50, 0.021),
        "ap75": ap75,
        "ap_by_size": {"small": 0.11, "medium": 0.395, "large": 0.472},
        "chance": 0.064,
        "otherwise": {"reading": "x and y of the labelled boxes swapped", "ap50": 0.137},
        "curve": _curve(ap50),
    }


def _rows(precision: str) -> list[Json]:
    counts = (71, 817, 70)
    return [
        {"class": index, "label": label, "objects": counts[index], "ap": ap, "ap50": ap50, "curve": _curve(ap50)}
        for index, (label, (ap, ap50)) in enumerate(zip(CLASSES, _QUALITY[precision][-1], strict=True))
    ]


def _reference() -> Json:
    told = {"name": "Keras, float", "precision": "fp32", "labelled": True, "samples": IMAGES, "objects": OBJECTS}
    return {**told, "classes_seen": len(CLASSES), **_quality("fp32"), "per_class": _rows("fp32")}


def _shares(kept: float) -> Json:
    width = 0.0 if kept == 1 else 0.015
    shares = {"paired": kept, "paired_ci95": _around(kept, width), "paired_count": 912}
    back = {"paired_back": kept, "paired_back_ci95": _around(kept, width), "paired_back_count": 905}
    return {**shares, **back, "score_error": 0.012}


def _shared(kept: float, alike: float) -> Json:
    return {**_shares(kept), "alike": alike, "alike_ci95": [round(alike - 0.05, 4), alike]}


def _path(a: str, b: str) -> Json:
    return {"a": a, "b": b, **_shared(0.981, 0.65)}


def _artifact(usual: Json, place: int) -> Json:
    """A file like one of the classifiers' example, which tells of a detector."""
    _, _, _, drop, kept, _ = _QUALITY[usual["precision"]]
    of_classifiers = ("top1", "top5", "agreement", "difference", "max_abs", "mean_abs", "score_error", "error_")
    left_out = (*of_classifiers, "lsb", "tied", "worst_classes", "confusions", "disagreements", "per_class")
    is_int8 = usual["precision"] == "int8"
    rows = zip(_rows(usual["precision"]), _rows("fp32"), strict=True)
    return {
        **{key: value for key, value in usual.items() if not key.startswith(left_out)},
        "file": f"{STEM}_{usual['precision']}.{usual['format']}",
        "size_bytes": (3_021_440, 3_105_112, 1_012_224, 1_030_400)[place],
        "samples": IMAGES,
        "output": dict(OUTPUT),
        **_quality(usual["precision"]),
        "ap_drop": drop,
        "ap_drop_ci95": _around(drop, 0.0074 if is_int8 else 0.0),
        "ap50_drop": drop / 2,
        "ap50_drop_ci95": _around(drop / 2, 0.009 if is_int8 else 0.0),
        **_shares(kept),
        "inside": 1.0,
        "ordered": 1.0,
        "distinct_outputs": IMAGES,
        "per_class": [{**row, "reference_ap": other["ap"], "reference_ap50": other["ap50"]} for row, other in rows],
        "worst_images": [_image(number) for number in range(6)] if is_int8 else [],
        "anchors": {"count": 7_032, "objects": OBJECTS, "uncovered": 0.0491, "uncovered_ci95": [0.0371, 0.0647]},
        "tail": {
            "same_as_reference": True,
            "conflict": None,
            "images": 20,
            "alike": 1.0,
            "alike_ci95": [0.8389, 1.0],
            "network_ms": 0.8 * usual["latency_ms"]["p50"],
            "network_share": 0.8,
            "network_share_ci95": [0.77, 0.83],
        },
        "labels_matched": 1.0,
        "labels_problem": None,
    }


def _image(number: int) -> Json:
    """The worst images: the file loses the fourth box of the reference and finds one that is not there."""
    seen = _BOXES[: 3 + number % 4]
    return {
        "image": f"JPEGImages/BloodImage_{number:05}.jpg",
        "lost": int(len(seen) > 3),
        "invented": 1,
        "reference": [_box(box, is_paired=place != 3) for place, box in enumerate(seen)],
        "artifact": [
            *(_box(_moved(box), is_paired=True) for place, box in enumerate(seen) if place != 3),
            _box((0.60, 0.70, 0.82, 0.99, 1, 0.41), is_paired=False),
        ],
    }


def _moved(box: tuple[float, ...]) -> tuple[float, ...]:
    return (*(round(min(1.0, side + 0.008), 4) for side in box[:4]), box[4], round(box[5] - 0.03, 4))


def _box(box: tuple[float, ...], *, is_paired: bool) -> Json:
    return {"box": list(box[:4]), "label": CLASSES[int(box[4])], "score": box[5], "paired": is_paired}


def _gate(
    name: str, value: float, ci95: list[float] | None = None, subject: str | None = None, verdict: str = "pass"
) -> Json:
    row = DETECTION_GATES[name]
    told = {"name": name, "value": value, "ci95": ci95, "limit": row.limit, "direction": row.direction}
    words = {"verdict": verdict, "passed": True, "meaning": row.meaning, "advice": row.advice}
    return {**told, **words, "subject": subject, "reason": None}
