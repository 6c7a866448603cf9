"""Histograms of channels: whatever their ranges turn out to be, no value is lost, and bins are where values lie."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import Range
from mbexport.calibration.integers.channels import ChannelCounts
from mbexport.calibration.integers.equalization import BINS

VALUES = st.lists(st.floats(0, 100, width=32), min_size=1, max_size=30)


def counted(*batches: list[float], high: float) -> tuple[np.ndarray, np.ndarray]:
    """The histogram of one channel over [0, high], and its zeros."""
    counts = ChannelCounts(["site"])
    for batch in batches:
        counts.add("site", np.array(batch, np.float32)[:, None])
    found = counts.values({"site": Range(low=0.0, high=high)})["site"]
    return found.counts[0], found.zeros


def test_by_hand() -> None:
    # Bins of 8 / 256: 0, 1.01 and 7.99 lie in the bins 0, 32 and 255, and so does what is beyond.
    counts, zeros = counted([0.0, 1.01], [7.99, 9.0], high=8.0)
    assert zeros == [1]
    assert {int(at): int(counts[at]) for at in np.flatnonzero(counts)} == {0: 1, 32: 1, 255: 2}


@given(first=VALUES, second=VALUES, high=st.floats(0.5, 100))
def test_no_value_is_lost_and_batches_do_not_matter(first: list[float], second: list[float], high: float) -> None:
    counts, zeros = counted(first, second, high=high)
    assert counts.sum() == len(first) + len(second)
    assert zeros == sum(value == 0 for value in [*first, *second])
    again, _ = counted([*second, *first], high=high)
    np.testing.assert_array_equal(counts, again)


@given(values=VALUES)
def test_every_value_is_in_its_bin_or_the_next(values: list[float]) -> None:
    high = max(*values, 0.5)
    for value in values:
        counts, _ = counted([value], [high], high=high)
        distance = np.abs(np.flatnonzero(counts) - min(value * BINS / high, BINS - 1)).min()
        assert distance <= 1.5
