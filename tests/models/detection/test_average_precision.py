"""Average precision: numbers by hand, laws, and the same numbers as pycocotools'."""

import contextlib
import io
import math
from typing import Any

import numpy as np
import pytest
from detection_scenes import Scenes, scenes
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.detection.average_precision import RECALLS, AveragePrecision, average_precision, weighted
from mbexport.models.detection.boxes import Boxes, Detections
from mbexport.models.detection.matches import class_matches
from mbexport.models.resolution import Resolution

SEEDS = st.integers(0, 10_000)
LEFT, RIGHT = [0.0, 0.0, 1.0, 0.5], [0.0, 0.5, 1.0, 1.0]
FAR = [0.4, 0.4, 0.45, 0.45]


def perfect(truth: Boxes) -> Detections:
    return Detections.of(truth.corners, truth.classes, np.linspace(0.9, 0.5, len(truth)))


def test_three_detections_of_two_objects_by_hand():
    found = Detections.of([LEFT, FAR, RIGHT], [0, 0, 0], [0.9, 0.8, 0.7])
    precision = average_precision([found], [Boxes.of([LEFT, RIGHT], [0, 0])], 1)
    # One of one up to half of the objects (51 of the 101 recalls), then two of three.
    assert precision.curves[0].tolist() == [1.0] * 51 + [2 / 3] * 50
    assert precision.ap50 == precision.ap75 == precision.ap == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-15)
    assert precision.objects.tolist() == [2]


def test_how_near_a_box_is_decides_at_which_thresholds_it_is_right():
    # 0.72 of the object: found at 0.50, 0.55, 0.60, 0.65 and 0.70 of the ten thresholds.
    found = Detections.of([[0, 0, 0.72, 0.5]], [0], [0.9])
    precision = average_precision([found], [Boxes.of([LEFT], [0])], 1)
    assert (precision.ap50, precision.ap75, precision.ap) == (1, 0, 0.5)


def test_an_object_is_found_once_by_the_better_detection():
    truth = [Boxes.of([LEFT, RIGHT], [0, 0])]
    twice = Detections.of([LEFT, LEFT, RIGHT], [0, 0, 0], [0.9, 0.8, 0.7])
    assert average_precision([twice], truth, 1).curves[0, [0, 100]].tolist() == [1, 2 / 3]


def test_of_two_objects_the_one_that_overlaps_most_is_taken():
    truth = [Boxes.of([[0, 0, 1, 0.9], [0, 0, 1, 1]], [0, 0])]
    both = Detections.of([[0, 0, 1, 1], [0, 0, 1, 0.9]], [0, 0], [0.9, 0.8])
    assert average_precision([both], truth, 1).ap == 1


def test_difficult_objects_count_neither_way():
    truth = [Boxes.of([LEFT, RIGHT], [0, 0], [False, True])]
    found = Detections.of([RIGHT, RIGHT, LEFT], [0, 0, 0], [0.9, 0.8, 0.7])
    precision = average_precision([found], truth, 1)
    assert (precision.ap, precision.objects.tolist()) == (1, [1])
    assert average_precision([perfect(truth[0]).take(np.array([1]))], truth, 1).ap == 0


def test_classes_without_objects_are_no_part_of_the_mean():
    found = Detections.of([LEFT, RIGHT, FAR], [0, 1, 2], [0.9, 0.8, 0.7])
    precision = average_precision([found], [Boxes.of([LEFT, FAR], [0, 1])], 3)
    assert precision.ap == 0.5
    assert np.array_equal(precision.per_class, [1, 0, np.nan], equal_nan=True)
    assert math.isnan(average_precision([found], [Boxes.of([], [])], 3).ap)


def test_sizes_are_those_of_objects_in_the_photo():
    # In 64 x 128 px: 32 x 32 is small and medium at once, 64 x 128 is medium (8,192 of 9,216 px).
    truth = [Boxes.of([[0, 0, 0.5, 0.25], [0, 0, 1, 1]], [0, 0])]
    found = [Detections.of([[0, 0, 0.5, 0.25]], [0], [0.9])]
    photo = [Resolution(height_px=64, width_px=128)]
    by_size = average_precision(found, truth, 1, sizes=photo).by_size
    assert by_size["small"] == 1
    assert by_size["medium"] == pytest.approx(51 / 101)
    assert math.isnan(by_size["large"])
    assert average_precision(found, truth, 1).by_size == {}


def test_a_hundred_detections_of_a_class_in_an_image_count():
    truth = [Boxes.of([LEFT], [0])]
    many = Detections.of([FAR] * 100 + [LEFT], [0] * 101, np.linspace(0.9, 0.5, 101))
    assert average_precision([many], truth, 1).ap == 0
    assert average_precision([many.take(np.arange(1, 101))], truth, 1).ap == pytest.approx(0.01)


def test_no_images_and_no_detections():
    assert math.isnan(average_precision([], [], 2).ap)
    assert average_precision([Detections.of([], [], [])], [Boxes.of([LEFT], [0])], 1).ap == 0


