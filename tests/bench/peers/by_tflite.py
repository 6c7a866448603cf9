"""Quantize network.h5 to int8 .tflite with TFLiteConverter's own post-training quantization.

As https://ai.google.dev/edge/litert/models/post_training_integer_quant says, but from a function with a batch of
one: `from_keras_model` would leave ops of a dynamic batch in the file, which cost it time. What the function reads is
tracked by a bare module, which halves the seconds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from task import run

from mbexport.models.activations import HardSigmoid, HardSwish

_LAYERS = {layer.__name__: layer for layer in (HardSigmoid, HardSwish)}  # which tf_keras does not have


def converter_of(network: Any) -> Any:
    """A converter of `network` with bytes in and out; the ranges must come from elsewhere.

    The heads of a detector are int8, as the network computes them: nobody but the tail reads them.
    """
    tracked = tf.Module()
    tracked.variables_read = network.variables
    image = tf.TensorSpec((1, *network.input_shape[1:]), tf.float32, name="image")
    function = tf.function(lambda image: _answers(network, image), input_signature=[image])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tracked)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8 if len(network.outputs) == 1 else tf.int8
    return converter


def _answers(network: Any, image: Any) -> Any:
    """The output; several of them by the names of their layers, for the converter gives them in an order of its own."""
    found = network(image, training=False)
    return found if len(network.outputs) == 1 else dict(zip(network.output_names, found, strict=True))


def quantize(given: Path, made: Path, arguments: list[str]) -> None:
    """Writes `made`, a .tflite with a uint8 input."""
    inputs = np.load(given / "calibration.npy", mmap_mode="r")

    def images() -> Iterator[list[Any]]:
        for image in inputs:
            yield [np.array(image[None])]

    converter = converter_of(tf_keras.models.load_model(given / "network.h5", custom_objects=_LAYERS, compile=False))
    converter.representative_dataset = images
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    made.write_bytes(converter.convert())


if __name__ == "__main__":
    run(quantize, package="tensorflow")
