"""The card of a detector: that pictures are fed whole, what its boxes mean, how good it is at which objects."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from mbexport.escaping.characters import LONGEST_NAME
from mbexport.escaping.markdown import code, prose, table
from mbexport.models.architectures import DETECTORS
from mbexport.report.card.images import greyed, named, resized
from mbexport.report.card.task_card import TaskCard
from mbexport.report.formatting import Json, number
from mbexport.report.tasks.detection import anchors_line, boxes_line, coverage_line, tail_line
from mbexport.report.tasks.registry import network_title

_WORST: Final = 10
_USUAL_STRIDE: Final = 16
_RAW: Final = (
    "Delegates of GPUs and NPUs refuse the op that makes boxes. For them there are files that end before it. What "
    "comes out are codes and scores at anchors: MediaPipe's ObjectDetector makes boxes of them by itself, other apps "
    "by code of their own. In the figures below that was done with the usual thresholds:"
)
_SIZES: Final = {"small": "those below 32 x 32 pixels", "medium": "those below 96 x 96", "large": "larger ones"}


def _about(report: Json) -> str:
    most = _most(report)
    return (
        f"{_architecture(report)} It finds up to {most} objects of {report['model']['classes']} classes in a picture: "
        "each has a class, a score and a box."
    )


def _architecture(report: Json) -> str:
    """What the network is called, with its paper where it is one that is built here."""
    model, title = report["model"], network_title(report)
    if model.get("alpha") is None:
        return "An object detector that was imported." if "name" in model else "An object detector."
    stride = model.get("feature_stride")
    finer = f" and maps of stride {stride}" if stride and stride != _USUAL_STRIDE else ""
    papers = [f" (arXiv {each.arxiv})" for each in DETECTORS if each.title == title]
    return f"An object detector for phones: {title} of width {model['alpha']:g}{finer}{''.join(papers)}."


def _feeding(report: Json) -> list[str]:
    raw = [entry["file"] for entry in report["artifacts"] if entry["output"]["raw"]]
    return [
        f"The whole picture is fed: it is {greyed(report)}stretched to the shape of the input, whatever its own. "
        f"Nothing is cut off, and no border is added. It is {resized(report)}",
        "A box is the top, left, bottom and right edge (ymin, xmin, ymax, xmax) of an object as fractions of the "
        "picture's height and width, 0 to 1: times the height and width of the photo itself they are its pixels. The "
        "answer has room for more boxes than there are: those from the number of detections on mean nothing. The best "
        "scores come first, and a score is no probability: choose the least that an app shows on photos of its own.",
        *([f"{_RAW} {' and '.join(raw)}."] if raw else []),
    ]


def _output(entry: Json) -> str:
    found = entry["output"]
    if found["raw"]:
        return f"{found['dtype']}, codes and scores at the {entry['anchors']['count']} anchors in its metadata"
    limits = [
        *([] if found["score_threshold"] is None else [f"score at least {found['score_threshold']:g}"]),
        *([] if found["iou_threshold"] is None else [f"of a class overlapping at most {found['iou_threshold']:g}"]),
    ]
    return ", ".join([f"{found['dtype']}, up to {found['detections']} boxes", *limits])


def _made(report: Json) -> list[str]:
    """Which anchors the network has, and which boxes of the data nobody could learn."""
    lines = []
    if shapes := report.get("anchors"):
        scales, ratios = (" ".join(f"{value:.3g}" for value in shapes[key]) for key in ("scales", "ratios"))
        lines.append(
            f"It corrects {shapes['count']:,} anchors: boxes of scales {scales} (and {shapes['lowest_scale']:.3g} in "
            f"the finest map) and of ratios of width to height {ratios}."
        )
    chosen, left_out = anchors_line(report), boxes_line(report)
    return lines + [f"{line[0].upper()}{line[1:]}." for line in (chosen, left_out) if line is not None]


def _scope(report: Json) -> list[str]:
    coverage = coverage_line(report)
    return [
        f"It knows {report['model']['classes']} classes: other objects are not seen, or taken for one of these. Of "
        f"more than {_most(report)} objects in a picture some are not found.",
        _evaluation(report),
        *_by_size(report),
        *([f"{coverage}: such objects are found less surely."] if coverage else []),
    ]


def _evaluation(report: Json) -> str:
    reference, classes = report["reference"], report["model"]["classes"]
    unseen = classes - reference["classes_seen"]
    missing = f"; nothing is known of the other {unseen}" if unseen > 0 else ""
    return (
        f"Its precision is that on {reference['samples']} images of {named(report['data'])} with "
        f"{reference['objects']:,} objects of {reference['classes_seen']} of its classes{missing}."
    )


def _by_size(report: Json) -> list[str]:
    """AP of small, medium and large objects: the reference's, beside labels alone that of the first file."""
    entry = report["reference"] if report["reference"]["precision"] is not None else report["artifacts"][0]
    found = [f"{entry['ap_by_size'][size]:.3f} of {extent}" for size, extent in _SIZES.items() if _has(entry, size)]
    name = entry.get("name") or entry["file"]
    return [f"By the objects' size in the photo, the AP of {name} is {', '.join(found)}."] if found else []


def _has(entry: Json, size: str) -> bool:
    return entry["ap_by_size"].get(size) is not None


def _speeds(report: Json) -> list[str]:
    line = tail_line(report)
    return [f"Here {line}."] if line else []


def _classes(artifacts: Sequence[Json]) -> str:
    """The classes that lost most, of all files; beside labels alone, those that are found least."""
    found = [(row, entry["file"]) for entry in artifacts for row in entry["per_class"]]
    found.sort(key=lambda pair: (pair[0]["ap"] or 0) - (pair[0]["reference_ap"] or 0))
    rows = [
        [
            prose(row["label"], LONGEST_NAME),
            code(file),
            str(row["objects"]),
            *(number(row[key], ".3f") for key in ("reference_ap", "ap", "reference_ap50", "ap50")),
        ]
        for row, file in found[:_WORST]
    ]
    names = ("class", "file", "objects", "float AP", "file AP", "float AP50", "file AP50")
    return table(names, rows, texts=2) if rows else ""


def _most(report: Json) -> int:
    """The most detections that any of the files gives."""
    return max(int(entry["output"]["detections"]) for entry in report["artifacts"])


DETECTION_CARD: Final = TaskCard(
    tag="object-detection",
    title="Object Detection",
    metric="mAP",
    metrics=MappingProxyType({"ap": "COCO AP", "ap50": "COCO AP50"}),
    about=_about,
    feeding=_feeding,
    output=_output,
    made=_made,
    scope=_scope,
    differences=lambda _report: [],
    published=lambda _report: [],
    speeds=_speeds,
    classes=_classes,
    classes_title="AP by class, those first that lost most",
)
