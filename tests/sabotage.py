"""Break good artifacts in ways in which somebody once shipped them."""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

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
    if path.suffix == ".onnx":
        return _edge_changed(path, scale=2, of_output=False)

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


def output_scale_doubled(path: Path) -> bytes:
    """The codes of the scores stand for twice what they are."""
    return _output_changed(path, scale=2)


def output_zero_point_moved(path: Path) -> bytes:
    """The codes of the scores stand for probabilities that begin 100 codes lower."""
    return _output_changed(path, codes=100)


def _output_changed(path: Path, *, scale: float = 1, codes: int = 0) -> bytes:
    if path.suffix == ".onnx":
        return _edge_changed(path, scale=scale, codes=codes, of_output=True)

    def change(model: Any) -> None:
        graph = model.subgraphs[0]
        scores = graph.tensors[graph.outputs[0]].quantization
        scores.scale, scores.zeroPoint = scores.scale * np.float32(scale), scores.zeroPoint + codes

    return changed(path, change)


def input_zero_point_moved(path: Path) -> bytes:
    """The codes of the input are one further from what they stand for."""
    if path.suffix == ".onnx":
        return _edge_changed(path, codes=1, of_output=False)

    def change(model: Any) -> None:
        image = tensor(model, "image").quantization
        image.zeroPoint = image.zeroPoint + 1

    return changed(path, change)


def _edge_changed(path: Path, *, scale: float = 1, codes: int = 0, of_output: bool) -> bytes:
    """An .onnx whose first or last codes have a scale and a zero point of their own, which are others."""
    model = onnx.load(path)
    graph, kind = model.graph, "QuantizeLinear" if of_output else "DequantizeLinear"
    node = [each for each in graph.node if each.op_type == kind][-1 if of_output else 0]
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for place, name, value in (
        (1, "other_scale", constants[node.input[1]] * np.float32(scale)),
        (2, "other_zero", constants[node.input[2]] + constants[node.input[2]].dtype.type(codes)),
    ):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        node.input[place] = name
    return bytes(model.SerializeToString())


def softmax_removed(path: Path) -> bytes:
    """The scores leave the file before the softmax."""
    if path.suffix == ".onnx":
        return _bypassed(path)

    def change(model: Any) -> None:
        graph = model.subgraphs[0]
        kinds = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
        softmax = next(op for op in graph.operators if kinds[op.opcodeIndex] == schema.BuiltinOperator.SOFTMAX)
        taken = np.array([softmax.inputs[0]], np.int32)
        graph.operators = graph.operators[: graph.operators.index(softmax)]
        graph.outputs = taken
        for signature in model.signatureDefs or []:
            signature.outputs[0].tensorIndex = int(taken[0])

    return changed(path, change)


def _bypassed(path: Path) -> bytes:
    """An .onnx in which whatever takes the softmax takes what goes into it."""
    model = onnx.load(path)
    nodes = list(model.graph.node)
    softmax = next(node for node in nodes if node.op_type == "Softmax")
    for node in nodes:
        for place, name in enumerate(node.input):
            if name == softmax.output[0]:
                node.input[place] = softmax.input[0]
    if model.graph.output[0].name == softmax.output[0]:
        makers = [node for node in nodes if softmax.input[0] in node.output]
        makers[0].output[0] = softmax.output[0]
    del model.graph.node[:]
    model.graph.node.extend(node for node in nodes if node is not softmax)
    return bytes(model.SerializeToString())


def channel_sign_flipped(path: Path) -> bytes:
    """One filter of one convolution in the middle subtracts what it should add."""
    if path.suffix == ".onnx":
        return _stored_changed(path, place=6, change=_with_one_filter_negated)

    def change(model: Any) -> None:
        weights = convolution_weights(model)[3]
        data = model.buffers[weights.buffer].data.view(np.int8).reshape(weights.shape)
        model.buffers[weights.buffer].data = _with_one_filter_negated(data).reshape(-1).view(np.uint8)

    return changed(path, change)


def weights_zeroed(path: Path) -> bytes:
    """The weights of one pointwise convolution in the middle are all zero, in an .onnx."""
    return _stored_changed(path, place=12, change=np.zeros_like)


def _with_one_filter_negated(weights: Any) -> Any:
    negated = weights.copy()
    middle = len(negated) // 2
    negated[middle] = -np.maximum(negated[middle], -127)
    return negated


def _stored_changed(path: Path, *, place: int, change: Callable[[Any], Any]) -> bytes:
    """An .onnx with other 8-bit weights of its convolution of that number."""
    model = onnx.load(path)
    stored = [each for each in model.graph.initializer if len(each.dims) == 4 and each.data_type == TensorProto.INT8]
    weights = stored[place]
    weights.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(weights)), weights.name))
    return bytes(model.SerializeToString())


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


def with_labels(path: Path, change: Callable[[list[str]], list[str] | None]) -> bytes:
    """The .tflite or .onnx at `path` with other labels inside, or with none."""
    content = path.read_bytes()
    if path.suffix == ".tflite":
        labels = change(list(labels_of(content)))
        return _with_labels(packed(opened(content)), labels)
    model = onnx.load_model_from_string(content)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    labels = change(json.loads(properties.pop("labels")))
    if labels is not None:
        properties["labels"] = json.dumps(labels)
    helper.set_model_props(model, properties)
    return bytes(model.SerializeToString())


def labels_shifted(path: Path) -> bytes:
    """Each score goes by the name of the class before it."""
    return with_labels(path, lambda labels: [labels[-1], *labels[:-1]])


def labels_too_few(path: Path) -> bytes:
    """The last class has no name."""
    return with_labels(path, lambda labels: labels[:-1])


def labels_empty(path: Path) -> bytes:
    """There is a list of labels, and nothing in it."""
    return with_labels(path, lambda _: [])


def labels_blank(path: Path) -> bytes:
    """Every label is a line without a word."""
    return with_labels(path, lambda labels: [" "] * len(labels))


def labels_missing(path: Path) -> bytes:
    """Nothing names the scores."""
    return with_labels(path, lambda _: None)


def labels_foreign(path: Path) -> bytes:
    """The labels are in words that nobody else uses."""
    return with_labels(path, lambda labels: [f"n{place:08}" for place in range(len(labels))])


def labels_swapped_among_foreign(path: Path) -> bytes:
    """Two pairs of the first four classes have changed places; the others are in other words."""
    return with_labels(path, lambda labels: [labels[place] for place in (1, 0, 3, 2)] + [f"n{i}" for i in labels[4:]])


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


def _with_labels(content: bytes, labels: Sequence[str] | None) -> bytes:
    if labels is None:
        return content
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("labels.txt", "".join(f"{label}\n" for label in labels))
    return file.getvalue()
