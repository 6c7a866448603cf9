"""The pages of all tasks, a row each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mbexport.models.task import Task
from mbexport.report.page.classification.row import CLASSIFICATION_PAGE
from mbexport.report.page.detection.row import DETECTION_PAGE
from mbexport.report.page.numbers import Json
from mbexport.report.page.task_page import TaskPage
from mbexport.report.tasks.registry import task_of

_PAGES: Final[Mapping[Task, TaskPage]] = MappingProxyType(
    {Task.CLASSIFY: CLASSIFICATION_PAGE, Task.DETECT: DETECTION_PAGE}
)


def page_of(report: Json) -> TaskPage:
    """The page of the report's task."""
    return _PAGES[task_of(report)]
