"""Weights of one layer are rounded whatever its inputs are like, also where these hardly ever change."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.layer import ScaledLayer
from mbexport.calibration.integers.moments import depthwise_moments
from mbexport.calibration.integers.rounding import compensate

pytestmark = pytest.mark.run
CHANNELS, IMAGES = 64, 100
CODE = 6 / 255


@pytest.fixture(scope="module")
def saturated() -> tuple[Any, ScaledLayer]:
    """A depthwise layer whose input is 5.9 give or take one code, and its stored input: (floats, codes)."""
    rng = np.random.default_rng(0)
    floats = (5.9 + rng.normal(0, 0.007, (IMAGES, 3, 3, CHANNELS))).astype(np.float32)
    codes = (np.round(floats / CODE) * CODE).astype(np.float32)
    kernel = rng.normal(0, 0.05, (3, 3, CHANNELS, 1)).astype(np.float32)
    step: Any = SimpleNamespace(
        prepare=lambda values: values,
        kernel_shape=kernel.shape,
        convolution=SimpleNamespace(strides=(1, 1), dilation_rate=(1, 1)),
        padding="VALID",
        ceiling=6.0,
        is_depthwise=True,
    )
    layer = ScaledLayer(
        step=step,
        kernel=kernel,
        bias=np.full(CHANNELS, 3, np.float32),
        scales=np.abs(kernel).max(axis=(0, 1, 3)).astype(np.float64) / 127,
        least_scales=np.zeros(CHANNELS),
        outgoing=Scaling.none(CHANNELS),
        high=6.0,
    )
    return [(floats, codes)], layer


def test_moments_that_float32_loses_are_refused_by_the_arithmetic(saturated: Any) -> None:
    pairs, layer = saturated
    found = depthwise_moments(layer.step, pairs, layer.kernel, layer.bias, layer.high)
    refused = 0
    for channel in range(CHANNELS):
        try:
            compensate(np.ones((9, 1)), np.array([0.1]), found.own[channel])
        except np.linalg.LinAlgError:
            refused += 1
    assert refused > 0  # else the next test shows nothing


def test_channels_without_moments_are_rounded_to_the_nearest_code(saturated: Any) -> None:
    pairs, layer = saturated
    given: Any = SimpleNamespace(pairs=lambda at_most=None: pairs)
    found, nearest = layer.rounded(given), layer.nearest()
    multiples = found.kernel[..., 0] / found.scales
    np.testing.assert_allclose(multiples, np.round(multiples), atol=1e-3)
    assert np.abs(multiples).max() <= 127 + 1e-3
    same = [np.array_equal(found.kernel[..., c, 0], nearest.kernel[..., c, 0]) for c in range(CHANNELS)]
    assert any(same)


def test_no_layer_ends_in_a_traceback_where_no_moment_is_one(saturated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, layer = saturated
    full = np.zeros((1, 1, 4, 4), np.float32) + 0.3
    step: Any = SimpleNamespace(is_depthwise=False, kernel_shape=full.shape)
    bad = SimpleNamespace(positions=np.array(1e6), own=-np.eye(4), cross=np.eye(4))
    bad.own[0, 0] = 5
    monkeypatch.setattr("mbexport.calibration.integers.layer.full_moments", lambda *_: bad)
    each = ScaledLayer(
        step=step, kernel=full, bias=np.zeros(4, np.float32), scales=np.full(4, 0.01), least_scales=np.zeros(4),
        outgoing=layer.outgoing, high=6.0,
    )  # fmt: skip
    given: Any = SimpleNamespace(pairs=lambda at_most=None: [])
    np.testing.assert_array_equal(each.rounded(given).kernel, each.nearest().kernel)
