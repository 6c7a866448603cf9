"""Weights of one layer are rounded whatever its inputs are like, also where these hardly ever change."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given as given_examples
from hypothesis import strategies as st

from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.layer import ScaledLayer
from mbexport.calibration.integers.moments import depthwise_moments, full_moments
from mbexport.calibration.integers.patches import sampled
from mbexport.calibration.steps import steps_of

pytestmark = pytest.mark.run
CHANNELS, IMAGES = 64, 100
CODE = 6 / 255


@pytest.fixture(scope="module")
def saturated() -> tuple[Any, ScaledLayer]:
    """A depthwise layer whose input is 5.9 give or take one code in one half of its channels, and never changes in the
    others; its input as it is stored."""
    rng = np.random.default_rng(0)
    floats = (5.9 + rng.normal(0, 0.007, (IMAGES, 3, 3, CHANNELS))).astype(np.float32)
    floats[..., CHANNELS // 2 :] = 5.9
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
    return SimpleNamespace(pairs=lambda: [(floats, codes)], images=IMAGES), layer


def test_moments_of_small_changes_far_from_zero_are_not_lost(saturated: Any) -> None:
    # A variance of 1e-6 of the squared mean: float32 has seven digits.
    given, layer = saturated
    floats, codes = sampled(layer.step, given.pairs(), images=IMAGES, at_most=10**9)
    found = depthwise_moments(floats, codes, layer.kernel, layer.bias, ceiling=6.0, high=6.0)
    exact = np.cov(codes[:, :, 0].astype(np.float64), bias=True)
    np.testing.assert_allclose(found.own[0], exact, rtol=1e-3, atol=1e-9)
    assert np.abs(found.own[CHANNELS // 2 :]).max() < 1e-10
    np.testing.assert_array_equal(found.positions, IMAGES)


def test_full_moments_are_those_of_float64() -> None:
    rng = np.random.default_rng(1)
    floats = (100 + rng.normal(size=(4, 500, 3))).astype(np.float32)
    codes = floats + rng.normal(0, 0.1, floats.shape).astype(np.float32)
    found = full_moments(floats, codes)
    columns = [values.transpose(1, 0, 2).reshape(500, 12).astype(np.float64) for values in (floats, codes)]
    centred = [values - values.mean(axis=0) for values in columns]
    np.testing.assert_allclose(found.own, centred[1].T @ centred[1] / 500, atol=1e-5)
    np.testing.assert_allclose(found.cross, centred[1].T @ centred[0] / 500, atol=1e-5)


@pytest.mark.parametrize(
    ("padding", "strides", "dilation"), [("SAME", 1, 1), ("SAME", 2, 1), ("VALID", 2, 1), ("SAME", 1, 2)]
)
def test_patches_at_all_positions_are_what_the_convolution_sees(padding: str, strides: int, dilation: int) -> None:
    layer = tf_keras.layers.Conv2D(4, 3, strides=strides, padding=padding.lower(), dilation_rate=dilation, name="c")
    image = tf_keras.layers.Input((9, 8, 2), name="image")
    (step,) = steps_of(tf_keras.Model(image, layer(image)))
    values = np.random.default_rng(0).normal(size=(2, 9, 8, 2)).astype(np.float32)
    patches, _ = sampled(step, [(values, values)], images=2, at_most=10**9)
    kernel, bias = step.weights
    expected = np.asarray(step.convolve(values, kernel, bias)).reshape(-1, 4)
    found = np.einsum("tpc,tco->po", patches, kernel.reshape(9, 2, 4)) + bias
    np.testing.assert_allclose(found, expected, atol=1e-5)


@given_examples(at_most=st.integers(1, 20_000), images=st.integers(1, 3), px=st.integers(3, 16))
def test_no_more_patches_are_taken_than_wanted_and_they_come_from_every_image(
    at_most: int, images: int, px: int
) -> None:
    step: Any = SimpleNamespace(
        prepare=lambda values: values,
        kernel_shape=(1, 1, 2, 4),
        convolution=SimpleNamespace(strides=(1, 1), dilation_rate=(1, 1)),
        padding="VALID",
    )
    each = [np.full((1, px, px, 2), number, np.float32) for number in range(images)]
    found, _ = sampled(step, [(one, one) for one in each], images=images, at_most=at_most)
    assert found.shape[1] <= at_most + 2 * images
    assert set(found.ravel()) == set(range(images))


def test_channels_without_moments_are_rounded_to_the_nearest_code(saturated: Any) -> None:
    given, layer = saturated
    found = layer.rounded(given)
    multiples = found.kernel[..., 0] / found.scales
    np.testing.assert_allclose(multiples, np.round(multiples), atol=1e-3)
    assert np.abs(multiples).max() <= 127 + 1e-3
    away = np.abs(found.kernel - layer.kernel)[..., 0] / found.scales
    assert away[..., CHANNELS // 2 :].max() <= 0.5 + 1e-3
    assert away[..., : CHANNELS // 2].max() > 0.5  # others make up for each other


def test_no_layer_ends_in_a_traceback_where_no_moment_is_one(saturated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, layer = saturated
    full = np.zeros((1, 1, 4, 4), np.float32) + 0.3
    step: Any = SimpleNamespace(is_depthwise=False, kernel_shape=full.shape)
    bad = SimpleNamespace(positions=np.array(1e6), own=-np.eye(4), cross=np.eye(4))
    bad.own[0, 0] = 5
    monkeypatch.setattr("mbexport.calibration.integers.layer.full_moments", lambda *_: bad)
    monkeypatch.setattr("mbexport.calibration.integers.layer.sampled", lambda *_, **__: [np.zeros((1, 10**3, 4))] * 2)
    each = ScaledLayer(
        step=step, kernel=full, bias=np.zeros(4, np.float32), scales=np.full(4, 0.01), least_scales=np.zeros(4),
        outgoing=layer.outgoing, high=6.0,
    )  # fmt: skip
    given: Any = SimpleNamespace(pairs=list, images=0)
    np.testing.assert_array_equal(each.rounded(given).kernel, each.nearest().kernel)
