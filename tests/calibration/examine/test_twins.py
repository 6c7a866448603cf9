"""Twins compute float's own answers, and code for code the integers of the .tflite."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mbexport.artifact import Io
from mbexport.calibration.affine import Range, activation_affine
from mbexport.calibration.examine.twins import Twin, twins_of
from mbexport.calibration.integers.arrangement import Arrangement
from mbexport.calibration.integers.corrections import Corrected, Corrections, correct
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.qat.fake_quant import fake_quantize, input_range
from mbexport.calibration.ranges.observe import observe
from mbexport.formats.tflite.convert import int8_tflite

pytestmark = pytest.mark.run

INPUT = {"input_scale": 1 / 127.5, "input_zero_point": 128}
ENTRY = input_range(**INPUT)
layers = tf_keras.layers


def decided(folded: Any, found: Corrected) -> Any:
    """The folded network with the weights that calibration decided."""
    copy = tf_keras.models.clone_model(folded)
    copy.set_weights(folded.get_weights())
    for name, weights in found.weights.items():
        copy.get_layer(name).set_weights(weights)
    return copy


@pytest.fixture(scope="module")
def calibrated(tiny_mobilenet: Callable[..., Any], inputs: np.ndarray) -> tuple[Any, Any, Corrected]:
    """The float network, the quantized one, and what was decided."""
    folded = tiny_mobilenet()
    found = correct(folded, observe(folded, [inputs]), lambda: [inputs], entry=ENTRY, corrections=Corrections())
    return folded, decided(folded, found), found


@pytest.fixture(scope="module")
def twins(calibrated: tuple[Any, Any, Corrected]) -> list[Twin]:
    folded, quantized, found = calibrated
    return twins_of(
        folded, quantized, entry=ENTRY, ranges=found.ranges, largest=found.largest, arrangement=found.arrangement
    )


def steps_of_inputs(inputs: np.ndarray) -> np.ndarray:
    return np.rint(inputs * np.float32(127.5))


def one_layer(weight: float, bias: float) -> Any:
    """A network that multiplies and adds, with a ReLU6 behind; one pixel, one channel."""
    x = image = layers.Input((1, 1, 1), name="image")
    x = layers.ReLU(6.0, name="relu")(layers.Conv2D(1, 1, name="only")(x))
    network = tf_keras.Model(image, x)
    network.get_layer("only").set_weights([np.full((1, 1, 1, 1), weight, np.float32), np.float32([bias])])
    return network


def only_twin(*, factor: float, shift: float = 0.0, high: float = 2.55) -> Twin:
    # Input step 0.5. In float 0.75 * x + 0.1, in the quantized network that without `shift`, `factor` times; code 127
    # is 1.27.
    floats, quantized = one_layer(0.75, 0.1), one_layer(0.75 * factor, (0.1 - shift) * factor)
    (twin,) = twins_of(
        floats,
        quantized,
        entry=Range(low=-64.0, high=63.5),
        ranges={"relu": Range(low=0.0, high=high)},
        largest={"only": np.array([1.27])},
        arrangement=Arrangement(
            weights={}, scalings={"relu": Scaling(factors=np.array([factor]), shifts=np.array([shift]))}
        ),
    )
    return twin


def pixel(steps: float) -> np.ndarray:
    return np.full((1, 1, 1, 1), steps, np.float32)


def test_one_layer_by_hand() -> None:
    twin = only_twin(factor=1.0)
    assert (twin.layer, twin.step.site) == ("only", "relu")
    kernel, bias = twin.integers
    # 0.75 is code 75 of step 0.01; the bias has steps of 0.5 * 0.01.
    assert (kernel.item(), bias.item()) == (75.0, 20.0)
    # 3 steps are 1.5: (75 * 3 + 20) * 0.005 = 1.225, of steps of 0.01 half to even: 122.
    assert np.asarray(twin.in_integers(pixel(3))).item() == pytest.approx(122.5, abs=0.51)
    assert np.asarray(twin.in_float(pixel(3))).item() * twin.units.item() == pytest.approx(1.225)
    assert np.asarray(twin.in_integers(pixel(127))).item() == 255
    assert np.asarray(twin.in_float(pixel(127))).item() * twin.units.item() == pytest.approx(6.0)
    assert np.asarray(twin.in_integers(pixel(-127))).item() == 0


def test_a_channel_that_was_multiplied_is_divided_again_by_its_unit() -> None:
    twin = only_twin(factor=1.5)
    assert twin.units.item() == pytest.approx(0.01 / 1.5)
    assert np.asarray(twin.in_float(pixel(2))).item() * twin.units.item() == pytest.approx(0.85)
    # Float's own ReLU6 cuts at 6, where the quantized network has 9.
    assert np.asarray(twin.in_float(pixel(127))).item() * twin.units.item() == pytest.approx(6.0)


@pytest.mark.parametrize("shift", [1.0, -0.0025])
def test_a_channel_that_was_shifted_is_cut_where_float_cuts_it(shift: float) -> None:
    twin = only_twin(factor=1.5, shift=shift)
    # Steps of 0.01: 0.85 is (0.85 - shift) * 150 of them, what a ReLU6 leaves lies between those of 0 and of 6.
    for steps, value in ((2, 0.85), (-127, 0.0), (127, 6.0)):
        assert np.asarray(twin.in_float(pixel(steps))).item() == pytest.approx((value - shift) * 150, rel=1e-5)
    assert (twin.lowest, twin.highest) == (0.0, 255.0)
    # A weight half a step of 0.01 off is a step off at an input of 2; the bias and the sum are rounded, too.
    assert np.asarray(twin.in_integers(pixel(4))).item() == pytest.approx((1.6 - shift) * 150, abs=2)


@given(
    steps=st.integers(-128, 127),
    factor=st.sampled_from([1.0, 1.25, 1.5]),
    shift=st.floats(-0.1, 2.0),
    high=st.floats(0.5, 6.0),
)
@example(steps=1, factor=1.0, shift=0.0, high=6.0)
def test_integers_are_whole_within_the_codes_and_a_step_from_float(
    steps: int, factor: float, shift: float, high: float
) -> None:
    assume(shift + high / factor <= 6)  # a range never ends above where float is cut
    twin = only_twin(factor=factor, shift=shift, high=high)
    found = float(np.asarray(twin.in_integers(pixel(steps))).item())
    expected = float(np.asarray(twin.in_float(pixel(steps))).item())
    assert found == round(found)
    assert 0 <= found <= 255
    # A weight is half a step off at most, and so is the bias; then the sum is rounded.
    allowed = abs(steps) * 0.5 * 0.005 / (high / 255) + 1
    assert abs(found - min(max(expected, 0), 255)) <= allowed


def test_float_steps_are_the_float_network(calibrated: Any, twins: list[Twin], inputs: np.ndarray) -> None:
    folded, _, _ = calibrated
    x = steps_of_inputs(inputs)
    for twin in twins:
        x = twin.in_float(x)
    logits = tf_keras.Model(folded.input, folded.get_layer(twins[-1].step.site).output).predict_on_batch(inputs)
    np.testing.assert_allclose(np.asarray(x * twins[-1].units).ravel(), logits.ravel(), atol=2e-3)


def test_integer_steps_are_the_codes_of_the_file(calibrated: Any, twins: list[Twin], inputs: np.ndarray) -> None:
    from ai_edge_litert.interpreter import Interpreter

    _, quantized, found = calibrated
    network = fake_quantize(quantized, found.ranges, **INPUT, largest=found.largest)
    # Up to the pooled features: what XNNPACK computes inside is what a file that ends there gives.
    ends = tf_keras.Model(network.input, network.get_layer("quant_global_average_pooling2d").output)
    interpreter = Interpreter(model_content=int8_tflite(ends, Io.INT8))
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    zero_point = activation_affine(found.ranges["global_average_pooling2d"]).zero_point[0]
    for image in steps_of_inputs(inputs)[:16]:
        x = image[None]
        for twin in twins[:-1]:
            x = np.asarray(twin.in_integers(x))
        interpreter.set_tensor(source["index"], image[None].astype(np.int8))
        interpreter.invoke()
        codes = interpreter.get_tensor(target["index"]).ravel().astype(np.int32)
        np.testing.assert_array_equal(codes - zero_point, x.ravel())
