"""The tasks that reports are on, a row each, and what a report's own row says of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mbexport.models.task import Task
from mbexport.report.formatting import Json
from mbexport.report.tasks.classification import CLASSIFICATION
from mbexport.report.tasks.detection import DETECTION
from mbexport.report.tasks.task import TaskText
from mbexport.verification.gates import comparing_gates

_TEXTS: Final[Mapping[Task, TaskText]] = MappingProxyType({Task.CLASSIFY: CLASSIFICATION, Task.DETECT: DETECTION})


def task_of(report: Json) -> Task:
    """The task that a report is on; those on classifiers do not name it."""
    return Task(report.get("task", Task.CLASSIFY))


def text_of(report: Json) -> TaskText:
    """How the report is told in words."""
    return _TEXTS[task_of(report)]


def network_title(report: Json) -> str:
    """What kind of network it is."""
    model = report["model"]
    return str(model.get("title") or text_of(report).untitled(model))


def compared_with(report: Json) -> str:
    """Say what the artifacts are compared with: a network and its quality, or labels and what these leave out."""
    reference, text = report["reference"], text_of(report)
    images = f"{reference['samples']} images"
    if reference["precision"] is not None:
        return f"{text.quality(reference)} on {images} ({reference['name']})"
    left_out = ", ".join(comparing_gates(text.gates))
    return (
        f"{reference['name']}, {images}; gates that compare with a network are left out ({left_out}): --reference FILE "
        "brings them"
    )
