"""Observers: the range of the values that each has seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mbexport.calibration.affine import Range, activation_affine
from mbexport.calibration.choices import CANDIDATES, Observer
from mbexport.calibration.ranges.cutting import Histogram, mse_range, widest
from mbexport.calibration.ranges.observers import MinMaxObserver, MovingAverageObserver, SiteObserver
from mbexport.errors import MbexportError, StageError

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


def averaged(*batches: object) -> Range:
    observer = MovingAverageObserver()
    for batch in batches:
        observer.observe(np.array(batch, np.float32))
    return observer.range()


@pytest.mark.parametrize(
    ("batches", "low", "high"),
    [
        ([[-1, 4]], -1, 4),
        ([[-1, 4], [-2, 9]], -1.2, 5),
        ([[-1, 4], [-2, 9], [-1.2, 0]], -1.2, 4),
        ([[0, 4], [8, 9]], 0, 5),  # the lower ends, 0 and 8, average to 1.6: zero stays inside
        ([[-9, -8], [-4, -3]], -8, 0),
    ],
)
def test_moving_average_by_hand(batches, low, high):
    # A fifth of the newest and four fifths of what was before; the first counts as it is.
    interval = averaged(*batches)
    assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))


@given(BATCHES)
def test_moving_average_is_never_wider_than_the_least_and_the_greatest(batches):
    interval, whole = averaged(*batches), observed(*batches)
    assert whole.low - 1e-9 <= interval.low <= 0 <= interval.high <= whole.high * (1 + 1e-9) + 1e-9


@given(arrays.arrays(np.float32, 5, elements=VALUES), st.integers(1, 5))
def test_moving_average_of_the_same_batch_is_that_batch(batch, count):
    interval, whole = averaged(*[batch] * count), observed(batch)
    assert (interval.low, interval.high) == pytest.approx((whole.low, whole.high))


def at_site(*batches: object) -> dict[Observer, Range]:
    observer = SiteObserver(CANDIDATES)
    for batch in batches:
        observer.observe(np.array(batch, np.float32))
    return dict(observer.ranges())


def test_a_site_is_seen_once_for_all_observers():
    batches = [np.arange(-20, 300), [400.0], [1.0]]
    histogram = Histogram()
    for batch in batches:
        histogram.add(np.array(batch, np.float32))
    found = at_site(*batches)
    assert list(found) == list(CANDIDATES)
    assert found[Observer.MINMAX] == Range(low=-20, high=400)
    assert found[Observer.MOVING_AVERAGE] == averaged(*batches)
    assert found[Observer.MSE] == mse_range(histogram)


@settings(max_examples=25)
@given(BATCHES)
def test_no_observer_goes_beyond_what_was_seen_and_all_hold_zero(batches):
    whole = observed(*batches)
    slack = 1e-6 * (whole.high - whole.low)
    for interval in at_site(*batches).values():
        assert whole.low - slack <= interval.low <= 0 <= interval.high <= whole.high + slack


@settings(max_examples=25)
@given(BATCHES)
def test_batches_matter_to_the_moving_average_alone(batches):
    together = np.concatenate([batch.ravel() for batch in batches])
    once, often = at_site(together), at_site(*together)
    assert {name for name in CANDIDATES if once[name] != often[name]} <= {Observer.MOVING_AVERAGE}


@pytest.mark.parametrize("observer", CANDIDATES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_observer_takes_a_value_that_is_not_finite(observer, bad):
    site = SiteObserver([observer])
    with pytest.raises(StageError, match="a calibrated tensor must be finite"):
        site.observe(np.array([1, bad, 3], np.float32))


def test_a_single_observer_sees_for_itself_alone():
    site = SiteObserver([Observer.PERCENTILE])
    site.observe(np.array([1, 2], np.float32))
    assert dict(site.ranges()) == {Observer.PERCENTILE: widest(0, 2)}
