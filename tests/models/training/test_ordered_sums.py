"""Gradients of a tensor with many readers: the same sum, in one order."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from mbexport.models.resolution import Resolution
from mbexport.models.ssd.network import build
from mbexport.models.ssd.spec import SsdSpec
from mbexport.models.training.ordered_sums import with_ordered_sums
from mbexport.models.training.train import make_deterministic

pytestmark = pytest.mark.run

layers = tf_keras.layers


def branched(readers: int, *, is_output: bool = False) -> Any:
    """A convolution whose map is read by so many others, and may be an output itself."""
    image = layers.Input((8, 8, 3), name="image")
    shared = layers.Conv2D(4, 3, name="shared")(image)
    ends = [layers.Conv2D(2, 1, name=f"end_{number}")(shared) for number in range(readers)]
    return tf_keras.Model(image, [*ends, shared] if is_output else ends, name="branched")


def gradients(model: Any, images: Any) -> tuple[list[Any], list[Any]]:
    """The outputs, and the gradients of the mean of their squares."""

    @tf.function
    def computed() -> Any:
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(model(images, training=True))
            loss = tf.add_n([tf.reduce_mean(tf.square(each)) for each in outputs])
        return outputs, tape.gradient(loss, model.trainable_variables)

    outputs, found = computed()
    return [each.numpy() for each in outputs], [each.numpy() for each in found]


def images_of(*shape: int) -> Any:
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, shape), tf.float32)


@pytest.mark.parametrize(("readers", "is_output"), [(1, False), (2, False), (1, True)])
def test_with_two_readers_nothing_is_changed(readers: int, is_output: bool) -> None:
    model = branched(readers, is_output=is_output)
    assert with_ordered_sums(model) is model


def test_readers_of_the_image_do_not_count() -> None:
    image = layers.Input((8, 8, 3), name="image")
    model = tf_keras.Model(image, [layers.Conv2D(2, 1, name=f"end_{number}")(image) for number in range(4)])
    assert with_ordered_sums(model) is model


@pytest.mark.parametrize(("readers", "is_output"), [(3, False), (2, True), (5, True)])
def test_more_readers_get_copies_and_the_same_gradients(readers: int, is_output: bool) -> None:
    make_deterministic(0)
    model = branched(readers, is_output=is_output)
    ordered = with_ordered_sums(model)
    assert ordered is not model
    assert ordered.name == model.name
    weighted = [layer for layer in ordered.layers if layer.weights]
    assert {id(layer) for layer in weighted} == {id(layer) for layer in model.layers if layer.weights}
    assert [layer.name for layer in ordered.layers if not layer.weights] == ["image", "shared_copies"]
    (one, expected), (other, found) = (gradients(each, images_of(4, 8, 8, 3)) for each in (model, ordered))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    named = zip(ordered.trainable_variables, found, strict=True)
    by_name = {variable.name: gradient for variable, gradient in named}
    for variable, gradient in zip(model.trainable_variables, expected, strict=True):
        assert np.abs(gradient).max() > 1e-3
        np.testing.assert_allclose(by_name[variable.name], gradient, atol=1e-6)


def test_a_detector_reads_all_maps_but_the_last_three_times() -> None:
    ordered = with_ordered_sums(build(SsdSpec(alpha=0.1, resolution=Resolution.square(96), classes=2)))
    # Of each map but the last the predictors of boxes and classes, and what comes behind it.
    copied = [layer.name for layer in ordered.layers if layer.name.endswith("_copies")]
    expected = ["conv_pw_11_relu", "conv_pw_13_relu", *(f"extra_{number}_relu" for number in (1, 2, 3))]
    assert copied == [f"{name}_copies" for name in expected]


@pytest.mark.slow
def test_the_gradients_of_a_large_batch_repeat_to_the_byte() -> None:
    # Without copies those of every layer before the maps differ in one step of four.
    make_deterministic(0)
    spec = SsdSpec(alpha=0.25, resolution=Resolution.square(192), classes=3, feature_stride=8)
    model, images = with_ordered_sums(build(spec)), images_of(32, 192, 192, 3)

    @tf.function
    def computed() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_mean(tf.square(each)) for each in model(images, training=True)])
        return tape.gradient(loss, model.trainable_variables)

    first = [each.numpy().tobytes() for each in computed()]
    for _ in range(12):
        assert [each.numpy().tobytes() for each in computed()] == first
