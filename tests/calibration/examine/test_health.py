"""Distances of tensors from float's, and dead channels: by hand, as laws, and on a network that was damaged."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import Range
from mbexport.calibration.examine.health import TensorHealth, measure_health
from mbexport.calibration.examine.twins import Twin, twins_of
from mbexport.calibration.integers.arrangement import Arrangement, plain_arrangement
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.qat.fake_quant import input_range
from mbexport.calibration.ranges.observe import observe
from mbexport.models.folding import is_convolution

pytestmark = pytest.mark.run

ENTRY = input_range(input_scale=1 / 127.5, input_zero_point=128)


def health(**given: Any) -> TensorHealth:
    known = {"layer": "conv", "site": "relu", "is_rectified": True, "signal": 1.0, "noise": 0.0}
    peaks = {"float_peaks": np.array([0.0, 0.0, 1.0, 1.0]), "peaks": np.array([0.0, 1.0, 0.0, 1.0])}
    return TensorHealth(**{**known, **peaks, **given})


def test_channels_by_hand() -> None:
    assert (health().dead, health().killed) == (1, 1)


def test_without_a_relu_no_channel_is_dead() -> None:
    found = health(is_rectified=False)
    assert (found.dead, found.killed) == (0, 0)


def test_signal_to_noise_by_hand() -> None:
    assert health(signal=100.0, noise=1.0).snr_db == pytest.approx(20)
    assert health(signal=1.0, noise=0.0).snr_db == math.inf
    assert math.isnan(health(signal=0.0, noise=1.0).snr_db)


PEAKS = st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=9)


@given(PEAKS)
def test_a_channel_is_dead_or_killed_or_alive_and_never_two_of_them(pairs: list[tuple[float, float]]) -> None:
    floats, quantized = (np.array(values) for values in zip(*pairs, strict=True))
    found = health(float_peaks=floats, peaks=quantized)
    assert found.dead + found.killed == (quantized == 0).sum()


def twins_with(
    network: Callable[[], Any], inputs: np.ndarray, spoil: Callable[[Any], None], **scalings: Scaling
) -> list[Twin]:
    """Twins of a network with plain ranges; the quantized one's weights were spoiled, some sites are scaled."""
    folded, quantized = network(), network()
    ranges = {site: Range(low=r.low, high=r.high) for site, r in observe(folded, [inputs]).items()}
    largest = {
        layer.name: np.full(layer.output_shape[-1], np.abs(layer.get_weights()[0]).max(), np.float64)
        for layer in filter(is_convolution, folded.layers)
    }
    spoil(quantized)
    arrangement = Arrangement(weights={}, scalings=plain_arrangement(folded).scalings | scalings)
    return twins_of(folded, quantized, entry=ENTRY, ranges=ranges, largest=largest, arrangement=arrangement)


def kill(network: Any) -> None:
    """Gives the third channel of the first convolution a bias that no input makes up for."""
    kernel, bias = network.get_layer("stem").get_weights()
    bias[2] = -100.0
    network.get_layer("stem").set_weights([kernel, bias])


def test_a_channel_that_the_integers_lost_is_killed(short_network: Callable[[], Any], inputs: np.ndarray) -> None:
    small = inputs[:, ::4, ::4]
    steps = np.rint(small * np.float32(127.5))
    sound = measure_health(twins_with(short_network, small, lambda _: None), [steps])
    ill = measure_health(twins_with(short_network, small, kill), [steps])
    assert [tensor.layer for tensor in sound] == ["stem", "depthwise", "pointwise", "pool", "head"]
    assert sound[0].killed == 0
    assert ill[0].killed == 1
    assert ill[0].snr_db < sound[0].snr_db - 3


def test_shifts_and_factors_are_undone(short_network: Callable[[], Any], inputs: np.ndarray) -> None:
    small = inputs[:, ::4, ::4]
    steps = np.rint(small * np.float32(127.5))
    scaling = Scaling(factors=np.array([1.0, 2.0, 4.0, 8.0]), shifts=np.array([0.5, 0.0, -0.01, 0.25]))
    plain = measure_health(twins_with(short_network, small, lambda _: None), [steps])
    found = measure_health(twins_with(short_network, small, lambda _: None, depthwise_relu=scaling), [steps])
    for one, other in zip(plain, found, strict=True):
        np.testing.assert_allclose(one.float_peaks, other.float_peaks, rtol=1e-4, atol=1e-5)


def test_batches_make_no_difference(short_network: Callable[[], Any], inputs: np.ndarray) -> None:
    small = inputs[:, ::4, ::4]
    steps = np.rint(small * np.float32(127.5))
    twins = twins_with(short_network, small, lambda _: None)
    for whole, halves in zip(
        measure_health(twins, [steps]), measure_health(twins, [steps[:20], steps[20:]]), strict=True
    ):
        assert whole.snr_db == pytest.approx(halves.snr_db, abs=1e-3)
        np.testing.assert_array_equal(whole.peaks, halves.peaks)


def test_noise_is_about_a_twelfth_of_a_squared_step(short_network: Callable[[], Any], inputs: np.ndarray) -> None:
    # The pooled features are rounded once; the noise before them comes on top.
    small = inputs[:, ::4, ::4]
    twins = twins_with(short_network, small, lambda _: None)
    pool = measure_health(twins, [np.rint(small * np.float32(127.5))])[3]
    values = len(small) * len(pool.peaks)
    assert pool.noise >= 0.5 * values * float(twins[3].units[0]) ** 2 / 12
