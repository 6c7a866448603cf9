"""Histograms of distances: edges by hand, and that no image is lost."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mbexport.verification.statistics import distances, histogram


@pytest.mark.parametrize(
    ("values", "edges", "counts"),
    [
        ([0, 0, 0], (0, 1), (3,)),
        ([0, 1, 1, 2], (0, 1, 2, 3), (1, 2, 1)),
        ([0, 20, 21, 41], tuple(range(0, 43, 3)), (1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1)),
    ],
)
def test_steps_between_codes_are_whole(values, edges, counts):
    found = histogram(np.array(values, np.int64))
    assert (found.edges, found.counts) == (edges, counts)


def test_steps_of_probabilities_are_twenty_equal_ones():
    found = histogram(np.array([0.0, 0.11, 0.4, math.nan]))
    assert found.edges == pytest.approx(np.arange(21) / 50)
    assert found.counts == (1, 0, 0, 0, 0, 1, *[0] * 13, 1)


def test_nothing_apart_is_one_step():
    assert histogram(np.zeros(4)).counts == (4,)
    assert histogram(np.zeros(0)).counts == (0,)


def test_what_is_no_number_is_in_the_numbers_and_not_in_the_histogram():
    found = distances(np.array([0.5, math.nan]), np.array([0.25, math.nan]))
    assert math.isnan(found.largest)
    assert math.isnan(found.mean)
    assert sum(found.histogram.counts) == 1


@given(
    arrays.arrays(np.float64, st.integers(0, 50), elements=st.floats(0, 1))
    | arrays.arrays(np.int64, st.integers(0, 50), elements=st.integers(0, 65535))
)
def test_each_image_lies_in_one_of_at_most_20_steps(values):
    found = histogram(values)
    assert sum(found.counts) == len(values)
    assert len(found.edges) == len(found.counts) + 1 <= 21
    assert found.edges[0] == 0
    assert found.edges[-1] >= values.max(initial=0)
