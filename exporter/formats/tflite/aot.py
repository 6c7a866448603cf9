"""Compile .tflite files for Qualcomm's NPU ahead of time, by LiteRT with the libraries of onnxruntime-qnn.

LiteRT looks for them in a package of its own, which downloads them while it is installed; the wheel of onnxruntime-qnn
holds the same libraries. LiteRT's plugin also names libQnnLpai.so, of another kind of NPU, and uses nothing of it: a
link to the library of this one lets it load. LiteRT writes empty files where it fails, and says so nowhere.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.formats.npu.chips import Chip
from mbexport.formats.npu.context import context_model
from mbexport.formats.tflite.metadata import attach_labels, labels_of

_SDK: Final = "ai_edge_litert_sdk_qualcomm"
_UNUSED: Final = "libQnnLpai.so"
_STAND_IN: Final = "libQnnHtp.so"
_DISPATCH: Final = b"DISPATCH_OP"


def compile_aot(source: Path, chip: Chip, folder: Path) -> bytes:
    """The .tflite file of one op that holds the network, compiled for the chip.

    Raises `DataError` where the compiler fails or leaves an op to the CPU.
    """
    _provide_libraries(folder)
    from ai_edge_litert.aot import aot_compile
    from ai_edge_litert.aot.vendors.qualcomm import target

    goal = target.Target(target.SocModel(chip.name))
    made = folder / "made"
    aot_compile.aot_compile(str(source), output_dir=str(made), target=[goal], keep_going=False)
    files = [path for path in made.rglob("*.tflite") if path.is_file()]
    content = files[0].read_bytes() if len(files) == 1 else b""
    if not content:
        raise DataError("LiteRT's compiler gave no file, or an empty one")
    given = source.read_bytes()
    require_compiled(content, like=given)
    return attach_labels(content, labels_of(given))  # which LiteRT loses: they lie behind the network


def _provide_libraries(folder: Path) -> None:
    """Stand in for the package that LiteRT takes Qualcomm's libraries from, with links to those of the wheel."""
    import onnxruntime_qnn

    package = Path(onnxruntime_qnn.__file__).parent
    libraries = folder / package.name
    libraries.mkdir()
    for library in package.glob("*.so"):
        (libraries / library.name).symlink_to(library)
    if not (libraries / _UNUSED).exists():
        (libraries / _UNUSED).symlink_to(package / _STAND_IN)
    beside = package.with_name(f"{package.name}.libs")  # what they are linked with, by a path relative to theirs
    if beside.is_dir():
        (folder / beside.name).symlink_to(beside)
    module: Any = ModuleType(_SDK)
    module.path_to_sdk_libs = lambda: libraries
    sys.modules[_SDK] = module


def require_compiled(content: bytes, *, like: bytes) -> None:
    """Raise `DataError` unless the file is one compiled op with the inputs and outputs of the file `like`."""
    compiled, source = _model(content), _model(like)
    codes = [compiled.operatorCodes[op.opcodeIndex] for op in compiled.subgraphs[0].operators]
    if len(compiled.subgraphs) != 1 or [code.customCode for code in codes] != [_DISPATCH]:
        raise DataError(f"the compiler must take the whole graph in one piece, got {len(codes)} ops")
    if _edges(compiled) != _edges(source):
        raise DataError("the compiled graph must keep its input and output, got others")


def emulated(content: bytes) -> bytes:
    """The .onnx file around the same compiled graph, which the emulator runs."""
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import flexbuffers
    from onnx import TensorProto, helper

    types = {schema.TensorType.UINT8: TensorProto.UINT8, schema.TensorType.INT8: TensorProto.INT8}
    graph = _model(content).subgraphs[0]
    sources, targets = (
        [
            helper.make_tensor_value_info(
                tensor.name.decode(), types.get(tensor.type, TensorProto.FLOAT), [int(side) for side in tensor.shape]
            )
            for tensor in (graph.tensors[place] for place in places)
        ]
        for places in (graph.inputs, graph.outputs)
    )
    # The op's options name the graph, and the place of its bytes in the file, behind the flatbuffer.
    options = flexbuffers.Loads(bytes(graph.operators[0].customOptions))
    start = options["bytecode_offset"]
    binary = content[start : start + options["bytecode_size"]]
    return context_model(options["name"], binary, sources=sources, targets=targets)


def _model(content: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content, 0)


def _edges(model: Any) -> list[Any]:
    """Name, type, shape and quantization of each input and output."""
    graph = model.subgraphs[0]
    found = []
    for tensor in (graph.tensors[place] for place in (*graph.inputs, *graph.outputs)):
        codes = tensor.quantization
        affine = () if codes is None or codes.scale is None else (list(codes.scale), list(codes.zeroPoint))
        found.append((tensor.name, tensor.type, list(tensor.shape), affine))
    return found
