"""Calibration samples are as balanced as can be, do not repeat, and are the same for a seed."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.calibration.samples import balanced_samples
from mbexport.errors import OptionError

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(lambda labels: np.array(labels, np.int64))
COUNTS = st.integers(1, 80)
SEEDS = st.integers(0, 2**32)
TEN_OF_EACH = np.repeat(np.arange(10), 10)


def test_a_scarce_class_gives_all_it_has_and_the_others_share_the_rest():
    labels = np.array([7] + [2] * 2 + [4] * 10)
    chosen = labels[balanced_samples(labels, 6, seed=0)]
    assert sorted(chosen.tolist()) == [2, 2, 4, 4, 4, 7]


@given(LABELS, COUNTS, SEEDS)
@example(np.array([0] * 50 + [1] * 3 + [2]), 10, 0)
def test_no_class_has_two_more_than_one_that_still_had_images(labels, count, seed):
    chosen = balanced_samples(labels, count, seed=seed)
    taken, supply = np.bincount(labels[chosen], minlength=6), np.bincount(labels, minlength=6)
    not_used_up = taken < supply
    if not_used_up.any():
        assert taken.max() - taken[not_used_up].min() <= 1


@given(LABELS, COUNTS, SEEDS)
def test_indices_are_legal_different_and_as_many_as_asked_for(labels, count, seed):
    chosen = balanced_samples(labels, count, seed=seed)
    assert len(set(chosen.tolist())) == len(chosen) == min(count, len(labels))
    assert set(chosen.tolist()) <= set(range(len(labels)))
    assert chosen.dtype == np.int64


@given(LABELS, COUNTS, SEEDS)
def test_a_seed_decides_everything(labels, count, seed):
    assert np.array_equal(balanced_samples(labels, count, seed=seed), balanced_samples(labels, count, seed=seed))


def test_another_seed_chooses_other_images():
    choices = {tuple(sorted(balanced_samples(TEN_OF_EACH, 20, seed=seed).tolist())) for seed in range(20)}
    assert len(choices) == 20


def test_every_class_may_be_among_a_few_samples():
    seen = {label for seed in range(60) for label in TEN_OF_EACH[balanced_samples(TEN_OF_EACH, 2, seed=seed)].tolist()}
    assert seen == set(range(10))


@given(LABELS, SEEDS, st.integers(0, 1000))
def test_a_count_beyond_the_set_gives_the_whole_set(labels, seed, beyond):
    chosen = balanced_samples(labels, len(labels) + beyond, seed=seed)
    assert sorted(chosen.tolist()) == list(range(len(labels)))


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_is_refused(count):
    with pytest.raises(OptionError, match=f"at least 1, got {count}"):
        balanced_samples(np.array([0, 1]), count, seed=0)
