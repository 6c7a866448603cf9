"""The page of a classifier."""

from typing import Final

from mbexport.report.page.classification.answers import context
from mbexport.report.page.classification.charts import charts, measure
from mbexport.report.page.classification.tiles import classes, tiles
from mbexport.report.page.task_page import (
    ARTIFACTS,
    GATES,
    LAYERS,
    PAIRS,
    PROVENANCE,
    SPEED,
    Section,
    TaskPage,
)

CLASSIFICATION_PAGE: Final = TaskPage(
    folder="classification",
    sections=(
        GATES,
        ARTIFACTS,
        SPEED,
        PAIRS,
        LAYERS,
        Section(id="answers", title="Answers", template="classification/answers.j2"),
        PROVENANCE,
    ),
    measure=measure,
    charts=charts,
    tiles=tiles,
    classes=classes,
    context=context,
)