@given(SEEDS)
def test_precision_is_a_fraction_and_falls_with_recall(seed):
    drawn = scenes(seed)
    precision = average_precision(drawn.detections, drawn.truth, 3, sizes=drawn.sizes)
    for value in (precision.ap, precision.ap50, precision.ap75, *precision.by_size.values()):
        assert math.isnan(value) or 0 <= value <= 1
    has_objects = precision.objects > 0
    assert (np.diff(precision.curves[has_objects], axis=1) <= 0).all()
    assert np.array_equal(np.isnan(precision.per_class), ~has_objects)
    assert math.isnan(precision.ap) or precision.ap <= precision.ap50 + 1e-12


@given(SEEDS)
def test_perfect_detections_give_one(seed):
    truth = scenes(seed, objects=3).truth
    found = average_precision([perfect(each) for each in truth], truth, 3)
    assert found.ap == 1 or found.objects.sum() == 0


@given(SEEDS, st.integers(0, 11))
def test_a_wrong_detection_below_all_others_never_raises_it(seed, place):
    drawn = scenes(seed)
    before = average_precision(drawn.detections, drawn.truth, 3)
    more = list(drawn.detections)
    own = more[place]
    more[place] = Detections.of([*own.corners, [0.99, 0.99, 1, 1]], [*own.classes, 0], [*own.scores, 0.0])
    after = average_precision(more, drawn.truth, 3)
    assert np.array_equal(after.per_class, before.per_class, equal_nan=True)


@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_matter(seed, random):
    drawn = scenes(seed)
    order = list(range(len(drawn.truth)))
    random.shuffle(order)
    one = average_precision(drawn.detections, drawn.truth, 3)
    other = average_precision([drawn.detections[i] for i in order], [drawn.truth[i] for i in order], 3)
    assert np.array_equal(one.per_class, other.per_class, equal_nan=True)


@given(SEEDS)
def test_a_sample_of_images_has_the_precision_of_its_images(seed):
    drawn = scenes(seed, images=5)
    weights = np.random.default_rng(seed).multinomial(5, np.full(5, 0.2), size=4).astype(float)
    weights = np.concatenate([np.ones((1, 5)), weights])
    found = weighted(class_matches(drawn.detections, drawn.truth, 3), weights)
    wanted = [_of_sample(drawn, row) for row in weights]
    assert np.allclose(found[:, 0], [each.ap50 for each in wanted], equal_nan=True)
    assert np.allclose(found.mean(axis=1), [each.ap for each in wanted], equal_nan=True)


def _of_sample(drawn: Scenes, weights: Any) -> AveragePrecision:
    places = np.repeat(np.arange(len(weights)), weights.astype(int))
    return average_precision([drawn.detections[i] for i in places], [drawn.truth[i] for i in places], 3)


@pytest.mark.parametrize(
    "given", [{}, {"is_coarse": True}, {"difficult": 0.2}, {"objects": 90, "images": 3, "classes": 1}], ids=str
)
@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_pycocotools(given, seed):
    pytest.importorskip("pycocotools", reason="pycocotools is not installed: pip install -e '.[dev]'")
    drawn = scenes(seed, **given)
    classes = given.get("classes", 3)
    ours = average_precision(drawn.detections, drawn.truth, classes, sizes=drawn.sizes)
    theirs = _coco(drawn, classes)
    wanted = np.where(theirs.stats[:6] < 0, np.nan, theirs.stats[:6])
    assert np.allclose(
        [ours.ap, ours.ap50, ours.ap75, *ours.by_size.values()], wanted, rtol=0, atol=1e-12, equal_nan=True
    )
    curves = theirs.eval["precision"][0, :, :, 0, 2].T
    assert np.allclose(ours.curves, np.where(curves < 0, np.nan, curves), rtol=0, atol=1e-12, equal_nan=True)
    assert len(RECALLS) == curves.shape[1]


def _coco(drawn: Scenes, classes: int) -> Any:
    """The evaluation of pycocotools, which takes boxes as x, y, width, height in pixels."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    objects, found = [], []
    for place, (truth, detections, size) in enumerate(zip(drawn.truth, drawn.detections, drawn.sizes, strict=True)):
        for box, index, is_crowd in zip(truth.corners, truth.classes, truth.is_difficult, strict=True):
            pixels = _in_pixels(box, size)
            known = {"id": len(objects) + 1, "image_id": place, "category_id": int(index)}
            objects.append(known | {"bbox": pixels, "area": pixels[2] * pixels[3], "iscrowd": int(is_crowd)})
        for box, index, score in zip(detections.corners, detections.classes, detections.scores, strict=True):
            known = {"image_id": place, "category_id": int(index), "score": float(score)}
            found.append(known | {"bbox": _in_pixels(box, size)})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        images = [{"id": place} for place in range(len(drawn.sizes))]
        categories = [{"id": index} for index in range(classes)]
        truth.dataset = {"info": {}, "images": images, "annotations": objects, "categories": categories}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _in_pixels(box: Any, size: Resolution) -> list[float]:
    top, left, bottom, right = box.astype(float) * [size.height_px, size.width_px, size.height_px, size.width_px]
    return [left, top, right - left, bottom - top]
