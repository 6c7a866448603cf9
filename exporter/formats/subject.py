"""An opened artifact that is compared: how it is fed images, and how its outputs are read."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import TensorSpec
from mbexport.formats.classifier import Classifier
from mbexport.formats.detector import Detector
from mbexport.formats.runner import Runner
from mbexport.models.detection.boxes import Detections
from mbexport.models.facts import Output
from mbexport.models.preprocess import Pixels, Preprocess


class Source(StrEnum):
    """Who says what numbers an input expects."""

    METADATA = "metadata"  # the file, in words
    QUANTIZATION = "quantization"  # what the codes of the file's input stand for
    MODEL = "model"  # the network rescales bytes itself
    OPTION = "option"  # the user


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """An artifact and how it is fed bytes.

    `preprocess` holds the normalization that this file expects, said by `source`. With `takes_bytes` each byte is the
    code that the file has for it, where it has codes; without, it becomes the code nearest to what `preprocess` makes
    of it. `conflict` is a sentence on a file whose words and codes cannot both be right; it is fed what its words say.
    """

    runner: Runner
    preprocess: Preprocess
    source: Source
    takes_bytes: bool = True
    conflict: str | None = None

    @property
    def name(self) -> str:
        """The artifact's file name."""
        return self.runner.name

    @property
    def batch(self) -> int:
        """The images of one inference."""
        return self.runner.batch

    def feeds(self, pixels: Pixels) -> NDArray[Any]:
        """The input tensors for uint8 images (n, h, w, channels), in the order and the type of the file."""
        return self.runner.prepare(pixels, self.preprocess, takes_bytes=self.takes_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSubject(Fed):
    """A detector that is compared: `detector` is the artifact as what finds objects.

    Raises `DataError` for a runner whose outputs are not those of a detector.
    """

    detector: Detector = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "detector", Detector(self.runner))  # once: it may read anchors from the file

    @property
    def is_raw(self) -> bool:
        """Whether it gives raw heads, which apps decode."""
        return self.detector.decoding is not None

    def detections(self, pixels: Pixels) -> tuple[Detections, ...]:
        """What is found in each of uint8 images (n, h, w, channels), boxes in fractions of these."""
        return self.detector.detections(self.feeds(pixels))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(Fed):
    """A classifier that is compared: how it is fed bytes, and how its scores are read.

    With `skips_background` the first score is of no class of the data, and is left out everywhere. Raises `DataError`
    for a runner whose output is no row of scores.
    """

    kind: Output
    skips_background: bool = False

    def __post_init__(self) -> None:
        Classifier(self.runner)

    @property
    def classifier(self) -> Classifier:
        """The artifact as what gives scores, those of a background among them."""
        return Classifier(self.runner)

    @property
    def classes(self) -> int:
        """The number of scores that are compared."""
        return self.classifier.classes - self.skips_background

    @property
    def output(self) -> TensorSpec:
        """The output (batch, scores), a background's score among them."""
        return self.classifier.output

    def raw(self, pixels: Pixels) -> NDArray[Any]:
        """The raw outputs (n, classes) for uint8 images (n, h, w, channels)."""
        return self.classifier.raw(self.feeds(pixels))[:, int(self.skips_background) :]

    def scores(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Raw outputs (n, classes) as real numbers."""
        return self.classifier.scores(raw)

    def probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores (n, classes) as numbers in 0..1, in which two artifacts can be compared; none is rounded anew."""
        return probabilities(scores, self.kind)


def probabilities(scores: NDArray[np.float32], kind: Output) -> NDArray[np.float64]:
    """What `scores` (n, classes) of that kind say of each class, in 0..1: logits go through a softmax."""
    wide = scores.astype(np.float64)
    if kind is not Output.LOGITS:
        return wide
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    normalized: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return normalized
