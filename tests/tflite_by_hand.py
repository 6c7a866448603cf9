""".tflite files written by hand that give their image flat as scores: loadable, without weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from mbexport.calibration.affine import Affine
from mbexport.formats.tflite.file import packed


def tflite_of(kind: str, *, codes: str = "", affine: Affine | None = None, px: int = 2, channels: int = 3) -> bytes:
    """The file whose input and output have the type `kind`; with `codes`, quantized to these and back in between."""
    image, scores = (1, px, px, channels), (1, px * px * channels)
    steps = ["QUANTIZE", "RESHAPE", "DEQUANTIZE"] if codes else ["RESHAPE"]
    types, shapes = (
        ([kind, codes, codes, kind], [image, image, scores, scores]) if codes else ([kind] * 2, [image, scores])
    )
    tensors = [
        tensor_of(f"what the converter calls it, {place}", name, shape, affine=None if name == "float32" else affine)
        for place, (name, shape) in enumerate(zip(types, shapes, strict=True))
    ]
    sizes = tensor_of("sizes", "int32", (2,), buffer=1)
    ops = [op_of(place, place, place + 1) for place in range(len(steps))]
    reshape = ops[steps.index("RESHAPE")]
    reshape.inputs = np.array([*reshape.inputs, len(tensors)], np.int32)
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [*tensors, sizes], ops
    graph.inputs, graph.outputs = (np.array([end], np.int32) for end in (0, len(tensors) - 1))
    return packed(model_of(graph, steps, [None, np.array(scores, np.int32).tobytes()]))


def dispatched_tflite(px: int = 2, channels: int = 3) -> bytes:
    """The same in uint8 as a file that was compiled for an NPU: one op, which LiteRT's dispatch library executes."""
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor_of("image", "uint8", (1, px, px, channels)),
        tensor_of("scores", "uint8", (1, px * px * channels)),
    ]
    graph.operators = [op_of(0, 0, 1)]
    place = {"name": "graph", "bytecode_offset": 0, "bytecode_size": 4}
    graph.operators[0].customOptions = np.frombuffer(bytes(flexbuffers.Dumps(place)), np.uint8)
    graph.inputs, graph.outputs = (np.array([end], np.int32) for end in (0, 1))
    model = model_of(graph, ["CUSTOM"], [None])
    model.operatorCodes[0].customCode = b"DISPATCH_OP"
    return packed(model)


def tensor_of(name: str, kind: str, shape: Sequence[int], *, buffer: int = 0, affine: Affine | None = None) -> Any:
    """A tensor of the type `kind`, quantized as `affine` says, along the last axis if that says so."""
    tensor = schema.TensorT()
    tensor.name, tensor.type = name.encode(), getattr(schema.TensorType, kind.upper())
    tensor.shape, tensor.buffer = np.array(shape, np.int32), buffer
    if affine is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.array(affine.scale, np.float32)
        tensor.quantization.zeroPoint = np.array(affine.zero_point, np.int64)
        tensor.quantization.quantizedDimension = affine.axis or 0
    return tensor


def op_of(code: int, source: int, target: int) -> Any:
    """An op of the kind with the number `code`, between two tensors."""
    op = schema.OperatorT()
    op.opcodeIndex = code
    op.inputs, op.outputs = np.array([source], np.int32), np.array([target], np.int32)
    return op


def model_of(graph: Any, kinds: Sequence[str], contents: Sequence[bytes | None]) -> Any:
    """A ModelT of one graph with the signature that ours have; `contents` are those of its buffers."""
    model = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [], []
    for kind in kinds:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        model.operatorCodes.append(code)
    for content in contents:
        buffer = schema.BufferT()
        buffer.data = None if content is None else np.frombuffer(content, np.uint8)
        model.buffers.append(buffer)
    signature = schema.SignatureDefT()
    signature.signatureKey = b"serving_default"
    signature.inputs, signature.outputs = (
        [end_of(*end)] for end in ((b"image", graph.inputs), (b"scores", graph.outputs))
    )
    model.signatureDefs = [signature]
    return model


def end_of(name: bytes, tensors: Sequence[int]) -> Any:
    """What a signature calls the first of `tensors`."""
    end = schema.TensorMapT()
    end.name, end.tensorIndex = name, int(tensors[0])
    return end


def note(model: Any, name: bytes, content: bytes) -> None:
    """Adds an entry to the file's own metadata."""
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = name, len(model.buffers)
    buffer.data = np.frombuffer(content, np.uint8)
    model.metadata = [*(model.metadata or []), entry]
    model.buffers.append(buffer)
