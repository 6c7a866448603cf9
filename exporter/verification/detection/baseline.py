"""What detectors are compared with: a network, or the labelled objects alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mbexport.artifact import Precision
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.runner import Runner
from mbexport.formats.subject import DetectorSubject
from mbexport.models.detection.boxes import Detections
from mbexport.models.preprocess import Pixels

Detect = Callable[[Pixels], Sequence[Detections]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What detectors are compared with: a name for people, and a function to the objects in uint8 images.

    Without the function the labelled objects are all that is known. `runner` is the one that it uses, if it uses one:
    no artifact may be in two threads at once. `tail` is what files of the same network should end in, where that is
    known without a file.
    """

    name: str
    detections: Detect | None = None
    runner: Runner | None = None
    tail: DetectionTail | None = None

    @classmethod
    def of(cls, subject: DetectorSubject) -> "Baseline":
        """A detector as what others are compared with."""
        return cls(name=subject.name, detections=subject.detections, runner=subject.runner)

    @property
    def is_network(self) -> bool:
        """Whether it gives detections of its own, that others may lose."""
        return self.detections is not None

    @property
    def precision(self) -> Precision | None:
        """That of a file, fp32 of another network; None for labels."""
        if self.runner is not None:
            return self.runner.precision
        return Precision.FP32 if self.is_network else None
