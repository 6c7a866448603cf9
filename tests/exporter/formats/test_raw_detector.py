"""A .tflite by hand that gives the codes and scores of one anchor: what is found in its image, and what is refused."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_by_hand import end_of, model_of, op_of, tensor_of

from mbexport.errors import DataError
from mbexport.formats.contents import decoding_of
from mbexport.formats.description import Description
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.detector import Detector
from mbexport.formats.matching import match_detector
from mbexport.formats.registry import open_runner
from mbexport.formats.tflite.file import opened, packed
from mbexport.formats.tflite.metadata import metadata_of, with_metadata
from mbexport.formats.tflite.raw_heads import with_raw_heads
from mbexport.models.detection.settings import PostProcess
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

TAIL = DetectionTail(
    anchors=np.array([[0.5, 0.5, 0.2, 0.4]], np.float32),
    code_scales=(10.0, 10.0, 5.0, 5.0),
    classes=3,
    settings=PostProcess(),
    maps=1,
)
SAID = Description(
    name="net",
    text="A network.",
    labels=("red", "white", "platelet"),
    resolution=Resolution.square(2),
    channels=4,
    mean=(0.0,),
    std=(1.0,),
    output=Output.SIGMOID,
)


def heads() -> bytes:
    """A file whose codes are the four channels of the first pixel, and its logits three of the last pixel."""
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor_of("image", "float32", (1, 2, 2, 4)),
        tensor_of("codes", "float32", (1, 1, 1, 4)),
        tensor_of("logits", "float32", (1, 1, 1, 3)),
        *(tensor_of(f"number {place}", "int32", (4,), buffer=place) for place in (1, 2, 3, 4)),
    ]
    graph.operators = [op_of(0, 0, 1), op_of(0, 0, 2)]
    for op, (begin, size) in zip(graph.operators, ((3, 4), (5, 6)), strict=True):
        op.inputs = np.array([0, begin, size], np.int32)
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([1, 2], np.int32)
    contents = [np.array(each, np.int32).tobytes() for each in ([0] * 4, [1, 1, 1, 4], [0, 1, 1, 0], [1, 1, 1, 3])]
    model = model_of(graph, ["SLICE"], [None, *contents])
    model.signatureDefs[0].outputs = [end_of(b"boxes_0", [1]), end_of(b"classes_0", [2])]
    return packed(model)


@pytest.fixture
def saved(tmp_path):
    """The path of a file with this content."""

    def save(content: bytes) -> Path:
        path = tmp_path / "net_fp32_raw.tflite"
        path.write_bytes(content)
        return path

    return save


@pytest.fixture
def raw(saved) -> Path:
    return saved(with_metadata(with_raw_heads(heads(), TAIL), SAID, raw=TAIL))


def image(codes, logits) -> np.ndarray:
    fed = np.zeros((1, 2, 2, 4), np.float32)
    fed[0, 0, 0], fed[0, 1, 1, :3] = codes, logits
    return fed


def test_codes_and_scores_become_boxes_by_hand(raw):
    detector = Detector(open_runner(raw))
    found = detector.invoke(image([1, -1, 0, 5 * math.log(2)], [0, 2, -9]))
    # The middle moves by a tenth of the anchor's height down and of its width to the left; it becomes twice as wide.
    assert found.corners == pytest.approx(np.array([[0.42, 0.06, 0.62, 0.86]] * 2), abs=1e-6)
    assert found.classes.tolist() == [1, 0]  # the third class is less certain than the usual 0.01
    assert found.scores == pytest.approx([1 / (1 + math.exp(-2)), 0.5], abs=1e-6)
    assert detector.most == PostProcess().max_detections


def test_boxes_are_cut_off_at_the_border(raw):
    (found,) = Detector(open_runner(raw)).detections(image([100, 0, 5, 0], [9, -9, -9]))
    assert found.corners == pytest.approx(np.array([[1, 0.3, 1, 0.7]]), abs=1e-6)
    assert found.corners[0, 0] == found.corners[0, 2] == 1


def test_the_anchors_are_those_of_the_file(raw):
    found = decoding_of(open_runner(raw))
    assert np.array_equal(found.anchors, TAIL.anchors)
    assert (found.code_scales, found.classes) == (TAIL.code_scales, 3)
    assert metadata_of(raw.read_bytes())["custom metadata"] == "DETECTOR_METADATA"


def test_a_file_with_raw_heads_is_fed_as_any_other(raw):
    pixels = Preprocess(resolution=Resolution.square(2), crop_fraction=1.0, channels=4, is_stretched=True)
    subject = match_detector(open_runner(raw), pixels=pixels, given=None)
    assert subject.is_raw
    shown = np.zeros((1, 2, 2, 4), np.uint8)
    shown[0, 1, 1, 1] = 3
    ((box, _, _),) = (each.corners for each in subject.detections(shown))
    assert box == pytest.approx(np.array([0.4, 0.3, 0.6, 0.7]), abs=1e-6)
    assert [each.scores[0] for each in subject.detections(shown)] == pytest.approx([1 / (1 + math.exp(-3))], abs=1e-6)


def test_without_anchors_nothing_can_be_made_of_heads(saved):
    with pytest.raises(DataError, match=r"raw\.tflite: a detector with raw heads must hold their anchors"):
        Detector(open_runner(saved(with_raw_heads(heads(), TAIL))))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"anchors": TAIL.anchors.repeat(2, axis=0)}, r"with 2 anchors and 3 classes .* got location \(1, 1, 4\)"),
        ({"classes": 2}, r"with 1 anchors and 2 classes .* must give location \(1, 1, 4\) and score \(1, 1, 2\)"),
    ],
)
def test_anchors_of_another_network_are_refused(saved, changes, message):
    content = with_metadata(with_raw_heads(heads(), TAIL), replace(SAID, labels=()), raw=replace(TAIL, **changes))
    with pytest.raises(DataError, match=message):
        Detector(open_runner(saved(content)))


def test_scores_that_are_no_numbers_are_refused(raw):
    with pytest.raises(DataError, match="the score of a box must be from 0 to 1, got nan"):
        Detector(open_runner(raw)).invoke(image([0, 0, 0, 0], [math.nan, 0, 0]))


def test_damaged_anchors_are_refused_in_one_line(saved, raw):
    content = raw.read_bytes()
    place = content.index(b"V001")  # behind the position of the root
    damaged = saved(content[: place - 4] + b"\xff\xff\xff\x7f" + content[place:])
    assert opened(damaged.read_bytes()).subgraphs
    with pytest.raises(DataError, match=r"the metadata of the \.tflite is damaged"):
        Detector(open_runner(damaged))
