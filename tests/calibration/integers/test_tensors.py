"""Figures of how well a tensor is stored, by hand, and laws that they obey."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mbexport.calibration.affine import Range
from mbexport.calibration.integers.stored_site import StoredSite, decibels
from mbexport.calibration.integers.tensors import StoredTensor

BYTES = Range(low=0, high=255)  # a step is 1
BATCHES = st.lists(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 3), st.just(2)), elements=st.floats(-50, 300, width=32)),
    min_size=1,
    max_size=4,
)


def stored(interval: Range, *batches: object) -> StoredSite:
    """Batches of values, or pairs of float and quantized ones."""
    tensor = StoredTensor.of(interval)
    for batch in batches:
        floats, quantized = batch if isinstance(batch, tuple) else (batch, batch)
        tensor.add(np.array(floats, np.float32), np.array(quantized, np.float32))
    return tensor.site()


def test_by_hand():
    # 3.5 is half a step off 4 (the larger of the two), 255.4 within half a step of the end, 256 and -0.6 are not.
    site = stored(BYTES, [[3.5, 255.4]], [[256.0, -0.6], [0.0, 0.0]])
    assert (site.low, site.high, site.scale, site.zero_point) == (0, 255, 1, -128)
    assert site.clipped == 2 / 6
    assert site.unused_codes == 256 - 3  # 0, 4 and 255 occur
    noise = 0.5**2 + 0.4**2 + 1**2 + 0.6**2
    signal = 3.5**2 + 255.4**2 + 256**2 + 0.6**2
    assert site.snr_db == pytest.approx(10 * math.log10(signal / noise), rel=1e-4)


def test_enough_values_are_counted_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbexport.calibration.integers.tensors._COUNTED", 3)
    site = stored(BYTES, [[0.0, 1.0]], [[2.0, 300.0]], [[4.0, 5.0]])
    assert site.unused_codes == 256 - 4  # 0, 1, 2 and 255: the third batch would add two more
    assert site.clipped == 1 / 4


@given(BATCHES, st.integers(1, 8))
def test_images_are_read_so_many_at_a_time_however_they_came(batches: list[np.ndarray], together: int) -> None:
    tensor = StoredTensor.of(BYTES)
    for batch in batches:
        tensor.add(batch, np.clip(batch, 0, 255))
    pairs = list(replace(tensor, together=together).pairs())
    floats, rounded = (np.concatenate([np.asarray(pair[i]) for pair in pairs]) for i in (0, 1))
    wanted = np.concatenate(batches)
    np.testing.assert_array_equal(floats, wanted.astype(np.float16))
    assert np.abs(rounded - np.clip(wanted, 0, 255)).max() <= 0.5 + 1e-3
    *whole, last = (len(pair[0]) for pair in pairs)
    assert set(whole) <= {together}
    assert 1 <= last <= together


def test_noise_is_the_distance_of_what_is_stored_to_float():
    site = stored(BYTES, ([[10.0]], [[11.2]]))
    assert site.snr_db == pytest.approx(20)  # stored as 11: 10 * log10(10 ** 2 / 1)
    assert site.clipped == 0


def test_values_that_are_codes_have_no_noise_and_zeros_no_signal():
    assert stored(BYTES, [[1.0, 255.0]]).snr_db == math.inf
    assert math.isnan(stored(BYTES, [[0.0, 0.0]]).snr_db)


def test_nothing_stored_is_no_figure():
    site = stored(BYTES)
    assert math.isnan(site.clipped)
    assert site.unused_codes == 256


@given(BATCHES)
def test_batches_do_not_matter(batches):
    once, often = stored(BYTES, np.concatenate(batches)), stored(BYTES, *batches)
    assert (once.clipped, once.unused_codes) == (often.clipped, often.unused_codes)
    assert once.snr_db == pytest.approx(often.snr_db, rel=1e-3, nan_ok=True)


@given(BATCHES)
@example([np.array([[0.0, 0.5]], np.float32)])  # a tie goes to the larger code
def test_clipped_are_those_more_than_half_a_step_outside(batches):
    values = np.concatenate(batches)
    site = stored(BYTES, *batches)
    assert site.clipped == ((values < -0.5) | (values > 255.5)).mean()
    assert 256 - site.unused_codes == len(np.unique(np.floor(np.clip(values, 0, 255) + np.float32(0.5))))


@given(BATCHES, st.integers(-10, 6))
def test_units_do_not_matter(batches, exponent):
    factor = 2.0**exponent
    scaled = stored(Range(low=0, high=255 * factor), *(batch * factor for batch in batches))
    plain = stored(BYTES, *batches)
    assert (scaled.clipped, scaled.unused_codes) == (plain.clipped, plain.unused_codes)
    assert scaled.snr_db == pytest.approx(plain.snr_db, rel=1e-3, nan_ok=True)


def test_noise_of_a_last_place_is_none():
    assert decibels(4.0, 0.0) == math.inf
    assert decibels(1.0, 2.0**-47) == math.inf  # float32 has 24 bits
    assert decibels(1.0, 2.0**-40) == pytest.approx(120.4, abs=0.1)
    assert math.isnan(decibels(0.0, 1.0))
