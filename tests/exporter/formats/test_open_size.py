"""Inputs of any size are no images of 1 px: a runtime takes 1 for what a file leaves open."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from tflite_by_hand import tflite_of

from mbexport.errors import DataError
from mbexport.formats.registry import open_runner
from mbexport.formats.tflite.file import opened, packed


def tflite(path: Path, signature: list[int] | None) -> Path:
    model = opened(tflite_of("float32", px=1))
    if signature is not None:
        model.subgraphs[0].tensors[0].shapeSignature = np.array(signature, np.int32)
    path.write_bytes(packed(model))
    return path


@pytest.mark.parametrize("signature", [[1, -1, -1, 3], [-1, -1, -1, 3], [1, 1, -1, 3], [1, 1, 1, -1]])
def test_a_tflite_of_open_size_is_refused(tmp_path: Path, signature: list[int]) -> None:
    with pytest.raises(DataError, match=r"the input must have one size, got the open one \(1, .*-1"):
        open_runner(tflite(tmp_path / "m.tflite", signature))


@pytest.mark.parametrize("signature", [None, [1, 1, 1, 3], [-1, 1, 1, 3]])
def test_an_open_batch_is_one_image(tmp_path: Path, signature: list[int] | None) -> None:
    assert open_runner(tflite(tmp_path / "m.tflite", signature)).input.shape == (1, 1, 1, 3)


def test_an_onnx_of_open_size_is_refused(save) -> None:
    path = save([("image", TensorProto.FLOAT, ["n", "h", "w", 3])], [("scores", TensorProto.FLOAT, [1, 5])])
    with pytest.raises(DataError, match="the input must have one size, got the open one"):
        open_runner(path)
