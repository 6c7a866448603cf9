"""The tails of both formats: numbers by hand, and the same answers as their twin in numpy."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from heads_by_hand import core_tflite, heads_of, onnx_answer, onnx_model, tflite_answer

from mbexport.artifact import OPSETS
from mbexport.calibration.affine import Affine
from mbexport.errors import OptionError, StageError
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.file_format import FileFormat
from mbexport.formats.onnx.format import ONNX
from mbexport.formats.tflite.detection_core import detection_tail_of, without_detection_tail
from mbexport.formats.tflite.detection_tail import with_detection_tail
from mbexport.formats.tflite.format import TFLITE
from mbexport.formats.tflite.structure import require_sound
from mbexport.models.detection.boxes import Detections
from mbexport.models.detection.postprocess import detect, sigmoid
from mbexport.models.detection.settings import PostProcess

SCALES = (10.0, 10.0, 5.0, 5.0)
ANSWERS = {"tflite": tflite_answer, "onnx": onnx_answer}
HALF = PostProcess(score_threshold=0.5, iou_threshold=0.5, max_detections=4)
ANCHORS = np.array([[0.5, 0.5, 0.2, 0.4], [0.5, 0.6, 0.2, 0.4], [0.1, 0.9, 0.4, 0.4]], np.float32)
NEVER = -20.0  # a logit


def tail_of(anchors=ANCHORS, *, classes: int = 2, settings: PostProcess = HALF, maps: int = 2) -> DetectionTail:
    return DetectionTail(anchors=anchors, code_scales=SCALES, classes=classes, settings=settings, maps=maps)


@pytest.fixture(params=ANSWERS)
def answers_of(request):
    """Makes what gives the four outputs of a format, for a tail and the number of places in each of its maps."""
    return ANSWERS[request.param]


def found_in(outputs: list[np.ndarray]) -> Detections:
    """The rows that count. Nothing may lie behind them."""
    corners, classes, scores, number = outputs
    assert [each.dtype for each in outputs] == [np.float32] * 4
    assert [each.shape for each in outputs] == [(1, len(scores[0]), 4), (1, len(scores[0])), (1, len(scores[0])), (1,)]
    count = int(number[0])
    assert not any(each[0, count:].any() for each in (corners, classes, scores))
    return Detections.of(corners[0, :count], classes[0, :count], scores[0, :count])


def test_two_boxes_by_hand(answers_of):
    codes = np.zeros((3, 4))
    codes[0] = [-5, 2.5, 5 * np.log(2), 0]  # up by half a height, right by a quarter of a width, twice as high
    logits = np.full((3, 2), NEVER)
    logits[0, 1], logits[2, 0] = 0, 1

    found = found_in(answers_of(tail_of(), [2, 1])(codes, logits))

    # Where the better one sticks out, above and on the right, it is cut off.
    expected = [[0, 0.7, 0.3, 1], [0.4 - 0.2, 0.6 - 0.2, 0.4 + 0.2, 0.6 + 0.2]]
    assert found.corners == pytest.approx(np.array(expected), abs=1e-6)
    assert found.classes.tolist() == [0, 1]
    assert found.scores == pytest.approx([1 / (1 + np.exp(-1)), 0.5], abs=1e-6)


def test_the_threshold_itself_is_enough(answers_of):
    answer = answers_of(tail_of(), [2, 1])
    assert len(found_in(answer(np.zeros((3, 4)), np.full((3, 2), 0)))) == 4  # of six, two are one with others
    assert len(found_in(answer(np.zeros((3, 4)), np.full((3, 2), -1e-3)))) == 0


def test_an_image_leaves_nothing_behind_for_the_next_one(answers_of):
    answer = answers_of(tail_of(), [2, 1])
    many, few = np.full((3, 2), 2.0), np.full((3, 2), NEVER)
    few[2, 1] = 2
    assert [len(found_in(answer(np.zeros((3, 4)), logits))) for logits in (many, few, np.full((3, 2), NEVER))] == [
        4,
        1,
        0,
    ]


def test_equal_scores_come_by_class_and_then_by_anchor(answers_of):
    apart = np.array([[0.5, x, 0.1, 0.1] for x in (0.1, 0.3, 0.5, 0.7, 0.9)], np.float32)
    settings = PostProcess(score_threshold=0.5, max_detections=7)
    logits = np.ones((5, 2))
    logits[3] = 2

    found = found_in(answers_of(tail_of(apart, settings=settings, maps=1), [5])(np.zeros((5, 4)), logits))

    assert found.classes.tolist() == [0, 1, 0, 0, 0, 0, 1]
    assert found.corners[:, 1] == pytest.approx([0.65, 0.65, 0.05, 0.25, 0.45, 0.85, 0.05])


def test_a_box_without_an_end_is_the_image_and_one_without_a_size_is_kept(answers_of):
    codes = np.zeros((3, 4))
    codes[:2, 2:] = [[1e6, 1e6], [-1e6, -1e6]]
    found = found_in(answers_of(tail_of(classes=1), [2, 1])(codes, [[3.0], [2.0], [NEVER]]))
    assert found.corners == pytest.approx(np.array([[0, 0, 1, 1], [0.5, 0.6, 0.5, 0.6]]))


def random_heads(seed: int) -> tuple[DetectionTail, list[int], np.ndarray, np.ndarray]:
    """A tail, the sizes of its maps, codes and logits, with many equal scores, many boxes or none, some beyond.

    Logits are on a grid, so that no runtime's sigmoid makes equals of two that differ.
    """
    rng = np.random.default_rng(seed)
    maps, classes = int(rng.integers(1, 7)), int(rng.choice([1, 2, 3, 5, 20]))
    sizes = rng.integers(1, 60, maps).tolist()
    count = sum(sizes)
    anchors = np.concatenate([rng.uniform(-0.1, 1.1, (count, 2)), rng.uniform(0.02, 1, (count, 2))], axis=1)
    codes = rng.normal(0, 3, (count, 4))
    if seed % 2:  # many equal boxes, and overlaps that are just the threshold
        anchors, codes = np.round(anchors * 4 + 0.5) / 4, np.round(codes / 5) * 5
    settings = PostProcess(
        score_threshold=float(rng.choice([0.01, 0.3, 0.5])),
        iou_threshold=float(rng.choice([0.2, 0.5, 0.6])),
        max_detections=int(rng.choice([1, 5, 50, 100])),
    )
    level = rng.choice([-12, -2, 1])
    logits = np.round(rng.normal(level, 2, (count, classes)) * (step := rng.choice([2, 64]))) / step
    tail = tail_of(anchors.astype(np.float32), classes=classes, settings=settings, maps=maps)
    return tail, sizes, codes.astype(np.float32), logits.astype(np.float32)


@pytest.mark.parametrize("first", range(0, 200, 10))
def test_random_heads_are_answered_as_by_their_twin_in_numpy(answers_of, first):
    for seed in range(first, first + 10):
        tail, sizes, codes, logits = random_heads(seed)
        expected = detect(codes, sigmoid(logits), tail.anchors, tail.code_scales, tail.settings)
        found = found_in(answers_of(tail, sizes)(codes, logits))
        assert (len(found), found.classes.tolist()) == (len(expected), expected.classes.tolist()), seed
        assert np.array_equal(found.corners, expected.corners), seed
        assert found.scores == pytest.approx(expected.scores, abs=1e-6), seed


def test_those_heads_are_of_every_kind():
    counts, full = [], 0
    for seed in range(200):
        tail, _, codes, logits = random_heads(seed)
        found = detect(codes, sigmoid(logits), tail.anchors, tail.code_scales, tail.settings)
        counts.append(len(found))
        full += len(found) == tail.settings.max_detections
        assert len(np.unique(logits)) < logits.size or logits.size < 100
    assert counts.count(0) >= 20
    assert full >= 40
    assert max(counts) == 100


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_has_the_tail(opset):
    tail, sizes, codes, logits = random_heads(3)
    expected = detect(codes, sigmoid(logits), tail.anchors, tail.code_scales, tail.settings)
    assert np.array_equal(found_in(onnx_answer(tail, sizes, opset=opset)(codes, logits)).corners, expected.corners)


@pytest.mark.parametrize("threads", [2, 3, 4, 8, 16])
def test_no_class_is_forgotten_by_several_threads(threads):
    """The op alone forgets the class that has the number of its threads."""
    rng = np.random.default_rng(0)
    anchors = np.concatenate([rng.uniform(0, 1, (40, 2)), rng.uniform(0.1, 0.3, (40, 2))], axis=1).astype(np.float32)
    tail = tail_of(anchors, classes=6, settings=PostProcess(score_threshold=0.5), maps=1)
    logits = rng.permutation(240).reshape(40, 6) / 64  # no two are equal: threads decide about the order of equals
    one, several = (tflite_answer(tail, [40], threads=count)(np.zeros((40, 4)), logits) for count in (1, threads))
    assert set(found_in(one).classes) == set(range(6))
    assert all(np.array_equal(a, b) for a, b in zip(one, several, strict=True))


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_integer_heads_are_read_as_the_numbers_that_they_stand_for(kind):
    affine = Affine(scale=(0.25,), zero_point=(3,))
    tail = tail_of()
    content = with_detection_tail(core_tflite(tail, [2, 1], kind=kind, affines=[affine]), tail)
    require_sound(content)
    heads = heads_of([[2, -2, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], [[1, -1], [NEVER, 0.25], [0.5, 2]], [2, 1])
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    for source, head in zip(interpreter.get_input_details(), heads, strict=True):
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        interpreter.set_tensor(source["index"], affine.quantize(head, low=low, high=high).astype(kind))
    interpreter.invoke()
    found = found_in([interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()])

    logits = np.array([[1, -1], [-0.75 if kind == "uint8" else NEVER, 0.25], [0.5, 2]])
    codes = np.array([[2, -0.75 if kind == "uint8" else -2, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], np.float32)
    expected = detect(codes, sigmoid(logits), ANCHORS, SCALES, HALF)
    assert len(expected) == 4
    assert found.classes.tolist() == expected.classes.tolist()
    assert np.array_equal(found.corners, expected.corners)


def test_a_file_has_the_four_outputs_by_name():
    interpreter = Interpreter(model_content=with_detection_tail(core_tflite(tail := tail_of(), [2, 1]), tail))
    (ends,) = interpreter.get_signature_list().values()
    assert set(ends["outputs"]) == {"location", "category", "score", "number of detections"}
    shapes = [each["shape"].tolist() for each in interpreter.get_output_details()]
    assert shapes == [[1, 4, 4], [1, 4], [1, 4], [1]]


def appended_to(made: FileFormat, tail: DetectionTail) -> bytes:
    """A file of that format that ends in `tail`."""
    return onnx_model(tail, [2, 1]) if made is ONNX else with_detection_tail(core_tflite(tail, [2, 1]), tail)


@pytest.mark.parametrize("made", [TFLITE, ONNX], ids=lambda each: each.name)
@pytest.mark.parametrize("classes", [1, 2, 3, 90])
def test_a_tail_is_read_again(made, classes):
    tail = tail_of(classes=classes, settings=PostProcess(score_threshold=0.123, iou_threshold=0.45, max_detections=7))
    found = made.tail(appended_to(made, tail))
    assert np.array_equal(found.anchors, tail.anchors)
    names = ("code_scales", "classes", "settings", "maps")
    assert [getattr(found, name) for name in names] == [getattr(tail, name) for name in names]


@pytest.mark.parametrize("made", [TFLITE, ONNX], ids=lambda each: each.name)
def test_a_tail_is_taken_off_again(made, tmp_path):
    whole = appended_to(made, tail_of(classes=3))
    alone = made.core(whole)
    assert len(alone) < len(whole)
    (path := tmp_path / f"core.{made.name}").write_bytes(alone)
    made.check(path)
    assert made.tail(alone) is None
    with pytest.raises(StageError, match="must end in a detection tail"):
        made.core(alone)


def test_the_network_of_a_tflite_can_be_given_a_tail_again():
    tail = tail_of(classes=3)
    alone = without_detection_tail(with_detection_tail(core_tflite(tail, [2, 1]), tail))
    names = Interpreter(model_content=alone).get_signature_list()["serving_default"]["outputs"]
    assert set(names) == {"boxes_0", "classes_0", "boxes_1", "classes_1"}
    assert detection_tail_of(with_detection_tail(alone, tail)).classes == 3


@pytest.mark.parametrize(
    ("sizes", "tail", "message"),
    [
        ([2, 2], tail_of(), "a place for each of 3 anchors, got 4"),
        ([2, 1], tail_of(classes=3), r"the heads of map 0 must be .*, got \[1, 2, 1, 4\] and \[1, 2, 1, 2\]"),
        ([2, 1], tail_of(maps=3), "must have the outputs boxes_2, classes_2, got boxes_0, boxes_1"),
    ],
)
def test_a_network_of_other_heads_is_refused(sizes, tail, message):
    core = core_tflite(tail_of(), sizes)
    with pytest.raises(StageError, match=message):
        with_detection_tail(core, tail)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anchors": ANCHORS.astype(np.float64)}, r"float32 \(n, 4\), got float64 \(3, 4\)"),
        ({"anchors": ANCHORS[:, :3]}, r"float32 \(n, 4\), got float32 \(3, 3\)"),
        ({"anchors": ANCHORS * np.float32([1, 1, 1, 0])}, "a height and a width above 0"),
        ({"anchors": ANCHORS * np.float32(np.nan)}, "must be finite"),
        ({"code_scales": (10.0, 10.0, 5.0, 0.0)}, "scales of codes must be positive"),
        ({"classes": 0}, "at least 1 of its classes, got 0"),
        ({"maps": 0}, "at least 1 of its maps, got 0"),
    ],
)
def test_a_tail_that_no_network_can_have_is_refused(change, message):
    given = {"anchors": ANCHORS, "code_scales": SCALES, "classes": 2, "settings": HALF, "maps": 1}
    with pytest.raises(OptionError, match=message):
        DetectionTail(**{**given, **change})
