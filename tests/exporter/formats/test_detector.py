"""A detector's outputs are known by name, else by shape; what is no detection is refused."""

import numpy as np
import pytest
from onnx import TensorProto

from mbexport.artifact import Precision, TensorSpec
from mbexport.errors import DataError
from mbexport.formats.detection_tail import OUTPUTS
from mbexport.formats.detector import Detector
from mbexport.formats.matching import input_json, match_detector
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.models.preprocess import UNIT, Preprocess
from mbexport.models.resolution import Resolution

SHAPES = {"location": (1, 3, 4), "category": (1, 3), "score": (1, 3), "number of detections": (1,)}
VALUES = {
    "location": [[[0, 0, 0.5, 0.5], [0.25, 0, 1, 1], [9, 9, 9, 9]]],
    "category": [[2, 0, 9]],
    "score": [[0.75, 0.5, 9]],
    "number of detections": [2],
}


class Given(Runner):
    """A runner that gives the same values whatever it is fed."""

    runtime, precision = "none", Precision.FP32

    def __init__(self, path, outputs, batch=1):
        image = TensorSpec(name="image", shape=(batch, 2, 2, 3), dtype="float32")
        targets = [TensorSpec(name=name, shape=np.shape(value), dtype="float32") for name, value in outputs]
        super().__init__(path, image, *targets)
        self._values = [np.asarray(value, np.float32) for _, value in outputs]

    def metadata(self):
        return {}

    def _invoke(self, feed):
        return self._values


def given(tmp_path, *, names=OUTPUTS, order=OUTPUTS, batch=1, **values) -> Given:
    """A runner whose outputs have these names, in this order."""
    named = dict(zip(OUTPUTS, names, strict=True))
    held = VALUES | values
    return Given(tmp_path / "net.x", [(named[name], held[name]) for name in order], batch)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (OUTPUTS, OUTPUTS[::-1]),
        (["TFLite_Detection_PostProcess", *(f"TFLite_Detection_PostProcess:{n}" for n in (1, 2, 3))], OUTPUTS),
        # TensorFlow 2: scores, boxes, number, classes.
        ([f"StatefulPartitionedCall:{n}" for n in (3, 2, 1, 0)], [OUTPUTS[n] for n in (2, 0, 3, 1)]),
        (["a", "b", "c", "d"], OUTPUTS),
        (["a", "b", "c", "d"], [OUTPUTS[n] for n in (3, 1, 0, 2)]),
    ],
)
def test_four_outputs_are_told_apart(tmp_path, names, order):
    detector = Detector(given(tmp_path, names=names, order=order))
    first, second = detector.detections(np.zeros((2, 2, 2, 3), np.float32))
    assert detector.most == 3
    assert (first.classes.tolist(), first.scores.tolist()) == ([2, 0], [0.75, 0.5])
    assert first.corners.tolist() == [[0, 0, 0.5, 0.5], [0.25, 0, 1, 1]]
    assert second.corners.tolist() == first.corners.tolist()


@pytest.mark.parametrize(
    "outputs",
    [
        [("scores", (1, 10))],
        [("a", (1, 3, 4)), ("b", (1, 3)), ("c", (1, 4)), ("d", (1,))],
        [("a", (1, 3, 5)), ("b", (1, 3)), ("c", (1, 3)), ("d", (1,))],
        [("a", (1, 3, 4)), ("b", (1, 3)), ("c", (1, 3)), ("d", (2,))],
        [("a", (2, 3, 4)), ("b", (2, 3)), ("c", (2, 3)), ("d", (1,))],
        [("location", (1, 3)), ("category", (1, 3, 4)), ("score", (1, 3)), ("number of detections", (1,))],
        [("boxes_0", (1, 4, 4, 12)), ("classes_0", (1, 4, 4, 9))],
    ],
)
def test_others_are_refused_by_what_was_found(tmp_path, outputs):
    runner = Given(tmp_path / "net.x", [(name, np.zeros(shape)) for name, shape in outputs])
    with pytest.raises(DataError) as refused:
        Detector(runner)
    wanted = "a detector must give boxes (1, n, 4), classes (1, n), scores (1, n) and their number (1,)"
    found = ", ".join(f"{name} {shape}" for name, shape in outputs)
    assert str(refused.value) == f"{tmp_path / 'net.x'}: {wanted}, got {found}"


def test_a_batch_is_refused(tmp_path):
    with pytest.raises(DataError, match="one image at a time, got a batch of 2"):
        Detector(given(tmp_path, batch=2))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"category": [[0.5, 0, 0]]}, "the class of a box must be a whole number from 0, got 0.5"),
        ({"category": [[-1, 0, 0]]}, "the class of a box must be a whole number from 0, got -1"),
        ({"category": [[np.nan, 0, 0]]}, "the class of a box must be a whole number from 0, got nan"),
        ({"score": [[0.5, 1.5, 0]]}, "the score of a box must be from 0 to 1, got 1.5"),
        ({"score": [[np.nan, 0, 0]]}, "the score of a box must be from 0 to 1, got nan"),
        ({"number of detections": [4]}, "it must find from 0 to 3 objects, got 4"),
        ({"number of detections": [-1]}, "it must find from 0 to 3 objects, got -1"),
        ({"number of detections": [1.5]}, "it must find from 0 to 3 objects, got 1.5"),
        ({"number of detections": [np.nan]}, "it must find from 0 to 3 objects, got nan"),
    ],
)
def test_what_is_no_detection_is_refused(tmp_path, values, message):
    with pytest.raises(DataError, match=message):
        Detector(given(tmp_path, **values)).invoke(np.zeros((1, 2, 2, 3), np.float32))


def test_nothing_is_found_where_the_number_is_zero(tmp_path):
    found = Detector(given(tmp_path, **{"number of detections": [0]})).invoke(np.zeros((1, 2, 2, 3), np.float32))
    assert (len(found), found.corners.shape) == (0, (0, 4))


@pytest.fixture
def detector_file(save):
    """An .onnx that finds one box, whose score is the image's first number."""
    source = ("image", TensorProto.FLOAT, (1, 2, 2, 3))
    targets = [(name.replace(" ", "_"), TensorProto.FLOAT, shape) for name, shape in SHAPES.items()]
    steps = "Reshape image flat -> row;Slice row from to axis -> score;Identity one -> number_of_detections"
    return save(
        [source],
        targets,
        steps,
        properties={"normalization.mean": "[0]", "normalization.std": "[255]"},
        flat=[1, 12],
        **{"from": [0], "to": [3], "axis": [1], "one": np.ones(1, np.float32)},
    )


def test_a_detector_is_fed_what_its_words_say(detector_file):
    pixels = np.full((1, 2, 2, 3), 51, np.uint8)
    seen = Preprocess(resolution=Resolution.square(2), crop_fraction=1.0, is_stretched=True)

    subject = match_detector(open_runner(detector_file), pixels=seen, given=None)

    assert subject.preprocess.normalization == UNIT
    assert (input_json(subject)["source"], subject.name, subject.batch) == ("metadata", "tiny.onnx", 1)
    ((found,),) = (each.scores for each in subject.detections(pixels))
    assert found == pytest.approx(0.2)


def test_an_image_of_another_size_is_refused(detector_file):
    seen = Preprocess(resolution=Resolution.square(4), crop_fraction=1.0, is_stretched=True)
    with pytest.raises(DataError, match="must take one resolution"):
        match_detector(open_runner(detector_file), pixels=seen, given=None)
