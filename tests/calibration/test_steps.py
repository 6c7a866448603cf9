"""Steps of a folded network: their channels, their padding, and replacing their weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras

from mbexport.calibration.steps import steps_of

layers = tf_keras.layers


def test_channels_by_hand(short_network: Callable[[], Any]) -> None:
    assert [step.channels for step in steps_of(short_network())] == [4, 4, 6, 6, 4]


@pytest.mark.parametrize(
    ("before", "size", "padding", "is_padded"),
    [
        ([], 3, "same", True),
        ([], 3, "valid", False),
        ([layers.ZeroPadding2D(1)], 3, "valid", True),
        ([layers.ZeroPadding2D(1)], 1, "valid", True),
        ([], 1, "same", False),  # nothing is put around a single pixel
        ([], 1, "valid", False),
        ([layers.Dropout(0.5)], 1, "valid", False),
    ],
)
def test_what_is_padded_by_hand(before: list[Any], size: int, padding: str, is_padded: bool) -> None:
    image = layers.Input((4, 4, 2))
    x = layers.ReLU(6.0)(layers.Conv2D(2, 1)(image))
    for layer in before:
        x = layer(x)
    network = tf_keras.Model(image, layers.Conv2D(3, size, padding=padding)(x))
    assert steps_of(network)[-1].is_padded is is_padded


def test_depthwise_convolutions_are_padded_as_they_say(short_network: Callable[[], Any]) -> None:
    steps = {step.site: step for step in steps_of(short_network())}
    assert steps["depthwise_relu"].is_padded
    assert not steps["pointwise_relu"].is_padded


def test_other_weights_are_put_in_by_name_and_convolved_with(short_network: Callable[[], Any]) -> None:
    steps = steps_of(short_network())
    zeros = [np.zeros_like(array) for array in steps[0].weights]
    found = [step.with_weights({"stem": zeros}) for step in steps]
    assert found[1:] == steps[1:]
    image = np.ones((1, 8, 8, 3), np.float32)
    assert (np.asarray(found[0].convolve(image, *found[0].weights)) == 0).all()
    assert np.asarray(steps[0].convolve(image, *steps[0].weights)).any()
