"""The card of a classifier: how pictures are cut, how often it is right, and what published networks lost."""

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from mbexport.escaping.characters import LONGEST_NAME
from mbexport.escaping.markdown import code, prose, table
from mbexport.models.architectures import ARCHITECTURES, Architecture
from mbexport.models.published import Published
from mbexport.models.resolution import Resolution
from mbexport.report.card.images import greyed, named, resized
from mbexport.report.card.task_card import TaskCard
from mbexport.report.formatting import Json
from mbexport.report.tasks.registry import network_title

_WORST: Final = 10


def _about(report: Json) -> str:
    return f"{_architecture(report)} It gives a score for each of {report['model']['classes']} classes."


def _feeding(report: Json) -> list[str]:
    resolution = Resolution.parse(report["model"]["resolution_px"])
    cut = _cut(resolution, 100 * report["data"]["crop_fraction"])
    return [f"A picture is {greyed(report)}cut to {cut}, and {resized(report)}"]


def _cut(resolution: Resolution, percent: float) -> str:
    if resolution.is_square:
        return f"its central square, {percent:g} % of its shorter side"
    height_px, width_px = resolution.sides_px
    common = math.gcd(height_px, width_px)
    ratio = f"{width_px // common}:{height_px // common}"
    return f"its central part of width to height {ratio}, {percent:g} % of the side that limits it"


def _output(entry: Json) -> str:
    return f"{entry['output']['dtype']}, {entry['output']['kind']}"


def _scope(report: Json) -> list[str]:
    classes = report["model"]["classes"]
    return [
        f"Every picture gets one of the {classes} classes, whatever it shows: there is no answer for none of them.",
        *_evaluation(report, classes=classes),
    ]


def _differences(report: Json) -> list[str]:
    lines = []
    for entry in report["artifacts"]:
        count = entry["disagreements"]["count"]
        if count:
            images = f"{count} of {entry['samples']} images"
            lines.append(f"On {images} {entry['file']} answered otherwise than {report['reference']['name']}.")
    return lines


def _architecture(report: Json) -> str:
    """What the network is called, with its paper where it is one that is built here."""
    model, architecture = report["model"], _built(report)
    if architecture is None and model.get("conv") is None:
        return "An image classifier that was imported." if "name" in model else "An image classifier."
    width = "" if model["alpha"] is None else f" of width {model['alpha']:g}"
    kinds = [
        *(["with standard convolutions"] if model["conv"] == "standard" else []),
        *(["without the five blocks of 14 x 14"] if model["shallow"] else []),
        *(["without squeeze-and-excite, h-swish and 5x5 kernels"] if model.get("minimalistic") else []),
    ]
    shape = f", {' and '.join(kinds)}" if kinds else ""
    paper = "" if architecture is None else f" (arXiv {architecture.arxiv})"
    return f"A {network_title(report)}{width}{shape}: an image classifier for phones{paper}."


def _built(report: Json) -> Architecture | None:
    """The architecture of a network that is built here, by its title: reports of older versions have no `family`."""
    title = network_title(report)
    return next((each for each in ARCHITECTURES if each.title == title), None)


def _evaluation(report: Json, *, classes: int) -> list[str]:
    reference = report["reference"]
    images = f"{reference['samples']} images of {named(report['data'])}"
    if not reference["labelled"]:
        return [f"It was compared on {images}, which have no labels: how often it is right is not known here."]
    unseen = classes - reference["classes_seen"]
    missing = f"; nothing is known of the other {unseen}" if unseen > 0 else ""
    return [f"Its accuracy is that on {images}, which show {reference['classes_seen']} of its classes{missing}."]


def _published(report: Json) -> list[str]:
    """What others lost with a network of these multipliers: for comparison, not measured here."""
    architecture = _built(report)
    found = None if architecture is None else _same_network(architecture, report["model"])
    if architecture is None or found is None:
        return []
    return [
        f"For comparison, not measured here: quantizing the published network of this size took its top-1 on ImageNet "
        f"from {found.top1_float:.1%} to {found.top1_int8:.1%} ({architecture.quantized_source})."
    ]


def _same_network(architecture: Architecture, model: Json) -> Published | None:
    """The quantized checkpoint of a network with the same width, resolution and options."""
    for row in architecture.published:
        same = {"alpha": row.alpha, "resolution_px": row.spec.resolution.json, **row.spec.variant}
        if row.top1_int8 is not None and all(model.get(name) == value for name, value in same.items()):
            return row
    return None


def _classes(artifacts: Sequence[Json]) -> str:
    """The classes that lost most, of all files."""
    found = [(row, entry["file"]) for entry in artifacts for row in entry["worst_classes"]]
    found.sort(key=lambda pair: pair[0]["right"] - pair[0]["reference_right"])
    rows = [
        [
            prose(row["label"], LONGEST_NAME),
            code(file),
            *(str(row[key]) for key in ("images", "reference_right", "right")),
        ]
        for row, file in found[:_WORST]
    ]
    names = ("class", "file", "images", "float right", "file right")
    return table(names, rows, texts=2) if rows else ""


CLASSIFICATION_CARD: Final = TaskCard(
    tag="image-classification",
    title="Image Classification",
    metric="accuracy",
    metrics=MappingProxyType({"top1": "top-1 accuracy", "top5": "top-5 accuracy"}),
    about=_about,
    feeding=_feeding,
    output=_output,
    made=lambda _report: [],
    scope=_scope,
    differences=_differences,
    published=_published,
    speeds=lambda _report: [],
    classes=_classes,
    classes_title="Classes that lost most",
)
