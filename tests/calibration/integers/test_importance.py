"""The cost of noise in a channel: networks whose Fisher information is known, and noise that is added."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.integers.importance import noise_costs
from mbexport.calibration.ranges.logits import divergence
from mbexport.calibration.steps import Step, steps_of
from mbexport.models.graph import entry_of, outputs_of

pytestmark = pytest.mark.run

layers = tf_keras.layers
SITE, PIXELS = "relu", 4  # of the tensor that noise is put in


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    """A 1 x 1 convolution with a ReLU6, 2 x 2 pixels and 2 channels, pooled, and a head of 2 classes."""
    x = image = layers.Input((2, 2, 1), name="image")
    x = layers.ReLU(6.0, name=SITE)(layers.Conv2D(2, 1, name="conv")(x))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    return steps_of(tf_keras.Model(image, layers.Conv2D(2, 1, name="head")(x)))


def linear(steps: list[Step], head: Sequence[Sequence[float]], *, slope: float = 1.0, even: bool = False) -> list[Step]:
    """Channels are 3 + `slope` * image, the logits `head` (channels, classes) of their means.

    With `even` the head's bias makes all logits of an image of zeros zero.
    """
    weights = np.array(head, np.float32)
    first = (np.full((1, 1, 1, 2), slope, np.float32), np.full(2, 3, np.float32))
    last = (weights[None, None], (-3 * weights.sum(axis=0) if even else np.zeros(2)).astype(np.float32))
    found = {"conv": first, "head": last}
    return [step if step.convolution is None else replace(step, weights=found[step.convolution.name]) for step in steps]


def cost(steps: list[Step], *batches: np.ndarray, is_softmax: bool = True, seed: int = 0) -> np.ndarray:
    return noise_costs(steps, [SITE], batches, is_softmax=is_softmax, seed=seed)[SITE]


def images(count: int, value: float = 0.0) -> np.ndarray:
    return np.full((count, 2, 2, 1), value, np.float32)


def various(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-2, 2, (count, 2, 2, 1)).astype(np.float32)


@given(first=st.floats(-4, 4), second=st.floats(-4, 4))
@example(first=0.0, second=2.0)
def test_two_even_classes_by_hand(steps: list[Step], first: float, second: float) -> None:
    # Whichever of (a, -a) is drawn, log p moves by a, a quarter of it at each of the 4 pixels: a ** 2 / 4 in all.
    network = linear(steps, [(first, -first), (second, -second)], even=True)
    found = cost(network, images(3))
    np.testing.assert_allclose(found, np.array([first, second]) ** 2 / PIXELS / 2, rtol=1e-4, atol=1e-9)


def test_the_logits_of_a_network_without_softmax_by_hand(steps: list[Step]) -> None:
    # Half the squared error of both logits; one of 0.5 is moved by one channel, one of 2 by the other.
    found = cost(linear(steps, [(0.5, 0), (0, 2)]), images(5), is_softmax=False)
    np.testing.assert_allclose(found, [0.25 / PIXELS / 2, 4 / PIXELS / 2], rtol=1e-5)


def test_logits_that_one_channel_moves_add_up(steps: list[Step]) -> None:
    found = cost(linear(steps, [(0.6, 0.8), (0, 1)]), images(64), is_softmax=False)
    # (0.6 +- 0.8) ** 2 is 1 in the mean.
    np.testing.assert_allclose(found, [1 / PIXELS / 2, 1 / PIXELS / 2], rtol=0.35)


def test_it_is_the_divergence_that_noise_really_makes(steps: list[Step]) -> None:
    network = linear(steps, [(0.7, -0.3), (1.5, 0.2)], even=True)
    tensor = np.repeat(3 + np.random.default_rng(1).uniform(-2, 2, (4096, 2, 2, 1)), 2, axis=3)
    kernel, bias = network[-1].weights
    expected = cost(network, various(64))
    for channel in (0, 1):
        noise = np.zeros_like(tensor)
        noise[..., channel] = np.random.default_rng(2).normal(0, 0.1, tensor.shape[:3])
        logits, noisy = (values.mean(axis=(1, 2)) @ kernel[0, 0] + bias for values in (tensor, tensor + noise))
        found = divergence(logits, noisy) / 0.1**2
        assert 0.67 * found < expected[channel] < 1.5 * found  # 64 answers were drawn
    assert expected[1] / expected[0] == pytest.approx(1.3**2, rel=1e-3)  # both move one difference of logits


@given(weight=st.floats(0.1, 2), more=st.floats(1.01, 3), is_softmax=st.booleans())
def test_noise_that_meets_more_weight_costs_more(
    steps: list[Step], weight: float, more: float, is_softmax: bool
) -> None:
    head = [(weight, -weight), (more * weight, -more * weight)]
    one, other = cost(linear(steps, head, even=True), images(8), is_softmax=is_softmax)
    assert other == pytest.approx(more**2 * one, rel=1e-3)


def test_the_same_seed_gives_the_same_costs(steps: list[Step]) -> None:
    network = linear(steps, [(0.7, -0.3), (1.5, 0.2)], even=True)
    for is_softmax in (True, False):
        found = [cost(network, various(16), is_softmax=is_softmax, seed=seed) for seed in (0, 0, 1)]
        np.testing.assert_array_equal(found[0], found[1])
        assert (found[0] != found[2]).any()


def test_only_the_first_64_images_count(steps: list[Step]) -> None:
    network, seen = linear(steps, [(0.7, -0.3), (1.5, 0.2)], even=True), various(64)
    expected = cost(network, seen)
    others = np.full((60, 2, 2, 1), 100, np.float32)
    np.testing.assert_allclose(cost(network, np.concatenate([seen, others])), expected, rtol=1e-5)
    np.testing.assert_allclose(
        cost(network, seen[:40], np.concatenate([seen[40:], others]), others), expected, rtol=1e-5
    )
    assert not np.allclose(cost(network, seen[:40], others), expected, rtol=1e-2)


def test_no_more_batches_are_read_than_count(steps: list[Step]) -> None:
    read = []

    def batches() -> Iterator[np.ndarray]:
        for number in range(9):
            read.append(number)
            yield various(32)

    noise_costs(linear(steps, [(1, -1), (1, 0)]), [SITE], batches(), is_softmax=True, seed=0)
    assert len(read) <= 3


def test_every_site_that_is_asked_for_has_a_cost_for_each_channel(short_network: Any) -> None:
    network = steps_of(short_network())
    sites = ["stem_relu", "depthwise_relu", "pointwise_relu", "pool"]
    found = noise_costs(
        network,
        sites,
        [np.random.default_rng(0).uniform(-1, 1, (8, 8, 8, 3)).astype(np.float32)],
        is_softmax=True,
        seed=0,
    )
    assert {site: len(values) for site, values in found.items()} == dict(zip(sites, (4, 4, 6, 6), strict=True))
    assert all((values >= 0).all() and values.any() for values in found.values())
    assert noise_costs(network, sites, [], is_softmax=True, seed=0) == {}


def test_of_a_detector_it_is_the_divergence_that_noise_really_makes(
    small_detector: Any, detector: DetectorMeasure
) -> None:
    network, site = steps_of(small_detector()), "reduce_relu"
    seen = np.random.default_rng(0).uniform(-1, 1, (64, 16, 16, 3)).astype(np.float32)
    found = noise_costs(network, [site], [seen[:40], seen[40:]], is_softmax=False, detector=detector, seed=0)[site]

    def answers(noise: np.ndarray | float) -> Any:
        def compute(step: Step, tensors: Sequence[Any]) -> Any:
            return step.compute(*tensors) + (noise if step.site == site else 0.0)

        return detector.joined(outputs_of(network, {entry_of(network): seen}, compute))

    measured = np.zeros(8)
    for channel in range(8):
        noise = np.zeros((64, 8, 8, 8), np.float32)
        noise[..., channel] = np.random.default_rng(channel).normal(0, 0.05, noise.shape[:3])
        measured[channel] = np.mean(detector.divergences(answers(0.0), answers(noise))) / 0.05**2
    is_used = measured > 0.05 * measured.max()
    assert is_used.sum() >= 5
    np.testing.assert_allclose(found[is_used] / measured[is_used], 1, atol=0.5)  # 64 answers were drawn
    assert found.sum() == pytest.approx(measured.sum(), rel=0.25)
