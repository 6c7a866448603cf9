"""What detectors find for golden vectors: how far other answers are off, and which rows none can miss."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from detector_by_hand import PREPROCESS, HandDetector, detector_tflite, image_of
from hypothesis import given
from hypothesis import strategies as st

from mbexport.artifact import Precision
from mbexport.formats.registry import open_runner
from mbexport.golden.answers import feeding_mistakes
from mbexport.golden.detection.answers import (
    LEAST_SCORE,
    Found,
    compare_brighter,
    compare_kernels,
    found_by,
    least_lost,
    met,
    partners,
)
from mbexport.golden.detection.vectors import Distance
from mbexport.models.detection.boxes import Detections

LEFT, RIGHT = (0.1, 0.1, 0.5, 0.4), (0.1, 0.6, 0.5, 0.9)
EXACT = Distance(score=0.0, corner=0.0)


@dataclass
class Precise:
    """A runner of which nothing but the precision is known."""

    precision: Precision


def found(*rows, precision=Precision.FP32, spread=EXACT, steady=None):
    """One photo in which these rows are found: class, score, corners."""
    classes, scores, corners = zip(*rows, strict=True) if rows else ((), (), ())
    detections = Detections.of(corners, classes, scores)
    steady = np.ones(len(rows), np.bool_) if steady is None else np.array(steady)
    detector = HandDetector(runner=Precise(precision=precision))
    return Found(detector=detector, photos=(detections,), steady=(steady,), spread=spread)


@pytest.fixture
def detector(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(detector_tflite())
    return HandDetector(runner=open_runner(path))


@pytest.mark.parametrize(
    ("precision", "spread", "expected"),
    [
        (Precision.FP32, EXACT, Distance(score=1 / 64, corner=1 / 256)),
        (Precision.INT16X8, EXACT, Distance(score=1 / 64, corner=1 / 256)),
        (Precision.INT8, EXACT, Distance(score=1 / 8, corner=1 / 32)),
        (Precision.DYNAMIC, Distance(score=0.1, corner=0.001), Distance(score=0.2, corner=1 / 32)),
        (Precision.FP32, Distance(score=0.001, corner=0.01), Distance(score=1 / 64, corner=0.02)),
    ],
)
def test_the_tolerance_is_twice_the_spread_or_what_codes_make(precision, spread, expected):
    assert found(precision=precision, spread=spread).tolerance == expected


def test_rows_are_listed_as_far_down_as_another_runtime_may_show_them():
    given_ = found((0, 0.9, LEFT), (0, 0.29, RIGHT), (0, 0.28, RIGHT))
    assert len(given_.listed(0)) == 2
    assert given_.safe(0).tolist() == [True, False]
    assert len(replace(given_, spread=Distance(score=0.02, corner=0)).listed(0)) == 3


def test_the_best_row_is_listed_whatever_its_score_is():
    assert len(found((0, 0.01, LEFT), (0, 0.005, RIGHT)).listed(0)) == 1
    assert len(found().listed(0)) == 0


@pytest.mark.parametrize(
    ("other", "is_safe"),
    [
        ((0, 0.79, (0.1, 0.1, 0.5, 0.7)), False),  # half of it is the first box: a rival
        ((0, 0.7, (0.1, 0.1, 0.5, 0.7)), True),  # one that cannot become the more certain one
        ((1, 0.79, (0.1, 0.1, 0.5, 0.7)), True),  # of another class
        ((0, 0.79, (0.1, 0.3, 0.5, 0.6)), True),  # that has a fifth in common with it
    ],
)
def test_a_row_beside_which_another_one_is_nearly_as_certain_is_not_safe(other, is_safe):
    assert found((0, 0.8, LEFT), other).safe(0)[0] == is_safe


def test_a_row_that_others_do_not_find_is_not_safe():
    assert found((0, 0.9, LEFT), (0, 0.8, RIGHT), steady=[True, False]).safe(0).tolist() == [True, False]


@given(
    st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1, width=32)), min_size=1, max_size=6),
    st.lists(st.floats(-1, 1), min_size=6, max_size=6),
    st.sampled_from([Precision.FP32, Precision.INT8]),
)
def test_a_safe_row_is_shown_by_every_runtime_within_the_tolerance(rows, shifts, precision):
    """The reason of the limits: an app asks for `LEAST_SCORE`."""
    placed = sorted(rows, key=lambda row: -row[1])
    given_ = found(*((cls, score, LEFT) for cls, score in placed), precision=precision)
    listed, safe = given_.listed(0), given_.safe(0)
    moved = listed.scores.astype(float) + np.array(shifts[: len(listed)]) * given_.tolerance.score
    assert (moved[safe] >= LEAST_SCORE - 1e-9).all()
    for place in np.flatnonzero(safe):
        rivals = (listed.classes == listed.classes[place]) & (np.arange(len(listed)) != place)
        assert (moved[place] >= moved[rivals] - 1e-9).all()


def test_where_corners_are_no_numbers_nothing_is_found():
    assert found((0, 0.9, LEFT)).is_finite(0)
    assert not found((0, 0.9, (0.1, np.nan, 0.5, 0.4))).is_finite(0)
    assert not found().is_finite(0)


def test_rows_are_met_by_those_of_their_class_nearby():
    rows = Detections.of([LEFT] * 4, [0] * 4, [0.5, 0.6, 0.7, 0.5])
    others = Detections.of([LEFT, (0.1, 0.12, 0.5, 0.4), LEFT], [0, 0, 1], [0.6, 0.7, 0.5])
    assert met(rows, others, Distance(score=0.05, corner=0.01)).tolist() == [False, True, False, False]
    assert met(rows, others, Distance(score=0.11, corner=0.03)).all()
    assert not met(rows, Detections.of([], [], []), Distance(score=1, corner=1)).any()


def test_partners_share_most_of_one_class():
    rows = Detections.of([LEFT, RIGHT, LEFT], [0, 0, 1], [1, 1, 1])
    others = Detections.of([(0.1, 0.1, 0.5, 0.5), LEFT], [0, 0], [1, 1])
    assert partners(rows, others, overlap=0.5).tolist() == [1, -1, -1]
    assert partners(rows, Detections.of([], [], []), overlap=0.5).tolist() == [-1, -1, -1]


def test_kernels_that_find_the_same_do_not_differ(detector):
    pixels = image_of([(0, 0.9), (1, 0.4)])[None]
    seen = compare_kernels(found_by(detector, pixels), pixels, kernels=slice(None))
    assert seen.spread.score < 1e-6
    assert seen.steady[0].all()


def test_the_spread_is_that_of_partners_and_what_has_none_is_not_steady(detector, monkeypatch):
    pixels = image_of([(0, 0.9), (1, 0.6), (2, 0.1)])[None]
    others = HandDetector(runner=detector.runner).detections(image_of([(0, 0.8), (2, 0.6), (2, 0.2)])[None])
    first = found_by(detector, pixels)
    monkeypatch.setattr(HandDetector, "detections", lambda self, _: others)
    seen = compare_kernels(first, pixels, kernels=slice(0, 1))
    assert seen.spread.score == pytest.approx(0.1, abs=0.01)  # not that of the last row, which no app shows
    assert seen.steady[0].tolist() == [True, False, True]


def test_a_row_that_a_shade_more_takes_away_is_not_steady(detector, monkeypatch):
    pixels = np.full((1, *PREPROCESS.shape), 255, np.uint8)
    first, fed = found_by(detector, pixels), []
    monkeypatch.setattr(HandDetector, "detections", lambda self, given_: fed.append(given_) or first.photos)
    assert compare_brighter(first, pixels).steady[0].all()
    assert compare_brighter(first, pixels - np.uint8(7)).steady[0].all()
    assert [int(each.max()) for each in fed] == [255, 249]


def test_what_is_lost_is_that_of_the_mistake_which_loses_least(detector):
    """Half the range makes 166 of 75 and 191 of 128, which moves boxes; blue for red moves scores between anchors."""
    pixels = np.stack([image_of([(0, 0.9), (1, 0.8)]), image_of([])])
    lost = least_lost(found_by(detector, pixels), feeding_mistakes(pixels))
    assert lost.tolist() == [1, 0]
    same = least_lost(found_by(detector, pixels), [pixels, *feeding_mistakes(pixels)])
    assert same.tolist() == [0, 0]
