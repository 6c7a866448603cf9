"""Quantize fp32.onnx to int8 with NNCF's post-training quantization, default preset.

As its MobileNet v2 example for ONNX does (examples/post_training_quantization/onnx/mobilenet_v2/main.py); every
calibration image is used.
"""

import os
from pathlib import Path

os.environ["NNCF_CI"] = "1"  # else it reports its use over the network

import nncf
import numpy as np
import onnx
from task import run


def quantize(given: Path, made: Path, arguments: list[str]) -> None:
    """Writes `made`, an .onnx with a float32 input."""
    inputs = np.load(given / "calibration.npy", mmap_mode="r")
    images = nncf.Dataset(range(len(inputs)), lambda index: {"image": np.array(inputs[index : index + 1])})
    quantized = nncf.quantize(onnx.load(given / "fp32.onnx"), images, subset_size=len(inputs))
    onnx.save(quantized, made)


if __name__ == "__main__":
    run(quantize, package="nncf")
