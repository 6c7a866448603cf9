"""The arithmetic before the first convolution becomes one scale and one offset, whichever layers compute it."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.keras_import.arithmetic import operator_steps
from mbexport.models.keras_import.calls import INPUT, Call
from mbexport.models.keras_import.canonical import canonical_of
from mbexport.models.keras_import.step_graph import IMAGE, StepGraph
from mbexport.models.keras_import.steps import Convolve, Scale

pytestmark = [pytest.mark.run, pytest.mark.filterwarnings("ignore::UserWarning")]
layers = tf_keras.layers
numbers = st.floats(-100, 100).filter(lambda value: abs(value) > 0.01)
constants = st.one_of(numbers, st.lists(numbers, min_size=3, max_size=3))
# name of the function -> what numpy gives for (image, constant), in the order of the operands
FUNCTIONS = {
    "math.truediv": lambda one, other: one / other,
    "math.subtract": lambda one, other: one - other,
    "math.multiply": lambda one, other: one * other,
    "__operators__.add": lambda one, other: one + other,
    "__operators__.rsub": lambda one, other: other - one,
}


def scaled_by(steps: list[Any]) -> tuple[Any, Any]:
    graph = StepGraph()
    graph.add([*steps, Convolve(name="conv", kernel=np.ones((4, 4, 3, 2)))], [IMAGE])
    return canonical_of(graph, (4, 4, 3)).input_scale()


@given(st.lists(st.tuples(st.sampled_from(sorted(FUNCTIONS)), constants), max_size=6))
@example([("math.truediv", 127.5), ("math.subtract", 1.0)])
@example([("__operators__.rsub", [1.0, 2.0, 3.0]), ("math.multiply", -2.0), ("__operators__.rsub", 0.5)])
def test_any_sequence_of_operators_is_one_affine_function(operations: list[tuple[str, Any]]) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (5, 3))
    expected, steps = images, []
    for function, constant in operations:
        call = Call(path=("op",), class_name="TFOpLambda", config={"function": function}, operands=(INPUT, constant))
        steps += operator_steps(call, [])
        expected = FUNCTIONS[function](expected, np.array(constant))
    scale, offset = scaled_by(steps)
    np.testing.assert_allclose(images * scale + offset, expected, rtol=1e-9, atol=1e-6 * np.abs(expected).max())


def test_the_constant_may_come_first() -> None:
    (step,) = operator_steps(Call(path=("op",), class_name="Subtract", config={}, operands=(3.0, INPUT)), [])
    assert isinstance(step, Scale)
    assert (step.factor.tolist(), step.shift.tolist()) == ([-1.0], [3.0])


def test_scaling_by_hand() -> None:
    # (x / 2 + 3) * 4 = 2 x + 12
    steps = [
        Scale(name="a", factor=np.array([0.5]), shift=np.array([3.0])),
        Scale(name="b", factor=np.array([4.0]), shift=np.zeros(1)),
    ]
    assert scaled_by(steps) == ((2.0,), (12.0,))


def finished(library: Any, image: Any, x: Any) -> Any:
    x = library.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    return library.Model(image, library.layers.Dense(3)(library.layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_operators_of_tensorflow(tmp_path: Path, randomize: Any, agrees: Any, suffix: str) -> None:
    image = layers.Input((8, 8, 3))
    x = tf.cast(image, tf.float32) / 127.5 - 1.0
    x = 0.5 - tf.math.multiply(2.0, x) + 1.5
    x = tf.nn.bias_add(x, [0.1, 0.2, -0.3]) * tf.constant([1.0, 2.0, 3.0])
    model = randomize(finished(tf_keras, image, x))
    model.save(tmp_path / f"model.{suffix}")
    imported = agrees(model, tmp_path / f"model.{suffix}")
    assert imported.input_scale == pytest.approx((-2 / 127.5, -4 / 127.5, -6 / 127.5))
    assert imported.input_offset == pytest.approx((4.1, 8.4, 11.1))


@pytest.mark.parametrize("library", [tf_keras, keras])
def test_activations_may_be_functions(tmp_path: Path, randomize: Any, agrees: Any, library: Any) -> None:
    layers, functions = library.layers, tf.nn if library is tf_keras else keras.ops
    image = layers.Input((8, 8, 3))
    x = functions.relu6(layers.Conv2D(4, 3)(image))
    x = functions.relu(layers.Conv2D(4, 3)(x))
    x = functions.softmax(layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    model = randomize(library.Model(image, x))
    model.save(tmp_path / "model.keras")
    imported = agrees(model, tmp_path / "model.keras")
    ceilings = [layer.max_value for layer in imported.network.layers if isinstance(layer, tf_keras.layers.ReLU)]
    assert (ceilings, imported.output) == ([6, None], "softmax")


def test_operations_of_keras_3(tmp_path: Path, randomize: Any, agrees: Any) -> None:
    image = keras.layers.Input((8, 8, 3))
    x = keras.ops.cast(image, "float32") / 127.5 - 1.0
    x = (0.5 - 2.0 * x) * np.array([1, 2, 3], np.float32)
    x = keras.ops.divide(x, 2.0)
    model = randomize(finished(keras, image, x))
    model.save(tmp_path / "model.keras")
    imported = agrees(model, tmp_path / "model.keras")
    assert imported.input_scale == pytest.approx((-1 / 127.5, -2 / 127.5, -3 / 127.5))
    assert imported.input_offset == pytest.approx((1.25, 2.5, 3.75))


@pytest.mark.parametrize("form", [(tf_keras, "h5"), (tf_keras, "keras"), (keras, "h5"), (keras, "keras")])
@pytest.mark.parametrize("mode", ["tf", "given", "adapted"])
def test_layers_that_prepare_images(tmp_path: Path, randomize: Any, agrees: Any, form: Any, mode: str) -> None:
    library, suffix = form
    image = library.layers.Input((8, 8, 3))
    if mode == "tf":
        x = library.layers.Rescaling([1 / 127.5] * 3, offset=[-1.0, -2.0, -3.0])(image)
    elif mode == "given":
        x = library.layers.Normalization(mean=[100.0, 110.0, 120.0], variance=[400.0, 900.0, 1600.0])(image)
    else:
        x = library.layers.Normalization()(image)
    model = randomize(finished(library, image, x))
    if mode == "adapted":
        images = np.random.default_rng(0).uniform(0, 255, (16, 8, 8, 3)).astype(np.float32)
        model.layers[1].adapt(images)
    model.save(tmp_path / f"model.{suffix}")
    imported = agrees(model, tmp_path / f"model.{suffix}")
    assert len(imported.input_offset) == 3
    if mode == "given":
        assert imported.input_scale == pytest.approx((1 / 20, 1 / 30, 1 / 40))
        assert imported.input_offset == pytest.approx((-5, -110 / 30, -3))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_batch_normalization_of_the_image_is_its_scale(
    tmp_path: Path, randomize: Any, agrees: Any, padding: str
) -> None:
    image = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding=padding)(layers.BatchNormalization()(image))
    model = randomize(tf_keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    model.save(tmp_path / "model.h5")
    assert len(agrees(model, tmp_path / "model.h5").input_scale) == 3


def test_scaling_behind_the_first_padding_goes_into_an_unpadded_convolution(
    tmp_path: Path, randomize: Any, agrees: Any
) -> None:
    image = layers.Input((8, 8, 3))
    x = layers.Rescaling(0.25, offset=-1)(layers.ZeroPadding2D(1)(image))
    model = randomize(tf_keras.Model(image, layers.Flatten()(layers.Conv2D(3, 10)(x))))
    model.save(tmp_path / "model.h5")
    imported = agrees(model, tmp_path / "model.h5")
    assert (imported.input_scale, imported.input_offset) == ((1.0,), (0.0,))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_scaling_that_loses_the_image_is_refused() -> None:
    for factor in (0.0, np.inf, np.nan):
        with pytest.raises(DataError, match="multiplies its input by"):
            scaled_by([Scale(name="a", factor=np.array([factor]), shift=np.zeros(1))])
