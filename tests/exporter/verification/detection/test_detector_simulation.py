"""Whether a detector's int8 file answers as its simulation: a real file, and files with a kernel of another network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from small_detector import DETECTOR, OUTPUTS, PREPROCESS, network, pixels

from mbexport.calibration.examine.twins import Twin, twins_of
from mbexport.calibration.integers.corrections import Corrections, correct
from mbexport.calibration.qat.fake_quant import PREFIX, fake_quantize, input_range
from mbexport.calibration.ranges.observe import observe
from mbexport.errors import StageError
from mbexport.models.widening import with_widths
from mbexport.verification.detection.simulation import check_heads
from mbexport.verification.simulation import LEAST_AGREEMENT, Simulation, integer_outputs, parting_layer

pytestmark = pytest.mark.run

ENDS = {"input_scale": PREPROCESS.input_scale, "input_zero_point": PREPROCESS.input_zero_point}
PIXELS = pixels(32)
Network = Any


@pytest.fixture(scope="module")
def parts() -> tuple[Network, list[Twin]]:
    """The fake-quantized network, and the steps in float and in integers."""
    floats, inputs, entry = network(), [PREPROCESS.dequantize(PIXELS)], input_range(**ENDS)
    found = correct(
        floats, observe(floats, inputs), lambda: inputs, entry=entry, corrections=Corrections(), detector=DETECTOR
    )
    folded = with_widths(network(), {name: len(largest) for name, largest in found.largest.items()})
    for name, weights in found.weights.items():
        folded.get_layer(name).set_weights(weights)
    twins = twins_of(
        floats, folded, entry=entry, ranges=found.ranges, largest=found.largest, arrangement=found.arrangement
    )
    return fake_quantize(folded, found.ranges, **ENDS, largest=found.largest), twins


@pytest.fixture
def checked(parts: tuple[Network, list[Twin]], tmp_path: Path) -> Callable[[], Simulation]:
    """Converts the network as it is now, and compares the file with its simulation, which `parts` were made for."""
    quantized, twins = parts
    expected = dict(zip(OUTPUTS, quantized(PREPROCESS.dequantize(PIXELS)), strict=True))

    class Simulated:
        """The simulation as it was before the network was spoiled."""

        output_names = quantized.output_names

        def predict(self, inputs: np.ndarray, **_: Any) -> list[np.ndarray]:
            return [np.asarray(expected[name]) for name in OUTPUTS]

    def check() -> Simulation:
        file = tmp_path / "detector_int8.tflite"
        converter = tf.lite.TFLiteConverter.from_keras_model(quantized)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.uint8
        file.write_bytes(converter.convert())
        runner = Interpreter(model_path=str(file)).get_signature_runner()
        (given,) = runner.get_input_details()
        found = [runner(**{given: image}) for image in PIXELS[:, None]]
        heads = {name: np.concatenate([each[PREFIX + name] for each in found]) for name in OUTPUTS}
        return check_heads(file, heads, Simulated(), twins, detector=DETECTOR, pixels=PIXELS, preprocess=PREPROCESS)

    return check


def test_a_sound_file_answers_as_its_simulation_and_in_integers_code_for_code(
    checked: Callable[[], Simulation], parts: Any, tmp_path: Path
) -> None:
    found = checked()
    assert (found.images, found.integers) == (32, 1.0)
    assert found.agreement >= LEAST_AGREEMENT
    assert found.max_lsb <= 2
    assert parting_layer(tmp_path / "detector_int8.tflite", parts[1], PIXELS[:2], PREPROCESS) is None


@pytest.mark.parametrize("layer", ["mixed", "spread", "boxes_0", "classes_1"])
def test_a_file_with_another_kernel_is_stopped_and_the_layer_named(
    checked: Callable[[], Simulation], parts: Any, layer: str
) -> None:
    quantized, _ = parts
    kernel = next(w for w in quantized.get_layer(PREFIX + layer).trainable_weights if "kernel" in w.name)
    kernel.assign(-kernel)
    try:
        with pytest.raises(StageError, match=f"97% of the boxes of 32 images, got .*; they part at {layer}$"):
            checked()
    finally:
        kernel.assign(-kernel)


def test_the_integers_of_every_output_are_given_by_name(parts: Any) -> None:
    _, twins = parts
    found = integer_outputs(twins, PIXELS[:17], PREPROCESS)  # one more than a batch
    assert {name: steps.shape for name, steps in found.items()} == {
        "boxes_0": (17, 8, 8, 8),
        "classes_0": (17, 8, 8, 4),
        "boxes_1": (17, 4, 4, 12),
        "classes_1": (17, 4, 4, 6),
    }
    alone = integer_outputs(twins, PIXELS[16:17], PREPROCESS)
    for name, steps in alone.items():
        np.testing.assert_array_equal(found[name][16:], steps)
        assert (steps == np.rint(steps)).all()
