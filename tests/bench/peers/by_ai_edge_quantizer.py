"""Quantize fp32.tflite with ai-edge-quantizer's recipe for static int8 weights and activations."""

from pathlib import Path

import numpy as np
from ai_edge_quantizer import quantizer, recipe
from task import run

_SIGNATURE = "serving_default"


def quantize(given: Path, made: Path, arguments: list[str]) -> None:
    """Writes `made`, a .tflite with a float32 input."""
    inputs = np.load(given / "calibration.npy", mmap_mode="r")
    work = quantizer.Quantizer(str(given / "fp32.tflite"), recipe.static_wi8_ai8())
    found = work.calibrate({_SIGNATURE: [{"image": np.array(image[None])} for image in inputs]})
    work.quantize(found).export_model(str(made))


if __name__ == "__main__":
    run(quantize, package="ai-edge-quantizer")
