"""The page of a detector."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from mbexport.report.page.detection import anchors, photos
from mbexport.report.page.detection.charts import charts, measure
from mbexport.report.page.detection.tiles import classes, tiles
from mbexport.report.page.numbers import Json
from mbexport.report.page.task_page import (
    ARTIFACTS,
    GATES,
    LAYERS,
    PAIRS,
    PROVENANCE,
    SPEED,
    Pictures,
    Section,
    TaskPage,
)
from mbexport.report.page.view import NumberedArtifact

# A detector's answers are boxes; it sees whole photos; and it has no variants.
_NAMES: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "agreement": "Boxes in common",
        "integer_agreement": "Boxes in common with exact integers",
        "start.agreement": "Boxes in common before",
        "best.agreement": "Boxes in common, best",
        "max_logit_lsb": "Largest distance of an output, LSB",
        "max_bad": "Unreadable images, and boxes of no use, allowed, fraction",
        "io": "Input type of int8 files",
        **dict.fromkeys(("near_ties", "crop_fraction", "conv", "shallow", "minimalistic", "rho")),
    }
)


def _has_anchors_or_tails(report: Json, _charts: Collection[str]) -> bool:
    boxes = report.get("boxes") or {"left_out": 0}
    return bool(report.get("anchors") or boxes["left_out"]) or any(
        entry["anchors"] or entry["tail"] for entry in report["artifacts"]
    )


def _is_trained(_report: Json, charts: Collection[str]) -> bool:
    return "training-ap" in charts or "training-loss" in charts


def _context(report: Json, artifacts: Sequence[NumberedArtifact], pictures: Pictures) -> dict[str, Any]:
    return {**photos.context(report, artifacts, pictures), **anchors.context(report)}


DETECTION_PAGE: Final = TaskPage(
    folder="detection",
    styles=("detection/photos.css",),
    sections=(
        GATES,
        ARTIFACTS,
        Section(id="precision", title="Precision", template="detection/precision.j2"),
        Section(id="photos", title="Photos", template="detection/photos.j2"),
        SPEED,
        PAIRS,
        Section(id="tails", title="Anchors and boxes", template="detection/tails.j2", is_there=_has_anchors_or_tails),
        Section(id="training", title="Training", template="detection/training.j2", is_there=_is_trained),
        LAYERS,
        PROVENANCE,
    ),
    measure=measure,
    charts=charts,
    tiles=tiles,
    classes=classes,
    context=_context,
    names=_NAMES,
)
