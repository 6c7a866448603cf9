"""Compiled .tflite files: what is refused, what the emulator gets, and LiteRT's compiler, with a stand-in for it."""

import sys
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from npu_by_hand import SCALE, SOURCE, compiled_of
from tflite_by_hand import tflite_of

from mbexport.errors import DataError
from mbexport.formats.npu.chips import CHIPS
from mbexport.formats.npu.context import binary_of
from mbexport.formats.tflite.aot import compile_aot, emulated, require_compiled
from mbexport.formats.tflite.metadata import attach_labels, labels_of


def test_the_emulator_gets_the_same_graph():
    model = onnx.ModelProto.FromString(emulated(compiled_of()))
    (node,) = model.graph.node
    assert (binary_of(node), node.name) == (b"compiled graph", "qnn_partition_0")
    (image,), (scores,) = model.graph.input, model.graph.output
    assert image.type.tensor_type.elem_type == scores.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [side.dim_value for side in image.type.tensor_type.shape.dim] == [1, 2, 2, 3]


def test_a_whole_graph_is_accepted():
    require_compiled(compiled_of(), like=SOURCE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (SOURCE, r"must take the whole graph in one piece, got 1 ops$"),
        (compiled_of(ops=2), r"must take the whole graph in one piece, got 2 ops$"),
        (compiled_of(tflite_of("int8", affine=SCALE)), r"must keep its input and output, got others$"),
        (compiled_of(tflite_of("uint8")), r"must keep its input and output, got others$"),
    ],
)
def test_what_is_not_compiled_is_refused(content, reason):
    with pytest.raises(DataError, match=reason):
        require_compiled(content, like=SOURCE)


class SocModel(StrEnum):
    SM8650 = "SM8650"


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """LiteRT's compiler that writes these files, and a wheel with Qualcomm's libraries; gives what it was asked for."""
    asked: dict[str, Any] = {}
    wheel = tmp_path / "wheel" / "onnxruntime_qnn"
    beside = wheel.with_name("onnxruntime_qnn.libs")
    for folder in (wheel, beside):
        folder.mkdir(parents=True)
    for name in ("__init__.py", "libQnnHtp.so"):
        (wheel / name).touch()

    def install(*contents: bytes) -> dict[str, Any]:
        def aot_compile(source: str, *, output_dir: str, target: list[Any], keep_going: bool) -> None:
            libraries = sys.modules["ai_edge_litert_sdk_qualcomm"].path_to_sdk_libs()
            links = {path.name: path.readlink() for path in libraries.iterdir()}
            asked.update(source=source, target=target, links=links, keep_going=keep_going)
            asked["beside"] = (libraries.parent / beside.name).readlink()
            Path(output_dir).mkdir()
            for number, content in enumerate(contents):
                (Path(output_dir) / f"{number}.tflite").write_bytes(content)

        names = ("ai_edge_litert.aot", "ai_edge_litert.aot.vendors.qualcomm", "ai_edge_litert_sdk_qualcomm")
        aot, vendor, _ = modules = [ModuleType(name) for name in names]
        aot.aot_compile = ModuleType("aot_compile")
        aot.aot_compile.aot_compile = aot_compile
        vendor.target = ModuleType("target")
        vendor.target.SocModel, vendor.target.Target = SocModel, lambda soc: ("Qualcomm", soc)
        package = ModuleType("onnxruntime_qnn")
        package.__file__ = str(wheel / "__init__.py")
        for name, module in zip((*names, "onnxruntime_qnn"), (*modules, package), strict=True):
            monkeypatch.setitem(sys.modules, name, module)
        return asked

    return install


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "net_int8.tflite"
    path.write_bytes(SOURCE)
    return path


@pytest.fixture
def room(tmp_path):
    path = tmp_path / "room"
    path.mkdir()
    return path


def test_the_compiler_gets_the_libraries_of_the_wheel(compiler, source, room, tmp_path):
    asked = compiler(compiled_of())
    assert compile_aot(source, CHIPS[3], room) == compiled_of()
    library = tmp_path / "wheel" / "onnxruntime_qnn" / "libQnnHtp.so"
    assert asked["links"] == {"libQnnHtp.so": library, "libQnnLpai.so": library}
    assert asked["beside"] == tmp_path / "wheel" / "onnxruntime_qnn.libs"
    assert (asked["target"], asked["keep_going"]) == ([("Qualcomm", SocModel.SM8650)], False)


def test_labels_lie_behind_the_compiled_graph_as_behind_the_source(compiler, source, room):
    source.write_bytes(attach_labels(SOURCE, ("cat", "dog")))
    compiler(compiled_of())
    content = compile_aot(source, CHIPS[3], room)
    assert labels_of(content) == ("cat", "dog")
    assert content.startswith(compiled_of())
    assert emulated(content) == emulated(compiled_of())


@pytest.mark.parametrize("contents", [(), (b"",), (b"one", b"two")])
def test_a_compiler_that_writes_no_file_or_an_empty_one_is_an_error(compiler, source, room, contents):
    compiler(*contents)
    with pytest.raises(DataError, match=r"^LiteRT's compiler gave no file, or an empty one$"):
        compile_aot(source, CHIPS[3], room)
