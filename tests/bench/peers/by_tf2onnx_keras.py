"""Convert network.h5 to .onnx with tfmot's quantization-aware training and tf2onnx, straight from Keras.

As https://github.com/onnx/tensorflow-onnx says: `tf2onnx.convert.from_keras`. ARGUMENTs as for `by_tfmot.py`.
"""

from pathlib import Path

import tf2onnx
from by_tfmot import trained
from task import run

_OPSET = 17  # what mbexport writes


def quantize(given: Path, made: Path, arguments: list[str]) -> None:
    """Writes `made`, an .onnx with a float32 input."""
    steps, rate = arguments
    network = trained(given, steps=int(steps), learning_rate=float(rate))
    tf2onnx.convert.from_keras(network, opset=_OPSET, output_path=str(made))


if __name__ == "__main__":
    run(quantize, package="tf2onnx")
