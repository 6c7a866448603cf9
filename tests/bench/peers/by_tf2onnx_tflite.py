"""Convert an int8 .tflite that another script made to .onnx with tf2onnx alone.

`tf2onnx.convert.from_tflite`, as https://github.com/onnx/tensorflow-onnx says. ARGUMENT: the name of the .tflite,
which lies beside MADE.
"""

from pathlib import Path

import tf2onnx
from task import run

_OPSET = 17  # what mbexport writes


def quantize(given: Path, made: Path, arguments: list[str]) -> None:
    """Writes `made`, an .onnx with the .tflite's own input."""
    tf2onnx.convert.from_tflite(str(made.with_name(arguments[0])), opset=_OPSET, output_path=str(made))


if __name__ == "__main__":
    run(quantize, package="tf2onnx")
