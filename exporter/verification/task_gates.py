"""The table of gates of each task."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mbexport.models.task import Task
from mbexport.verification.detection.gates import DETECTION_GATES
from mbexport.verification.gates import GATES, Gates

TASK_GATES: Final[Mapping[Task, Gates]] = MappingProxyType({Task.CLASSIFY: GATES, Task.DETECT: DETECTION_GATES})
