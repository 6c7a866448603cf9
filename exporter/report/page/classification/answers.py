"""Prepare what a classifier's page shows of single answers: images that files answer otherwise, and confusions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mbexport.report.page.numbers import Json
from mbexport.report.page.pictures import data_uri
from mbexport.report.page.task_page import Pictures
from mbexport.report.page.view import NumberedArtifact

MOST_IMAGES: Final = 48  # that are shown; the report holds all


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """An image that artifacts answer otherwise than the reference; `answers` are (artifact, answer, its score)."""

    image: str
    label: str | None
    reference: str
    reference_score: float | None
    severity: float
    answers: tuple[tuple[NumberedArtifact, str, float | None], ...]


def context(_report: Json, artifacts: Sequence[NumberedArtifact], pictures: Pictures) -> dict[str, Any]:
    """The names that only the templates of classifiers use; `pictures` of images that are not shown are left out."""
    cases = disagreements(artifacts)
    return {
        "disagreements": cases,
        "confusions_of": confusions_of,
        "pictures": {case.image: data_uri(pictures[case.image]) for case in cases if case.image in pictures},
    }


def disagreements(artifacts: Sequence[NumberedArtifact]) -> list[Disagreement]:
    """The images that artifacts answer otherwise, each once, worst first; at most MOST_IMAGES."""
    by_image: dict[str, list[tuple[NumberedArtifact, Json]]] = {}
    for artifact in artifacts:
        for case in artifact.entry["disagreements"]["worst"]:
            by_image.setdefault(case["image"], []).append((artifact, case))
    cases = [_case(image, answered) for image, answered in by_image.items()]
    return sorted(cases, key=lambda case: (-case.severity, case.image))[:MOST_IMAGES]


def _case(image: str, answered: list[tuple[NumberedArtifact, Json]]) -> Disagreement:
    first = answered[0][1]
    return Disagreement(
        image=image,
        label=first["label"],
        reference=first["reference"],
        reference_score=first["reference_score"],
        severity=max(case["severity"] or 0 for _, case in answered),
        answers=tuple((artifact, case["artifact"], case["artifact_score"]) for artifact, case in answered),
    )


def confusions_of(entry: Json, lost: Json) -> list[Json]:
    """What an artifact answers instead of one of its worst classes, most frequent first."""
    return [answer for answer in entry["confusions"] if answer["class"] == lost["class"]]
