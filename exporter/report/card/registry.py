"""The cards of all tasks, a row each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mbexport.models.task import Task
from mbexport.report.card.classification import CLASSIFICATION_CARD
from mbexport.report.card.detection import DETECTION_CARD
from mbexport.report.card.task_card import TaskCard
from mbexport.report.formatting import Json
from mbexport.report.tasks.registry import task_of

_CARDS: Final[Mapping[Task, TaskCard]] = MappingProxyType(
    {Task.CLASSIFY: CLASSIFICATION_CARD, Task.DETECT: DETECTION_CARD}
)


def card_of(report: Json) -> TaskCard:
    """What the card says of the report's task."""
    return _CARDS[task_of(report)]


def tag_of(task: Task) -> str:
    """What the Hugging Face Hub calls a task: `object-detection`."""
    return _CARDS[task].tag
