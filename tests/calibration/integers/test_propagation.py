"""Images that come in late are where they would be had they come first, and only as many come as a step needs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras

from mbexport.calibration.affine import Range
from mbexport.calibration.integers import propagation
from mbexport.calibration.integers.propagation import Decided, Propagation, tensor_sizes
from mbexport.calibration.ranges.watch import small_batches
from mbexport.calibration.steps import steps_of

pytestmark = pytest.mark.run

ENTRY = Range(low=-1.0, high=1.0)
WIDE = Range(low=0.0, high=6.0)


@pytest.fixture(scope="module")
def images(inputs: np.ndarray) -> np.ndarray:
    return inputs[:24, ::4, ::4]


def gone_through(network: Any, images: np.ndarray) -> tuple[list[int], np.ndarray, np.ndarray, dict[str, Any]]:
    """How many images each step was given, what the last one was given of them, and how well tensors are stored."""
    steps, counts = steps_of(network), []
    tensors = Propagation(network, steps, [images[:9], images[9:]], interval=ENTRY)
    for step in steps:
        inputs = tensors.inputs_of(step)
        counts.append(inputs[0].images)

        def run(pairs: Any, step: Any = step) -> Any:
            floats, quantized = zip(*pairs, strict=True)
            return step.compute(*floats), step.compute(*quantized)

        pairs = list(inputs[0].pairs())
        last = [np.concatenate([np.asarray(pair[i]) for pair in pairs]) for i in (0, 1)]
        decided = Decided(name=step.name, inputs=step.inputs, run=run, interval=WIDE, is_output=step.is_output)
        tensors.add(decided, [run([pair]) for pair in pairs])
    return counts, *last, tensors.sites()


def test_images_that_come_late_are_where_the_others_are(
    short_network: Callable[[], Any], images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = short_network()
    at_once, floats, quantized, sites = gone_through(network, images)
    assert at_once == [24] * 5
    monkeypatch.setattr(propagation, "_VALUES", 200)
    monkeypatch.setattr("mbexport.calibration.ranges.watch._BATCH_VALUES", 400)
    late, late_floats, late_quantized, late_sites = gone_through(network, images)
    # 192 values an image at the input, 64 behind the stem, 24 and 6 later: two, four, nine and all of them.
    assert late == sorted(late)
    assert late[0] == 2
    assert late[-1] == 24
    np.testing.assert_allclose(late_floats, floats, atol=5e-3)  # half precision
    codes = np.rint((late_quantized - quantized) / (6 / 255))
    assert np.abs(codes).max() <= 1
    assert (codes != 0).mean() < 0.05
    assert late_sites.keys() == sites.keys()


def test_small_tensors_bring_no_more_images_than_the_large_ones_behind_them_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(propagation, "_VALUES", 100)
    layers = tf_keras.layers
    image = layers.Input((4, 4, 1), name="image")
    first = layers.Conv2D(2, 1, name="first")(image)
    x = layers.Add(name="sum")([first, layers.Conv2D(2, 1, name="second")(first)])
    network = tf_keras.Model(image, layers.Conv2D(30, 1, name="wide")(x))
    steps = steps_of(network)
    for later, wanted in ((10**6, [4, 4, 4, 1]), (960, [2, 2, 2, 1])):  # 32 values an image, and 480 behind "wide"
        monkeypatch.setattr(propagation, "_LATER_VALUES", later)
        tensors = Propagation(network, steps, [], interval=ENTRY)
        assert list(reversed(tensors._wanted.values())) == wanted


def test_sizes_by_hand(short_network: Callable[[], Any]) -> None:
    network = short_network()
    assert tensor_sizes(network, steps_of(network)) == {
        "image": 8 * 8 * 3,
        "stem_relu": 4 * 4 * 4,
        "depthwise_relu": 2 * 2 * 4,
        "pointwise_relu": 2 * 2 * 6,
        "pool": 6,
        "head": 4,
    }


def test_small_batches_hold_the_same_images_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbexport.calibration.ranges.watch._BATCH_VALUES", 100)
    images = np.arange(10, dtype=np.float32).reshape(10, 1, 1, 1)
    for largest, most in ((30, 3), (1000, 1), (1, 7)):
        found = list(small_batches([images[:7], images[7:]], largest=largest))
        assert max(map(len, found)) == most
        np.testing.assert_array_equal(np.concatenate(found), images)
