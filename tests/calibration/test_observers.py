"""The range that values leave behind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mbexport.calibration.affine import Range, activation_affine
from mbexport.calibration.observers import MinMaxObserver
from mbexport.errors import MbexportError

# Zero, or far enough from it that no range is too narrow to have a scale.
VALUES = st.floats(-1e6, 1e6, width=32).map(lambda value: value if abs(value) > 1e-3 else 0.0)
BATCHES = st.lists(arrays.arrays(np.float32, arrays.array_shapes(max_dims=4, max_side=4), elements=VALUES), min_size=1)


def observed(*batches: object) -> Range:
    observer = MinMaxObserver()
    for batch in batches:
        observer.observe(np.array(batch, np.float32))
    return observer.range()


@pytest.mark.parametrize(
    ("batches", "low", "high"),
    [
        ([[1, 2], [-3, 0.5]], -3, 2),
        ([[1, 2], [4, 3]], 0, 4),
        ([[-1, -2], [-4, -3]], -4, 0),
        ([[[[0.25]], [[-0.5]]]], -0.5, 0.25),
    ],
)
def test_a_range_reaches_from_the_least_to_the_greatest_value_and_holds_zero(batches, low, high):
    assert observed(*batches) == Range(low=low, high=high)


def test_a_tensor_that_is_always_zero_has_a_range_that_can_be_quantized():
    interval = observed([0, 0], [0])
    assert interval.low == 0
    affine = activation_affine(interval)
    assert affine.dequantize(affine.quantize(np.zeros(3, np.float32))).tolist() == [0, 0, 0]


@given(BATCHES)
def test_every_value_seen_and_zero_are_inside(batches):
    interval = observed(*batches)
    assert interval.low <= 0 <= interval.high
    for batch in batches:
        assert ((interval.low <= batch) & (batch <= interval.high)).all()


@given(BATCHES.filter(lambda batches: any(batch.any() for batch in batches)))
def test_each_end_is_a_value_that_was_seen_or_zero(batches):
    seen = {0.0} | {float(value) for batch in batches for value in batch.flat}
    interval = observed(*batches)
    assert {interval.low, interval.high} <= seen


@given(BATCHES.flatmap(lambda batches: st.tuples(st.just(batches), st.permutations(batches))))
def test_the_order_of_the_batches_does_not_matter(pair):
    batches, shuffled = pair
    assert observed(*batches) == observed(*shuffled)


@given(BATCHES)
def test_values_may_come_at_once_or_one_by_one(batches):
    together = np.concatenate([batch.ravel() for batch in batches])
    assert observed(together) == observed(*together)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_gives_no_range(bad):
    with pytest.raises(MbexportError):
        observed([1, 2], [bad, 3], [1, 2])
