"""Heads that an app decodes itself: what they hold, what the metadata say of them, and how that is read."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from heads_by_hand import core_tflite, heads_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError, StageError
from mbexport.formats.detection_tail import Decoding, DetectionTail
from mbexport.formats.tflite import raw_metadata
from mbexport.formats.tflite.metadata_schema import CustomMetadata, Reader, SubGraphExtras, Writer
from mbexport.formats.tflite.raw_heads import with_raw_heads
from mbexport.formats.tflite.raw_metadata import Anchor, Anchors, Options, Steps, raw_options, read_decoding
from mbexport.formats.tflite.structure import require_sound
from mbexport.models.detection.postprocess import sigmoid
from mbexport.models.detection.settings import PostProcess

SIZES = [2, 3]
TAIL = DetectionTail(
    anchors=np.linspace(0.1, 0.9, 20, dtype=np.float32).reshape(5, 4),
    code_scales=(10.0, 9.0, 5.0, 4.0),
    classes=3,
    settings=PostProcess(),
    maps=2,
)
# Of the heads by turns: boxes and classes of the first map, then of the second.
AFFINES = [Affine(scale=(scale,), zero_point=(zero,)) for scale, zero in ((0.1, 0), (0.05, 28), (0.02, -100), (0.2, 5))]
RNG = np.random.default_rng(0)
CODES, LOGITS = RNG.uniform(-5, 5, (5, 4)), RNG.uniform(-8, 8, (5, 3))


def answers(content: bytes, heads: list[np.ndarray]) -> list[tuple[np.ndarray, dict]]:
    require_sound(content)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    for source, head in zip(interpreter.get_input_details(), heads, strict=True):
        interpreter.set_tensor(source["index"], head)
    interpreter.invoke()
    return [(interpreter.get_tensor(each["index"]), each) for each in interpreter.get_output_details()]


def test_floats_are_joined_as_they_are():
    (codes, first), (scores, second) = answers(
        with_raw_heads(core_tflite(TAIL, SIZES), TAIL), heads_of(CODES, LOGITS, SIZES)
    )
    assert (first["name"], second["name"]) == ("location", "score")
    assert np.array_equal(codes[0], CODES.astype(np.float32))
    assert scores[0] == pytest.approx(sigmoid(LOGITS.astype(np.float32)), abs=1e-6)


def test_integers_become_bytes_of_one_scale():
    content = with_raw_heads(core_tflite(TAIL, SIZES, kind="int8", affines=AFFINES), TAIL)
    real = heads_of(CODES, LOGITS, SIZES)
    given = [affine.quantize(head).astype(np.int8) for affine, head in zip(AFFINES, real, strict=True)]
    stored = [affine.dequantize(head) for affine, head in zip(AFFINES, given, strict=True)]

    found = answers(content, given)

    assert [each.dtype for each, _ in found] == [np.uint8] * 2
    (codes, scores), scales = zip(*((each, d["quantization"]) for each, d in found), strict=True)
    low, high = min(-128 * 0.1, -28 * 0.02), max(127 * 0.1, 227 * 0.02)  # what the two heads of boxes can hold
    assert scales[0] == (pytest.approx((high - low) / 255), 128)
    assert scales[1] == (1 / 256, 0)
    expected = np.concatenate([head.reshape(1, -1, 4) for head in stored[::2]], axis=1)
    # Half a step, and what LiteRT's delegate loses, which rounds the quotient of two scales to a 256th.
    assert np.abs((codes.astype(float) - 128) * scales[0][0] - expected).max() <= 0.75 * scales[0][0]
    logits = np.concatenate([head.reshape(1, -1, 3) for head in stored[1::2]], axis=1)
    # A step of the logits' one scale is 0.2, which a sigmoid takes for a quarter of that at most.
    assert np.abs(scores / 256 - sigmoid(logits)).max() <= 0.2 / 2 / 4 + 1.5 / 256


def test_what_is_no_head_of_the_tail_is_refused():
    with pytest.raises(StageError, match="a place for each of 5 anchors, got 4"):
        with_raw_heads(core_tflite(TAIL, [2, 2]), TAIL)


def test_anchors_and_scales_have_the_numbers_of_the_published_schema():
    writer = Writer()
    custom = Reader.root(writer.whole(raw_options(writer, TAIL)))
    assert custom.text(0) == "DETECTOR_METADATA"
    assert custom._table.Vector(custom._table.Offset(4 + 2 * 1)) % 16 == 0
    inner = custom.data(1)
    assert inner[4:8] == b"V001"

    root = Reader.root(inner)
    decoding, boxes = root.table(Options.DECODING), root.table(Options.SSD_ANCHORS).table(Anchors.FIXED)
    anchors = [[each.real(field) for field in Anchor] for each in boxes.tables(Anchors.FIXED)]
    assert np.array_equal(np.float32(anchors), TAIL.anchors[:, [1, 0, 3, 2]])  # x, y, width, height
    assert [decoding.real(field) for field in (6, 7, 8, 9)] == [9, 10, 4, 5]
    counts = (0, 1, 2, 5, 10, 11)  # classes, boxes, coordinates, values of a key point, exponential, sigmoid
    assert [decoding.kind(field) for field in counts] == [3, 5, 4, 2, 1, 0]
    assert root.text(0) == "1.0.0"


def read(decoding: Decoding) -> Decoding | None:
    """What is read of a decoding that is written."""
    writer = Writer()
    customs = writer.tables([raw_options(writer, decoding)])
    return read_decoding(Reader.root(writer.whole(writer.table(parts={SubGraphExtras.CUSTOM_METADATA: customs}))))


@given(
    anchors=arrays(np.float32, st.tuples(st.integers(1, 40), st.just(4)), elements=st.floats(2**-20, 4, width=32)),
    scales=st.tuples(*[st.floats(2**-10, 100, width=32)] * 4),
    classes=st.integers(1, 2**31),
)
def test_what_is_written_is_read(anchors, scales, classes):
    found = read(Decoding(anchors=anchors, code_scales=scales, classes=classes))
    assert np.array_equal(found.anchors, anchors)
    assert (found.code_scales, found.classes) == (scales, classes)
    assert found.thresholds is None


def test_a_file_that_says_nothing_of_a_decoding_has_none():
    writer = Writer()
    other = writer.table(texts={CustomMetadata.NAME: "OTHER"}, parts={CustomMetadata.DATA: writer.data(b"")})
    customs = writer.tables([other])
    graph = writer.table(parts={SubGraphExtras.CUSTOM_METADATA: customs})
    assert read_decoding(Reader.root(writer.whole(graph))) is None
    writer = Writer()
    assert read_decoding(Reader.root(writer.whole(writer.table()))) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_IDENTIFIER": b"V002"}, "must be marked V001, got b'V002'"),
        ({"_COORDINATES": 6}, "must ask for boxes of 4 codes .*, got other steps"),
        (
            {"Options": type("Swapped", (), {"MIN_PARSER_VERSION": 0, "SSD_ANCHORS": 5, "DECODING": 2})},
            "no such tables",
        ),
    ],
)
def test_what_is_decoded_otherwise_is_refused(monkeypatch, changes, message):
    with monkeypatch.context() as patch:
        for name, value in changes.items():
            patch.setattr(raw_metadata, name, value)
        writer = Writer()
        customs = writer.tables([raw_options(writer, TAIL)])
    written = writer.whole(writer.table(parts={SubGraphExtras.CUSTOM_METADATA: customs}))
    with pytest.raises(DataError, match=f"its DETECTOR_METADATA .*{message}"):
        read_decoding(Reader.root(written))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"kinds": {Steps.IS_EXPONENTIAL: 0}}, "got other steps"),
        ({"kinds": {Steps.IS_EXPONENTIAL: 1, Steps.HAS_LOGITS: 1}}, "got other steps"),
        ({"counts": {Steps.COORDINATES: 4, Steps.BOXES: 4, Steps.CLASSES: 3}}, "must have 4 anchors, got 5"),
        ({"counts": {Steps.COORDINATES: 4, Steps.BOXES: 5}}, "at least 1 of its classes, got 0"),
        (
            {"reals": {Steps.X_SCALE: 1, Steps.Y_SCALE: 1, Steps.W_SCALE: float("nan")}},
            "scales of codes must be positive",
        ),
    ],
)
def test_steps_that_are_not_ours_are_refused(monkeypatch, steps, message):
    class Changed(Writer):
        def table(self, **given):
            return super().table(**(given | steps if Steps.CLASSES in given.get("counts", {}) else given))

    monkeypatch.setattr(raw_metadata, "Writer", Changed)
    with pytest.raises(DataError, match=f"its DETECTOR_METADATA .*{message}"):
        read(TAIL)
