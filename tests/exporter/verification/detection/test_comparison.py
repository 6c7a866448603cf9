"""Detectors beside a reference and beside labels: numbers by hand, laws, and what fails closed."""

import math
from dataclasses import replace

import numpy as np
import pytest
from detection_scenes import Scenes, changed, scenes
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.detection.average_precision import average_precision
from mbexport.models.detection.boxes import Boxes, Detections
from mbexport.models.resolution import Resolution
from mbexport.verification.detection.baseline import Baseline
from mbexport.verification.detection.collect import collect

SEEDS = st.integers(0, 10_000)
LEFT, RIGHT = [0.0, 0.0, 1.0, 0.5], [0.0, 0.5, 1.0, 1.0]
NOTHING = Detections.of([], [], [])


def by_hand(count: int = 4) -> Scenes:
    """Images with two objects each, both of which are found."""
    return Scenes(
        detections=(Detections.of([LEFT, RIGHT], [0, 1], [0.9, 0.8]),) * count,
        truth=(Boxes.of([LEFT, RIGHT], [0, 1]),) * count,
        sizes=(Resolution(height_px=200, width_px=300),) * count,
    )


def test_a_loss_by_hand(verified):
    drawn = by_hand()
    lossy = (*drawn.detections[:2], NOTHING, drawn.detections[3].take(np.array([0])))
    found = verified(drawn, lossy, reference=drawn.detections)
    assert (found.samples, found.objects, found.classes_seen) == (4, 8, 2)
    assert found.reference.precision.ap == 1
    (one,) = found.artifacts
    # Three of four objects of one class, two of four of the other: recalls up to 0.75 and 0.5 are reached.
    assert one.quality.precision.ap == pytest.approx((76 / 101 + 51 / 101) / 2)
    assert one.drop.ap == pytest.approx(1 - (76 / 101 + 51 / 101) / 2)
    assert one.drop.ap50 == pytest.approx(one.drop.ap)
    assert (one.paired.kept.value, one.paired.kept.count) == (5 / 8, 8)
    assert (one.paired.backed.value, one.paired.backed.count) == (1, 5)
    assert [(each.name, each.lost, each.invented) for each in one.worst] == [("2.jpg", 2, 0), ("3.jpg", 1, 0)]
    assert one.worst[1].reference.is_paired.tolist() == [True, False]
    assert one.distinct_outputs == 3
    assert one.inside == one.ordered == 1


def test_detections_in_another_order_than_that_of_their_scores(verified):
    drawn = by_hand()
    turned = drawn.detections[0].take(np.array([1, 0]))
    (one,) = verified(drawn, (turned, NOTHING, *drawn.detections[2:]), reference=drawn.detections).artifacts
    assert one.ordered == pytest.approx(2 / 3)  # an image without a box has no order
    assert one.quality.precision.ap < 1  # of the box that is lost, not of the order
    (nothing,) = verified(drawn, (NOTHING,) * 4, reference=drawn.detections).artifacts
    assert math.isnan(nothing.ordered)


def test_the_reference_itself_loses_nothing(verified):
    drawn = scenes(3, images=20)
    (one,) = verified(drawn, drawn.detections, reference=drawn.detections).artifacts
    assert (one.drop.ap, one.drop.ap_ci95, one.drop.ap50_ci95) == (0, (0, 0), (0, 0))
    assert (one.paired.kept.value, one.paired.backed.value, one.paired.score_error) == (1, 1, 0)
    assert one.worst == ()


def test_sizes_are_those_of_the_photos_as_they_are_read(verified):
    drawn = scenes(5, images=20)
    (one,) = verified(drawn, drawn.detections, reference=None).artifacts
    wanted = average_precision(drawn.detections, drawn.truth, 3, sizes=drawn.sizes)
    assert one.quality.precision.by_size == pytest.approx(wanted.by_size, nan_ok=True)


def test_beside_labels_alone_objects_that_are_not_found_are_shown(verified):
    drawn = by_hand()
    near = Detections.of([[0.0, 0.0, 1.0, 0.4], RIGHT], [0, 0], [0.9, 0.8])  # 0.8 of the object; another class
    found = verified(drawn, (*drawn.detections[:3], near), reference=None)
    (one,) = found.artifacts
    assert found.reference is one.drop is one.paired is None
    (worst,) = one.worst
    assert (worst.name, worst.lost, worst.invented) == ("3.jpg", 1, 1)
    assert worst.reference.is_paired.tolist() == [True, False]


