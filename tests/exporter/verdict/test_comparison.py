"""Accuracies, agreements and distances, of runners that answer from tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import Affine
from mbexport.models.preprocess import Preprocess
from mbexport.verdict.comparison import verify, wilson_interval

PREPROCESS = Preprocess(resolution_px=32)
UINT8_SCORES = Affine(scale=(1 / 256,), zero_point=(0,))
INT8_SCORES = Affine(scale=(1 / 256,), zero_point=(-128,))


def numbered(count: int) -> np.ndarray:
    """Images of one pixel, each with its number as its bytes."""
    return np.repeat(np.arange(count, dtype=np.uint8), 3).reshape(count, 1, 1, 3)


def verified(runners, labels, *, reference, batches=None):
    table = np.asarray(reference, np.float32)
    return verify(
        runners,
        [numbered(len(labels))] if batches is None else batches,
        np.asarray(labels, np.int64),
        reference=lambda pixels: table[pixels[:, 0, 0, 0]],
        preprocess=PREPROCESS,
    )


def one_hot(*classes: int, count: int = 3) -> np.ndarray:
    return np.eye(count, dtype=np.float32)[list(classes)]


@pytest.mark.parametrize(
    ("successes", "samples", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 10, 0.0, 0.2775),  # z^2 / (10 + z^2)
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_interval_is_the_published_one(successes, samples, low, high):
    assert wilson_interval(successes, samples) == pytest.approx((low, high), abs=5e-5)


COUNTS = st.integers(1, 2000).flatmap(lambda samples: st.tuples(st.integers(0, samples), st.just(samples)))


@given(COUNTS)
def test_wilson_interval_lies_in_0_to_1_and_holds_the_fraction(counts):
    successes, samples = counts
    low, high = wilson_interval(successes, samples)
    assert 0 <= low < high <= 1
    assert low - 1e-12 <= successes / samples <= high + 1e-12


@given(COUNTS, st.integers(2, 5))
def test_wilson_interval_narrows_with_more_samples(counts, times):
    (low, high), (few_low, few_high) = (wilson_interval(counts[0] * k, counts[1] * k) for k in (times, 1))
    assert high - low < few_high - few_low


@given(COUNTS)
def test_wilson_interval_of_failures_mirrors_that_of_successes(counts):
    successes, samples = counts
    low, high = wilson_interval(successes, samples)
    assert wilson_interval(samples - successes, samples) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_top1_and_agreement_by_hand(table_runner):
    reference = one_hot(0, 1, 2, 0)
    runner = table_runner("a", one_hot(0, 1, 0, 1))
    found = verified([runner], [0, 1, 2, 1], reference=reference)
    (accuracy,) = found.artifacts
    assert (found.reference.top1, accuracy.top1) == (0.75, 0.75)  # images 0, 1, 2 and images 0, 1, 3
    assert accuracy.agreement == 0.5
    assert accuracy.top1_ci95 == pytest.approx((0.3006, 0.9544), abs=5e-5)  # Wilson, 3 of 4
    assert (accuracy.samples, found.classes_seen) == (4, 3)


def test_reference_agrees_with_itself(table_runner):
    found = verified([table_runner("a", one_hot(0))], [1], reference=one_hot(2))
    assert (found.reference.name, found.reference.agreement, found.reference.max_abs_error) == ("reference", 1.0, 0.0)


def test_ties_go_to_the_lowest_index_in_artifact_and_reference(table_runner):
    tie = np.array([[0.2, 0.4, 0.4]], np.float32)
    found = verified([table_runner("a", tie)], [1], reference=tie)
    assert (found.artifacts[0].top1, found.reference.top1) == (1.0, 1.0)
    assert verified([table_runner("a", tie)], [2], reference=tie).artifacts[0].top1 == 0.0


def test_tie_of_codes_agrees_with_the_lower_class_of_the_reference(table_runner):
    codes = np.array([[100, 100, 56]], np.uint8)
    runner = table_runner("a", codes, UINT8_SCORES)
    assert verified([runner], [0], reference=one_hot(0)).artifacts[0].agreement == 1.0
    assert verified([runner], [0], reference=one_hot(1)).artifacts[0].agreement == 0.0


@pytest.mark.parametrize(("label", "hit"), [(9, 1.0), (5, 1.0), (4, 0.0), (0, 0.0)])
def test_top5_counts_the_five_highest(table_runner, label, hit):
    rising = np.arange(10, dtype=np.float32)[None]
    assert verified([table_runner("a", rising)], [label], reference=rising).artifacts[0].top5 == hit


@pytest.mark.parametrize(("label", "hit"), [(3, 1.0), (31, 1.0), (38, 0.0), (0, 0.0)])
def test_top5_breaks_ties_by_the_lowest_index_too(table_runner, label, hit):
    # Classes 3, 10, 17, 24, 31, 38 and on tie for the first place: so many that an unstable sort would mix them.
    tied = (np.arange(1000) % 7 == 3).astype(np.float32)[None]
    assert verified([table_runner("a", tied)], [label], reference=tied).artifacts[0].top5 == hit


def test_top5_of_fewer_classes_is_always_right(table_runner):
    assert verified([table_runner("a", one_hot(0))], [2], reference=one_hot(2)).artifacts[0].top5 == 1.0


def test_max_abs_error_is_the_largest_of_any_image_and_class(table_runner):
    scores = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]], np.float32)
    found = verified([table_runner("a", scores)], [0, 2], reference=[[0.5, 0.25, 0.25], [0.0, 0.875, 0.125]])
    assert found.artifacts[0].max_abs_error == 0.625


def test_max_abs_error_compares_what_codes_stand_for(table_runner):
    codes = np.array([[-128, 0, 127]], np.int8)  # 0, 128/256 and 255/256
    found = verified([table_runner("a", codes, INT8_SCORES)], [0], reference=[[0.0, 0.25, 0.99609375]])
    assert found.artifacts[0].max_abs_error == 0.25


@pytest.mark.parametrize("where", [0, 1, 2])
@pytest.mark.parametrize("in_reference", [False, True])
def test_one_nan_anywhere_makes_the_error_nan(table_runner, where, in_reference):
    good, bad = one_hot(0, 1, 2), one_hot(0, 1, 2)
    bad[where, 0] = np.nan
    runner, reference = (good, bad) if in_reference else (bad, good)
    batches = [numbered(3)[i : i + 1] for i in range(3)]
    found = verified([table_runner("a", runner)], [0, 1, 2], reference=reference, batches=batches)
    assert math.isnan(found.artifacts[0].max_abs_error)


def test_distinct_outputs_counts_different_score_vectors(table_runner):
    found = verified([table_runner("a", one_hot(0, 1, 0, 1, 1))], [0] * 5, reference=one_hot(0, 0, 0, 0, 0))
    assert (found.artifacts[0].distinct_outputs, found.reference.distinct_outputs) == (2, 1)


def test_pairs_need_the_same_type_scale_and_class_count(table_runner):
    codes = np.zeros((1, 3), np.uint8)
    runners = [
        table_runner("a", codes, UINT8_SCORES),
        table_runner("other type", codes.astype(np.int8), INT8_SCORES),
        table_runner("other scale", codes, Affine(scale=(1 / 255,), zero_point=(0,))),
        table_runner("other zero", codes, Affine(scale=(1 / 256,), zero_point=(1,))),
        table_runner("float", one_hot(0)),
        table_runner("b", codes, UINT8_SCORES),
    ]
    found = verified(runners, [0], reference=one_hot(0))
    assert [(pair.a, pair.b) for pair in found.pairs] == [("a", "b")]
    assert [entry.name for entry in found.artifacts] == [runner.name for runner in runners]


def test_three_alike_make_three_pairs(table_runner):
    runners = [table_runner(name, np.zeros((1, 3), np.uint8), UINT8_SCORES) for name in "abc"]
    found = verified(runners, [0], reference=one_hot(0))
    assert [(pair.a, pair.b) for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_pair_by_hand(table_runner):
    a = np.array([[200, 56, 0], [10, 20, 30]], np.uint8)
    b = np.array([[200, 56, 0], [31, 20, 30]], np.uint8)
    runners = [table_runner("a", a, UINT8_SCORES), table_runner("b", b, UINT8_SCORES)]
    (pair,) = verified(runners, [0, 0], reference=one_hot(0, 0)).pairs
    assert (pair.max_lsb, pair.differing_fraction, pair.agreement) == (21, 1 / 6, 0.5)


@pytest.mark.parametrize(
    ("low", "high", "affine"), [(np.uint8(0), np.uint8(255), UINT8_SCORES), (np.int8(-128), np.int8(127), INT8_SCORES)]
)
def test_distance_of_the_outermost_codes_does_not_wrap(table_runner, low, high, affine):
    runners = [
        table_runner("a", np.array([[low, high]]), affine),
        table_runner("b", np.array([[high, low]]), affine),
    ]
    (pair,) = verified(runners, [0], reference=one_hot(0, count=2)).pairs
    assert (pair.max_lsb, pair.differing_fraction) == (255, 1.0)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_batch_size_does_not_change_the_result(table_runner, sizes, seed):
    rng, count = np.random.default_rng(seed), sum(sizes)
    codes = rng.integers(0, 4, (2, count, 6), dtype=np.uint8)
    runners = [table_runner(name, table, UINT8_SCORES) for name, table in zip("ab", codes, strict=True)]
    labels, reference = rng.integers(0, 6, count), rng.integers(0, 4, (count, 6)) / 4
    ends = np.cumsum(sizes)
    batches = [numbered(count)[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    whole = verified(runners, labels, reference=reference)
    assert verified(runners, labels, reference=reference, batches=batches) == whole


def test_without_images_nothing_is_claimed(table_runner):
    found = verified([table_runner("a", one_hot(0))], [], reference=one_hot(0), batches=[])
    (accuracy,) = found.artifacts
    assert math.isnan(accuracy.top1)
    assert math.isnan(accuracy.agreement)
    assert (accuracy.samples, accuracy.top1_ci95, found.classes_seen) == (0, (0.0, 1.0), 0)


def test_progress_counts_images(table_runner):
    steps = []
    verify(
        [table_runner("a", one_hot(0, 1, 2))],
        [numbered(3)[:2], numbered(3)[2:]],
        np.zeros(3, np.int64),
        reference=lambda pixels: one_hot(0, 1, 2)[pixels[:, 0, 0, 0]],
        preprocess=PREPROCESS,
        on_step=lambda *step: steps.append(step),
    )
    assert steps == [(2, 3, "images"), (3, 3, "images")]
