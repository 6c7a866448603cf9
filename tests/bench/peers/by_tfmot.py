"""Quantize network.h5 to int8 .tflite with tfmot's quantization-aware training, as its tutorial does.

`quantize_model` with its default 8-bit scheme, Adam, crossentropy
(https://www.tensorflow.org/model_optimization/guide/quantization/training_example). The images have no labels: what
the float network answers stands in for them. ARGUMENTs: the number of steps and the learning rate.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from by_tflite import converter_of
from task import run

_BATCH = 32


def trained(given: Path, *, steps: int, learning_rate: float) -> Any:
    """The network of `given` after quantization-aware training."""
    tf_keras.utils.set_random_seed(0)
    network = tf_keras.models.load_model(given / "network.h5", compile=False)
    inputs = np.load(given / "calibration.npy")
    answers = network.predict(inputs, batch_size=_BATCH, verbose=0).argmax(axis=1)
    quantized = tfmot.quantization.keras.quantize_model(network)
    quantized.compile(tf_keras.optimizers.Adam(learning_rate), tf_keras.losses.SparseCategoricalCrossentropy())
    lesson = tf.data.Dataset.from_tensor_slices((inputs, answers)).shuffle(len(inputs), seed=0).repeat().batch(_BATCH)
    quantized.fit(lesson, steps_per_epoch=steps, epochs=1, verbose=0)
    return quantized


def quantize(given: Path, made: Path, arguments: list[str]) -> None:
    """Writes `made`, a .tflite with a uint8 input."""
    steps, rate = arguments
    made.write_bytes(converter_of(trained(given, steps=int(steps), learning_rate=float(rate))).convert())


if __name__ == "__main__":
    run(quantize, package="tensorflow-model-optimization")
