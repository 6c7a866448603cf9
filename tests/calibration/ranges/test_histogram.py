"""Histograms: the bin of each value, and that neither batches nor their order matter."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mbexport.calibration.ranges.cutting import BINS, Histogram

# Zero, or far enough from it that no range is too narrow to have a scale.
VALUES = st.floats(-1e6, 1e6, width=32).map(lambda value: value if abs(value) > 1e-3 else 0.0)
BATCHES = st.lists(arrays.arrays(np.float32, arrays.array_shapes(max_dims=3, max_side=4), elements=VALUES), min_size=1)


def seen(*batches: object) -> Histogram:
    histogram = Histogram()
    for batch in batches:
        histogram.add(np.array(batch, np.float32))
    return histogram


def described(histogram: Histogram) -> tuple[object, ...]:
    counts, edges = histogram.used()
    return counts.tolist(), edges.tolist(), histogram.zeros, histogram.low, histogram.high, histogram.total


@pytest.mark.parametrize(
    ("farthest", "width"), [(1.0, 2.0), (1.99, 2.0), (0.5, 1.0), (0.49, 0.5), (-1.0, 2.0), (6, 8.0)]
)
def test_bins_reach_to_the_power_of_two_above_the_farthest_value(farthest, width):
    assert seen([0.125, farthest]).width == width / BINS


def test_counts_by_hand():
    # 8 = 8192 bins of 2 ** -9 below it, each beginning at a multiple of that: 4 is in the first of the upper half.
    histogram = seen([4, 0, 0, 4.001, -0.001], [7.75])
    assert histogram.width == 8 / BINS
    counts, edges = histogram.used()
    assert {float(edges[i]): int(counts[i]) for i in np.flatnonzero(counts)} == {
        -(2.0**-9): 1,
        4.0: 1,
        4.0009765625: 1,
        7.75: 1,
    }
    assert (histogram.zeros, histogram.total, histogram.low, histogram.high) == (2, 6, pytest.approx(-0.001), 7.75)


def test_nothing_but_zeros_uses_no_bin():
    histogram = seen([0, 0], [[0]])
    counts, edges = histogram.used()
    assert (counts.size, edges.size, histogram.zeros, histogram.total) == (0, 0, 3, 3)


@given(BATCHES)
def test_no_value_is_lost(batches):
    assert seen(*batches).total == sum(batch.size for batch in batches)


@given(BATCHES)
def test_values_may_come_at_once_or_one_by_one(batches):
    together = np.concatenate([batch.ravel() for batch in batches])
    assert described(seen(together)) == described(seen(*together)) == described(seen(*batches))


@given(BATCHES.flatmap(lambda batches: st.tuples(st.just(batches), st.permutations(batches))))
def test_the_order_of_the_batches_does_not_matter(pair):
    batches, shuffled = pair
    assert described(seen(*batches)) == described(seen(*shuffled))


@given(BATCHES)
def test_every_value_lies_in_a_bin_that_counts_it(batches):
    together = np.concatenate([batch.ravel() for batch in batches]).astype(np.float64)
    nonzero = together[together != 0]
    assume(nonzero.size)
    histogram = seen(*batches)
    counts, edges = histogram.used()
    bins = np.floor(nonzero / histogram.width) * histogram.width
    assert edges.tolist() == np.unique(bins).tolist()
    assert counts.tolist() == [int((bins == edge).sum()) for edge in edges]


@given(BATCHES)
def test_its_size_does_not_grow(batches):
    assert seen(*batches).used()[0].size <= 2 * BINS
