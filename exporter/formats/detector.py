"""Read an artifact's outputs as the objects that a detector found: its four, or the codes and scores of its anchors."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import TensorSpec
from mbexport.errors import DataError
from mbexport.formats.contents import decoding_of
from mbexport.formats.detection_tail import CATEGORY, LOCATION, NUMBER, OUTPUTS, RAW_OUTPUTS, SCORE, Decoding
from mbexport.formats.runner import Runner
from mbexport.models.detection.boxes import Detections
from mbexport.models.detection.postprocess import detect
from mbexport.models.detection.settings import PostProcess

# What the files of TensorFlow's Object Detection API call their outputs: those made with TensorFlow 1, whose frozen
# graph ends in the op itself, and with TensorFlow 2, whose function gives the number first.
_OP: Final = "TFLite_Detection_PostProcess"
_FUNCTION: Final = "StatefulPartitionedCall"
_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{name: name for name in OUTPUTS},
        **{f"{_OP}:{number}" if number else _OP: name for number, name in enumerate(OUTPUTS)},
        **{f"{_FUNCTION}:{number}": name for number, name in enumerate((NUMBER, SCORE, CATEGORY, LOCATION))},
    }
)


# What is done with raw heads, whose file leaves that to apps: what our other files do.
_USUAL: Final = PostProcess()


class Detector:
    """A runner whose outputs are the boxes (1, most, 4), classes (1, most), scores (1, most) and number of detections.

    They are known by their names or, where these say nothing, by their shapes: of the two of one shape the classes
    come first, as TensorFlow Lite's own op gives them. Of a file with raw heads, codes `location` (1, n, 4) and
    `score` (1, n, classes), `decoding` is what it says of them, and they are decoded here; of others that is None.
    Raises `DataError` for a runner with other outputs, and for one that takes several images at a time.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.decoding = _decoding(runner)
        places = _places_of(runner.outputs)
        if self.decoding is None and not places:
            raise DataError(
                f"{runner.path}: a detector must give boxes (1, n, 4), classes (1, n), scores (1, n) and their number "
                f"(1,), got {_in_words(runner.outputs)}"
            )
        self._places = places
        if runner.batch != 1:
            raise DataError(f"{runner.path}: a detector must take one image at a time, got a batch of {runner.batch}")

    @property
    def names(self) -> tuple[str, ...]:
        """Which of the four each output of the file is, in the file's order; none for raw heads."""
        return tuple(sorted(self._places, key=self._places.__getitem__))

    @property
    def most(self) -> int:
        """How many objects it finds in an image at most; -1 if the file leaves that open."""
        if self.decoding is not None:
            return _USUAL.max_detections
        return self.runner.outputs[self._places[SCORE]].shape[1]

    def invoke(self, feed: NDArray[Any]) -> Detections:
        """What is found in the image whose prepared input is `feed` (1, ...).

        Raises `DataError` for an artifact that loads but cannot be run, and for outputs that are no detections.
        """
        raw = self.runner.invoke(feed)
        if self.decoding is not None:
            return self._decoded(raw, self.decoding)
        corners, classes, scores, number = (np.asarray(raw[self._places[name]]) for name in OUTPUTS)
        count = number.reshape(-1)[0]
        if not (0 <= count <= scores.shape[1] and count == int(count)):
            raise DataError(f"{self.runner.path}: it must find from 0 to {scores.shape[1]} objects, got {count:g}")
        corners, classes, scores = (each[0, : int(count)] for each in (corners, classes, scores))
        for value in classes[~((classes >= 0) & (classes == np.floor(classes)))][:1]:
            raise DataError(f"{self.runner.path}: the class of a box must be a whole number from 0, got {value:g}")
        self._require_scores(scores)
        return Detections.of(corners, classes, scores)

    def detections(self, feeds: NDArray[Any]) -> tuple[Detections, ...]:
        """What is found in each of n images, for their prepared inputs (n, ...)."""
        return tuple(self.invoke(feeds[place : place + 1]) for place in range(len(feeds)))

    def _decoded(self, raw: Sequence[NDArray[Any]], decoding: Decoding) -> Detections:
        """What codes and scores at all anchors say, in floats or in integers with a scale."""
        named = {
            spec.name: np.asarray(values, np.float32) if spec.affine is None else spec.affine.dequantize(values)
            for spec, values in zip(self.runner.outputs, raw, strict=True)
        }
        codes, scores = (named[name][0] for name in RAW_OUTPUTS)
        self._require_scores(scores)
        return detect(codes, scores, decoding.anchors, decoding.code_scales, _USUAL)

    def _require_scores(self, scores: NDArray[Any]) -> None:
        for value in scores[~((scores >= 0) & (scores <= 1))][:1]:
            raise DataError(f"{self.runner.path}: the score of a box must be from 0 to 1, got {value:g}")


def _decoding(runner: Runner) -> Decoding | None:
    """How the outputs of a file with raw heads are decoded; None for other outputs.

    Raises `DataError` where the file does not say it, or says it of other outputs.
    """
    if not _is_raw(runner.outputs):
        return None
    try:
        found = decoding_of(runner)
    except DataError as error:
        raise DataError(f"{runner.path}: {error}") from None
    if found is None:
        raise DataError(f"{runner.path}: a detector with raw heads must hold their anchors in its metadata, got none")
    count = len(found.anchors)
    codes, scores = (1, count, 4), (1, count, found.classes)
    if {target.name: target.shape for target in runner.outputs} != {LOCATION: codes, SCORE: scores}:
        raise DataError(
            f"{runner.path}: with {count} anchors and {found.classes} classes in its metadata a detector must give "
            f"{LOCATION} {codes} and {SCORE} {scores}, got {_in_words(runner.outputs)}"
        )
    return found


def _is_raw(targets: Sequence[TensorSpec]) -> bool:
    """Whether the outputs are called as raw heads are."""
    return sorted(target.name for target in targets) == sorted(RAW_OUTPUTS)


def is_detector(runner: Runner) -> bool:
    """Whether the outputs are those of a detector, whatever they are called, or raw heads."""
    return _is_raw(runner.outputs) or bool(_places_of(runner.outputs))


def _places_of(targets: Sequence[TensorSpec]) -> dict[str, int]:
    """The place of each of the four outputs; none for those of another network."""
    places = _by_name(targets) or _by_shape(targets)
    return places if places and _fit(places, targets) else {}


def _by_name(targets: Sequence[TensorSpec]) -> dict[str, int]:
    """The place of each of the four outputs; none unless all are known."""
    found = {_NAMES[target.name]: place for place, target in enumerate(targets) if target.name in _NAMES}
    return found if len(targets) == len(found) == len(OUTPUTS) else {}


def _by_shape(targets: Sequence[TensorSpec]) -> dict[str, int]:
    """The same by shape; none unless there is one of each."""
    places: dict[int, list[int]] = {}
    for place, target in enumerate(targets):
        places.setdefault(len(target.shape), []).append(place)
    if {axes: len(found) for axes, found in places.items()} != {1: 1, 2: 2, 3: 1}:
        return {}
    return dict(zip((LOCATION, CATEGORY, SCORE, NUMBER), (*places[3], *places[2], *places[1]), strict=True))


def _fit(places: Mapping[str, int], targets: Sequence[TensorSpec]) -> bool:
    """Whether the outputs have the shapes of one detector's."""
    location, category, score, number = (targets[places[name]].shape for name in OUTPUTS)
    return len(score) == 2 and location == (*score, 4) and category == score and score[0] == 1 and number == (1,)


def _in_words(targets: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{target.name} {target.shape}" for target in targets)
