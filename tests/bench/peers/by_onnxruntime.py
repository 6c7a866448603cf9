"""Quantize fp32.onnx to QDQ with onnxruntime's `quantize_static`, as its documentation says.

That is: `quant_pre_process` first, then S8S8 QDQ ("should be the first choice"), per channel, ranges from minimum and
maximum (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from task import run


class Images(CalibrationDataReader):
    """The calibration inputs, one at a time."""

    def __init__(self, inputs: Any) -> None:
        self._rest = iter(inputs)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self._rest, None)
        return None if image is None else {"image": image[None]}


def quantize(given: Path, made: Path, arguments: list[str]) -> None:
    """Writes `made`, an .onnx with a float32 input."""
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(given / "fp32.onnx", prepared)
        quantize_static(
            prepared,
            made,
            Images(np.load(given / "calibration.npy", mmap_mode="r")),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )


if __name__ == "__main__":
    run(quantize, package="onnxruntime")
