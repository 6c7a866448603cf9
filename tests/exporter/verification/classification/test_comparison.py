"""Accuracies, agreements and distances, of runners that answer from tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import Affine
from mbexport.models.facts import Output

UINT8_SCORES = Affine(scale=(1 / 256,), zero_point=(0,))
INT8_SCORES = Affine(scale=(1 / 256,), zero_point=(-128,))


def test_top1_and_agreement_by_hand(table_runner, verified, one_hot):
    found = verified([table_runner("a", one_hot(0, 1, 0, 1))], [0, 1, 2, 1], reference=one_hot(0, 1, 2, 0))
    (accuracy,) = found.artifacts
    assert (found.reference.top1, accuracy.top1) == (0.75, 0.75)  # images 0, 1, 2 and images 0, 1, 3
    assert accuracy.agreement == 0.5
    assert accuracy.top1_ci95 == pytest.approx((0.3006, 0.9544), abs=5e-5)  # Wilson, 3 of 4
    assert accuracy.agreement_ci95 == pytest.approx((0.1500, 0.8500), abs=5e-5)  # Wilson, 2 of 4
    assert accuracy.top5_ci95 == pytest.approx((0.5101, 1.0), abs=5e-5)  # Wilson, 4 of 4
    assert (accuracy.samples, found.classes_seen) == (4, 3)


def test_difference_by_hand(table_runner, verified, one_hot):
    # The reference alone is right on the images 1, 2 and 3, the artifact alone on image 4.
    found = verified(
        [table_runner("a", one_hot(0, 0, 0, 0, 1, 2))], [0, 1, 1, 1, 1, 0], reference=one_hot(0, 1, 1, 1, 0, 1)
    )
    difference = found.artifacts[0].difference
    assert (difference.only_reference_right, difference.only_artifact_right) == (3, 1)
    assert difference.top1_drop == pytest.approx(2 / 6)
    assert difference.mcnemar_p == pytest.approx(0.625)  # 2 (1 + 4) / 16
    for low, high in (difference.bootstrap_ci95, difference.score_ci95):
        assert low < 0 < 2 / 6 < high


def test_interval_of_equal_answers_depends_on_their_number(table_runner, verified, one_hot):
    difference = verified([table_runner("a", one_hot(0))], [0], reference=one_hot(0)).artifacts[0].difference
    assert (difference.top1_drop, difference.bootstrap_ci95, difference.mcnemar_p) == (0.0, (0.0, 0.0), 1.0)
    assert difference.score_ci95 == pytest.approx((-0.79345, 0.79345), abs=5e-6)  # z^2 / (1 + z^2)


def test_reference_agrees_with_itself(table_runner, verified, one_hot):
    found = verified([table_runner("a", one_hot(0))], [1], reference=one_hot(2))
    assert (found.reference.name, found.reference.agreement, found.reference.max_abs_error) == ("reference", 1.0, 0.0)


def test_ties_go_to_the_lowest_index_in_artifact_and_reference(table_runner, verified):
    tie = np.array([[0.2, 0.4, 0.4]], np.float32)
    found = verified([table_runner("a", tie)], [1], reference=tie)
    assert (found.artifacts[0].top1, found.reference.top1) == (1.0, 1.0)
    assert verified([table_runner("a", tie)], [2], reference=tie).artifacts[0].top1 == 0.0


def test_tie_of_codes_agrees_with_the_lower_class_of_the_reference(table_runner, verified, one_hot):
    codes = np.array([[100, 100, 56]], np.uint8)
    runner = table_runner("a", codes, UINT8_SCORES)
    assert verified([runner], [0], reference=one_hot(0)).artifacts[0].agreement == 1.0
    assert verified([runner], [0], reference=one_hot(1)).artifacts[0].agreement == 0.0


def test_tied_is_the_share_of_images_with_two_first_places(table_runner, verified):
    codes = np.array([[100, 100, 56], [9, 50, 50], [7, 7, 8], [1, 0, 0]], np.uint8)
    runner = table_runner("a", codes, UINT8_SCORES)
    assert verified([runner], [0] * 4, reference=codes / 256).artifacts[0].tied == 0.5


@pytest.mark.parametrize(("label", "hit"), [(9, 1.0), (5, 1.0), (4, 0.0), (0, 0.0)])
def test_top5_counts_the_five_highest(table_runner, verified, label, hit):
    rising = np.arange(10, dtype=np.float32)[None]
    assert verified([table_runner("a", rising)], [label], reference=rising).artifacts[0].top5 == hit


@pytest.mark.parametrize(("label", "hit"), [(3, 1.0), (31, 1.0), (38, 0.0), (0, 0.0)])
def test_top5_breaks_ties_by_the_lowest_index_too(table_runner, verified, label, hit):
    # Classes 3, 10, 17, 24, 31, 38 and on tie for the first place: so many that an unstable sort would mix them.
    tied = (np.arange(1000) % 7 == 3).astype(np.float32)[None]
    assert verified([table_runner("a", tied)], [label], reference=tied).artifacts[0].top5 == hit


def test_top5_of_fewer_classes_is_always_right(table_runner, verified, one_hot):
    assert verified([table_runner("a", one_hot(0))], [2], reference=one_hot(2)).artifacts[0].top5 == 1.0


SMALL_SCORES = st.lists(st.lists(st.integers(0, 3), min_size=8, max_size=8), min_size=1, max_size=5)


@given(SMALL_SCORES, st.integers(0, 7))
def test_top5_is_where_a_stable_sort_puts_the_true_class(table_runner, verified, scores, label):
    table = np.array(scores, np.float32)
    first = np.argsort(-table, axis=1, kind="stable")[:, :5]
    found = verified([table_runner("a", table)], [label] * len(table), reference=table)
    assert found.artifacts[0].top5 == (first == label).any(axis=1).mean()


def test_distances_are_of_any_image_and_class(table_runner, verified):
    scores = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]], np.float32)
    found = verified([table_runner("a", scores)], [0, 2], reference=[[0.5, 0.25, 0.25], [0.0, 0.875, 0.125]])
    (accuracy,) = found.artifacts
    assert (accuracy.max_abs_error, accuracy.error.mean) == (0.625, pytest.approx((0.25 * 2 + 0.625 * 2) / 6))
    assert sum(accuracy.error.histogram.counts) == 2
    assert (accuracy.error.histogram.counts[-1], accuracy.error.histogram.edges[-1]) == (1, 0.625)
    assert accuracy.lsb is None


def test_distances_compare_what_codes_stand_for(table_runner, verified):
    codes = np.array([[-128, 0, 127]], np.int8)  # 0, 128/256 and 255/256
    found = verified([table_runner("a", codes, INT8_SCORES)], [0], reference=[[0.0, 0.25, 0.99609375]])
    (accuracy,) = found.artifacts
    assert accuracy.max_abs_error == 0.25
    assert (accuracy.lsb.largest, accuracy.lsb.mean) == (64.0, pytest.approx(64 / 3))


def test_logits_are_compared_as_probabilities_and_counted_in_their_own_steps(table_runner, verified):
    step = Affine(scale=(math.log(3),), zero_point=(0,))
    runner = table_runner("a", np.array([[1, 0]], np.uint8), step)  # 3 to 1
    (accuracy,) = verified([runner], [0], reference=[[0.0, 0.0]], kind=Output.LOGITS).artifacts
    assert accuracy.max_abs_error == pytest.approx(0.25, abs=1e-6)
    assert accuracy.lsb.largest == pytest.approx(1.0, abs=1e-6)


def test_logits_beside_probabilities_have_no_distance_in_steps(table_runner, subject, verified):
    logits = subject(table_runner("a", np.array([[1, 1]], np.uint8), UINT8_SCORES), Output.LOGITS)
    (accuracy,) = verified([logits], [0], reference=[[0.75, 0.25]]).artifacts
    assert accuracy.max_abs_error == 0.25
    assert accuracy.lsb is None


def test_background_is_left_out_everywhere(table_runner, subject, verified, one_hot):
    shifted = subject(table_runner("a", one_hot(0, 3, count=4) + one_hot(2, 2, count=4) / 2), skips_background=True)
    found = verified([shifted], [1, 2], reference=one_hot(1, 2))
    assert (found.artifacts[0].top1, found.artifacts[0].agreement) == (1.0, 1.0)


@pytest.mark.parametrize("where", [0, 1, 2])
@pytest.mark.parametrize("in_reference", [False, True])
def test_one_nan_anywhere_fails_closed(table_runner, verified, one_hot, where, in_reference):
    good, bad = one_hot(0, 1, 2), one_hot(0, 1, 2)
    bad[where, 0] = np.nan
    runner, reference = (good, bad) if in_reference else (bad, good)
    found = verified([table_runner("a", runner)], [0, 1, 2], reference=reference, batch=1)
    (accuracy,) = found.artifacts
    assert math.isnan(accuracy.max_abs_error)
    assert math.isnan(accuracy.error.mean)
    assert accuracy.agreement == pytest.approx(2 / 3)
    assert (found.reference if in_reference else accuracy).top1 == pytest.approx(2 / 3)
    assert (accuracy.disagreements[0].image, accuracy.disagreements[0].severity) == (f"{where}.png", 1.0)


def test_nothing_but_nan_agrees_with_nothing_but_nan_nowhere(table_runner, verified):
    nothing = np.full((2, 3), np.nan, np.float32)
    (accuracy,) = verified([table_runner("a", nothing)], [0, 0], reference=nothing).artifacts
    assert (accuracy.agreement, accuracy.top1, accuracy.top5) == (0.0, 0.0, 0.0)


def test_distinct_outputs_counts_different_score_vectors(table_runner, verified, one_hot):
    found = verified([table_runner("a", one_hot(0, 1, 0, 1, 1))], [0] * 5, reference=one_hot(0, 0, 0, 0, 0))
    assert (found.artifacts[0].distinct_outputs, found.reference.distinct_outputs) == (2, 1)


def test_without_images_nothing_is_measured(table_runner, verified, one_hot):
    found = verified([table_runner("a", one_hot(0))], [], reference=one_hot(0))
    (accuracy,) = found.artifacts
    unknown = (accuracy.top1, accuracy.top5, accuracy.agreement, accuracy.max_abs_error, accuracy.tied)
    assert all(map(math.isnan, unknown))
    assert (accuracy.samples, accuracy.top1_ci95, found.classes_seen) == (0, (0.0, 1.0), 0)
    assert accuracy.difference.score_ci95 == (-1.0, 1.0)


def test_without_labels_only_agreement_is_measured(table_runner, verified, one_hot):
    runner = table_runner("a", one_hot(0, 1, 0, 1))
    # Folders of unlabelled images may be more than classes.
    found = verified([runner], [0, 1, 7, 1], reference=one_hot(0, 1, 2, 0), is_labelled=False)
    (accuracy,) = found.artifacts
    numbers = (accuracy.top1, *accuracy.top1_ci95, accuracy.top5, *accuracy.top5_ci95, found.reference.top1)
    assert all(map(math.isnan, numbers))
    assert (accuracy.agreement, accuracy.max_abs_error, accuracy.distinct_outputs) == (0.5, 1.0, 2)
    assert (accuracy.difference, accuracy.classes.shown, found.classes_seen) == (None, (), 0)
    assert [(one.image, one.label) for one in accuracy.disagreements] == [("2.png", None), ("3.png", None)]


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_an_artifact_that_is_the_reference_loses_nothing(table_runner, verified, count, seed):
    scores = np.random.default_rng(seed).random((count, 6), dtype=np.float32)
    found = verified([table_runner("a", scores)], np.arange(count) % 6, reference=scores)
    (accuracy,) = found.artifacts
    assert (accuracy.agreement, accuracy.max_abs_error, accuracy.disagreement_count) == (1.0, 0.0, 0)
    assert accuracy.top1 == found.reference.top1
    assert (accuracy.difference.top1_drop, accuracy.classes.worst) == (0.0, ())
