"""A process that dies in the place of the user's: crashes, loops and floods of memory become one line."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.onnx.format import ONNX
from mbexport.formats.registry import format_of
from mbexport.formats.tflite.file import opened, packed
from mbexport.formats.trial import require_harmless, try_as, warm_up
from mbexport.formats.trial_process import try_file


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.tflite"
    path.write_bytes(tflite_of("float32", px=4))
    return path


def onnx_file(path: Path, nodes: Sequence[object], **constants: object) -> Path:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 4, 4, 3))
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [image], [scores], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def endless(path: Path) -> Path:
    """An .onnx that adds the image to itself 2**40 times."""
    kind = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    ins = [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("go", TensorProto.BOOL, []),
    ]
    outs = [
        helper.make_tensor_value_info("gone", TensorProto.BOOL, []),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
    ]
    steps = [helper.make_node("Identity", ["go"], ["gone"]), helper.make_node("Add", ["x", "image"], ["y"])]
    body = helper.make_graph(steps, "body", [*ins, kind], outs)
    loop = helper.make_node("Loop", ["steps", "", "image"], ["scores"], body=body)
    return onnx_file(path, [loop], steps=np.int64(1 << 40))


def flooding(path: Path) -> Path:
    """An .onnx that makes 64 GB of zeros and adds them up."""
    nodes = [
        helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]),
        helper.make_node("ReduceSum", ["image"], ["one"], keepdims=0),
        helper.make_node("Add", ["zeros", "one"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["scores"], keepdims=0),
    ]
    return onnx_file(path, nodes, sizes=np.array([1 << 17, 1 << 17], np.int64))


def test_a_sound_file_passes(sound: Path) -> None:
    require_harmless([sound, sound])


def test_the_second_file_is_tried_in_the_process_that_is_there_already(sound: Path) -> None:
    warm_up([sound])
    require_harmless([sound])
    start = time.process_time()
    require_harmless([sound])
    assert time.process_time() - start < 0.2


def test_an_endless_loop_is_one_line(tmp_path: Path) -> None:
    path = endless(tmp_path / "loop.onnx")
    with pytest.raises(DataError) as caught:
        try_as([(path, ONNX)], cpu_s=1)
    assert str(caught.value) == (
        f"{path} cannot be used: onnxruntime took too much processor time, when a process of its own opened it"
    )


def test_a_flood_of_memory_is_one_line(tmp_path: Path) -> None:
    path = flooding(tmp_path / "flood.onnx")
    with pytest.raises(DataError, match=r"flood\.onnx") as caught:
        require_harmless([path])
    assert "\n" not in str(caught.value)


def test_a_crash_is_one_line_and_the_next_file_is_tried(
    tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing = tmp_path / "crash_me.py"
    crashing.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr("mbexport.formats.trial._idle", [])
    monkeypatch.setattr("mbexport.formats.trial._COMMAND", (str(crashing),))
    with pytest.raises(DataError, match=r"sound\.tflite cannot be used: LiteRT crashed \(SIGSEGV\)"):
        require_harmless([sound])
    monkeypatch.undo()
    require_harmless([sound])


def test_a_scale_of_zero_is_refused_before_litert_sees_it(tmp_path: Path) -> None:
    model = opened(tflite_of("float32", codes="uint8", affine=Affine(scale=(1 / 255,), zero_point=(0,))))
    model.subgraphs[0].tensors[1].quantization.scale = np.zeros(1, np.float32)
    path = tmp_path / "zero.tflite"
    path.write_bytes(packed(model))
    with pytest.raises(
        DataError, match=r"zero\.tflite is not a \.tflite file that can be loaded: tensor 1 .* positive"
    ):
        require_harmless([path])


def opens(tmp_path: Path, name: str, make: Callable[[Path], object]) -> str | None:
    path = tmp_path / name
    make(path)
    return try_file(path, format_of(path), cpu_s=60)


def test_damage_is_a_line(tmp_path: Path) -> None:
    for name in ("a.tflite", "a.onnx", "a.h5", "a.keras"):
        for content in (b"", b"\x89HDF\r\n\x1a\nabc", b"PK\x03\x04abc", b"\0" * 100):
            said = opens(tmp_path, name, lambda path, content=content: path.write_bytes(content))
            assert said is not None
            assert name in said
            assert "\n" not in said
