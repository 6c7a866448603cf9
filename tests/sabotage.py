"""Break good artifacts in ways in which somebody once shipped them."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import helper, numpy_helper

from mbexport.formats.tflite.file import opened, packed
from mbexport.formats.tflite.metadata import labels_of

_NO_RANGE = 1e-9


def changed(path: Path, change: Callable[[Any], None]) -> bytes:
    """The .tflite at `path` with a changed network, and with the labels that it had behind it."""
    content = path.read_bytes()
    model = opened(content)
    change(model)
    return _with_labels(packed(model), labels_of(content))


def layer_zeroed(path: Path) -> bytes:
    """The weights of one pointwise convolution in the middle are all zero."""

    def change(model: Any) -> None:
        weights = convolution_weights(model)[6]
        data = model.buffers[weights.buffer].data
        model.buffers[weights.buffer].data = np.zeros_like(data)

    return changed(path, change)


def channel_scale_doubled(path: Path) -> bytes:
    """One channel of one convolution counts twice."""

    def change(model: Any) -> None:
        quantization = convolution_weights(model)[2].quantization
        scales = quantization.scale.copy()
        scales[len(scales) // 2] *= 2
        quantization.scale = scales

    return changed(path, change)


def channels_swapped(path: Path) -> bytes:
    """The first convolution takes blue for red: its weights (filters, rows, columns, channels) are turned around."""

    def change(model: Any) -> None:
        weights = convolution_weights(model)[0]
        data = model.buffers[weights.buffer].data.reshape(weights.shape)
        model.buffers[weights.buffer].data = data[..., ::-1].reshape(-1).copy()

    return changed(path, change)


def input_scale_wrong(path: Path) -> bytes:
    """The codes of the input stand for twice what they are."""

    def change(model: Any) -> None:
        image = tensor(model, "image").quantization
        image.scale = image.scale * 2

    return changed(path, change)


def range_of_nothing(path: Path) -> bytes:
    """The input was never calibrated: its whole range is 1e-9."""

    def change(model: Any) -> None:
        image = tensor(model, "image").quantization
        image.scale = np.full_like(image.scale, _NO_RANGE / 255)

    return changed(path, change)


def float_output(path: Path) -> bytes:
    """The scores leave an int8 file as floats."""

    def change(model: Any) -> None:
        graph = model.subgraphs[0]
        target = schema.TensorT()
        target.name, target.shape, target.buffer = b"floats", graph.tensors[graph.outputs[0]].shape, 0
        op, code = schema.OperatorT(), schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
        code.version = 1
        op.opcodeIndex = len(model.operatorCodes)
        op.inputs, op.outputs = graph.outputs, np.array([len(graph.tensors)], np.int32)
        model.operatorCodes.append(code)
        graph.tensors.append(target)
        graph.operators.append(op)
        graph.outputs = op.outputs
        for signature in model.signatureDefs or []:
            signature.outputs[0].tensorIndex = int(op.outputs[0])

    return changed(path, change)


def labels_shifted(path: Path) -> bytes:
    """Each score goes by the name of the class before it."""
    content = path.read_bytes()
    if path.suffix == ".tflite":
        labels = labels_of(content)
        return _with_labels(packed(opened(content)), (labels[-1], *labels[:-1]))
    model = onnx.load_model_from_string(content)
    for entry in model.metadata_props:
        if entry.key == "labels":
            labels = json.loads(entry.value)
            entry.value = json.dumps([labels[-1], *labels[:-1]])
    return bytes(model.SerializeToString())


def normalization_wrong(path: Path) -> bytes:
    """A float .onnx says that it takes bytes divided by 255, and takes them from -1 to 1."""
    model = onnx.load(path)
    for entry in model.metadata_props:
        if entry.key == "normalization.mean":
            entry.value = "[0.0]"
        if entry.key == "normalization.std":
            entry.value = "[255.0]"
    return bytes(model.SerializeToString())


def float_convolutions(path: Path) -> bytes:
    """An .onnx whose convolutions no runtime can join with the codes around them: |x| of what is never negative."""
    model = onnx.load(path)
    nodes = list(model.graph.node)
    makers = {output: node for node in nodes for output in node.output}
    rebuilt = []
    for node in nodes:
        if node.op_type == "Conv" and _is_behind_relu(node, makers, model):
            rebuilt.append(helper.make_node("Abs", [node.input[0]], [f"{node.input[0]}_abs"]))
            node.input[0] = f"{node.input[0]}_abs"
        rebuilt.append(node)
    del model.graph.node[:]
    model.graph.node.extend(rebuilt)
    return bytes(model.SerializeToString())


def truncated(path: Path) -> bytes:
    """The first half of a download."""
    content = path.read_bytes()
    return content[: len(content) // 2]


def convolution_weights(model: Any) -> list[Any]:
    """The weights of all convolutions but depthwise ones, in the order in which the file computes them."""
    graph = model.subgraphs[0]
    kinds = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return [
        graph.tensors[op.inputs[1]] for op in graph.operators if kinds[op.opcodeIndex] == schema.BuiltinOperator.CONV_2D
    ]


def tensor(model: Any, name: str) -> Any:
    """The tensor of that name."""
    return next(each for each in model.subgraphs[0].tensors if each.name.decode() == name)


def _is_behind_relu(conv: Any, makers: dict[str, Any], model: Any) -> bool:
    """Whether the smallest code of the input stands for zero."""
    constants = {each.name: each for each in model.graph.initializer}
    maker = makers[conv.input[0]]
    return maker.op_type == "DequantizeLinear" and not numpy_helper.to_array(constants[maker.input[2]]).any()


def _with_labels(content: bytes, labels: tuple[str, ...]) -> bytes:
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("labels.txt", "".join(f"{label}\n" for label in labels))
    return file.getvalue()