def test_difficult_objects_are_not_missed(verified):
    drawn = by_hand()
    truth = (replace(drawn.truth[0], is_difficult=np.array([False, True])), *drawn.truth[1:])
    lossy = (drawn.detections[0].take(np.array([0])), *drawn.detections[1:])
    found = verified(replace(drawn, truth=truth), lossy, reference=None)
    assert found.objects == 7
    assert found.artifacts[0].worst == ()
    assert found.artifacts[0].quality.precision.ap == 1


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ([0, 0, 1, 1], 1),
        ([-1e-6, 0, 1, 1], 0.5),
        ([0, 0, 1, 1.001], 0.5),
        ([0.6, 0, 0.5, 1], 0.5),
        ([0.5, 0.5, 0.5, 0.5], 1),  # nothing to draw, and nothing wrong
        ([math.nan, 0, 1, 1], 0.5),
    ],
)
def test_boxes_inside_the_image(verified, box, share):
    drawn = by_hand(1)
    table = (Detections.of([box, LEFT], [0, 0], [0.9, 0.1]),)
    assert verified(drawn, table, reference=drawn.detections).artifacts[0].inside == share


def test_a_detector_that_finds_nothing_is_worth_nothing(verified):
    drawn = by_hand()
    (one,) = verified(drawn, (NOTHING,) * 4, reference=drawn.detections).artifacts
    assert (one.quality.precision.ap, one.drop.ap, one.paired.kept.value) == (0, 1, 0)
    assert math.isnan(one.paired.backed.value)
    assert math.isnan(one.inside)
    assert one.distinct_outputs == 1


def test_chance_is_the_precision_on_other_images(verified):
    drawn = by_hand(2)
    other = (Boxes.of([LEFT], [0]), Boxes.of([RIGHT], [1]))
    found = (Detections.of([LEFT], [0], [0.9]), Detections.of([RIGHT], [1], [0.9]))
    (one,) = verified(replace(drawn, truth=other), found, reference=None).artifacts
    assert (one.quality.precision.ap50, one.quality.chance) == (1, 0)
    (same,) = verified(drawn, drawn.detections, reference=None).artifacts
    assert same.quality.chance == 1  # whoever looks at nothing is as good


@given(SEEDS, st.floats(0.001, 0.1))
def test_intervals_hold_their_values_and_shares_are_shares(verified, seed, by):
    drawn = scenes(seed)
    reference = drawn.detections
    found = verified(drawn, changed(reference, seed, by=by), reference=reference)
    (one,) = found.artifacts
    assert one.drop.ap == pytest.approx(found.reference.precision.ap - one.quality.precision.ap, nan_ok=True)
    values = [
        (one.quality.precision.ap, one.quality.ap_ci95),
        (one.quality.precision.ap50, one.quality.ap50_ci95),
        (one.drop.ap, one.drop.ap_ci95),
        (one.drop.ap50, one.drop.ap50_ci95),
        (one.paired.kept.value, one.paired.kept.ci95),
        (one.paired.backed.value, one.paired.backed.ci95),
    ]
    assert all(math.isnan(value) or low <= value <= high for value, (low, high) in values)
    assert 0 <= one.inside <= 1


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_images_does_not_matter(verified, seed):
    drawn = scenes(seed, images=8)
    order = np.random.default_rng(seed).permutation(8).tolist()
    turned = Scenes(
        detections=tuple(drawn.detections[i] for i in order),
        truth=tuple(drawn.truth[i] for i in order),
        sizes=tuple(drawn.sizes[i] for i in order),
    )
    (one,) = verified(drawn, changed(drawn.detections, 0), reference=drawn.detections).artifacts
    moved = changed(drawn.detections, 0)
    (other,) = verified(turned, tuple(moved[i] for i in order), reference=turned.detections).artifacts
    assert other.drop.ap == pytest.approx(one.drop.ap, nan_ok=True)
    assert other.paired.kept.value == pytest.approx(one.paired.kept.value, nan_ok=True)
    assert other.inside == pytest.approx(one.inside, nan_ok=True)


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (3, 2), (100, None)])
def test_neither_batches_nor_threads_change_the_detections(detector, photos, pixel, batch, workers):
    drawn = scenes(2, images=10)
    tables = {name: changed(drawn.detections, place) for place, name in enumerate("abc")}
    subjects = [detector(name=name, table=table) for name, table in tables.items()]
    found = collect(
        subjects,
        photos(drawn.sizes),
        drawn.truth,
        pixel,
        reference=Baseline.of(subjects[1]),
        batch=batch,
        workers=workers,
    )
    assert found.artifacts == tuple(tables.values())
    assert found.reference == tables["b"]
    assert found.sizes == drawn.sizes
    assert all(sorted(subject.asked) == sorted([*range(10)] * (1 + (subject is subjects[1]))) for subject in subjects)


def test_a_detector_must_answer_each_image(detector, photos, pixel):
    drawn = by_hand(3)
    subject = detector(name="a", table=drawn.detections)
    lazy = Baseline(name="lazy", detections=lambda pixels: subject.detections(pixels[:1]))
    with pytest.raises(DataError, match="lazy must answer each of 3 images, got 1 answers"):
        collect([subject], photos(drawn.sizes), drawn.truth, pixel, reference=lazy)
