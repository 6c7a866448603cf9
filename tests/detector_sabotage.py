"""Break a good detector's files in ways in which somebody once shipped them, or could; .tflite and .onnx alike.

Each function makes the content of a broken file of the path of a good one. What is broken in any network or list of
labels is in `sabotage`.
"""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import helper, numpy_helper
from sabotage import changed

from mbexport.formats.detection_tail import CATEGORY, LOCATION, OUTPUTS, SCORE, DetectionTail
from mbexport.formats.onnx import detection_core as onnx_core
from mbexport.formats.onnx.detection_tail import append_detection_tail
from mbexport.formats.tflite import detection_core as tflite_core
from mbexport.formats.tflite.detection_tail import with_detection_tail
from mbexport.formats.tflite.file import metadata_buffer, opened, packed
from mbexport.formats.tflite.graph_writer import CODE, GraphWriter, set_outputs

_SWAPPED: Final = [1, 0, 3, 2]
_METADATA: Final = b"TFLITE_METADATA"


# ---- the tail's own numbers


def anchors_larger(path: Path) -> bytes:
    """Every anchor has 1.3 times the height and the width with which the network was trained."""
    return _with_tail(path, lambda tail: replace(tail, anchors=tail.anchors * np.float32([1, 1, 1.3, 1.3])))


def anchors_swapped(path: Path) -> bytes:
    """Anchors are x, y, width, height."""
    return _with_tail(path, lambda tail: replace(tail, anchors=tail.anchors[:, _SWAPPED]))


def codes_scaled_otherwise(path: Path) -> bytes:
    """Codes are divided by 5, 5, 10 and 10 in the place of 10, 10, 5 and 5."""
    return _with_tail(path, lambda tail: replace(tail, code_scales=(5.0, 5.0, 10.0, 10.0)))


def scores_cut_low(path: Path) -> bytes:
    """What has a score below 0.1 is left out, which nobody compares detection by detection."""
    return _with_tail(path, lambda tail: replace(tail, settings=replace(tail.settings, score_threshold=0.1)))


def scores_cut_high(path: Path) -> bytes:
    """What has a score below 0.9 is left out."""
    return _with_tail(path, lambda tail: replace(tail, settings=replace(tail.settings, score_threshold=0.9)))


def overlaps_kept(path: Path) -> bytes:
    """Boxes of one object count as several unless they overlap by 0.95."""
    return _with_tail(path, lambda tail: replace(tail, settings=replace(tail.settings, iou_threshold=0.95)))


def _with_tail(path: Path, change: Callable[[DetectionTail], DetectionTail]) -> bytes:
    """The same network and words with another tail."""
    content = path.read_bytes()
    if path.suffix == ".tflite":
        tail = tflite_core.detection_tail_of(content)
        assert tail is not None
        return _as_before(path, with_detection_tail(tflite_core.without_detection_tail(content), change(tail)))
    tail = onnx_core.detection_tail_of(content)
    assert tail is not None
    model = onnx.load_model_from_string(onnx_core.without_detection_tail(content))
    append_detection_tail(model, change(tail))
    return bytes(model.SerializeToString())


def _as_before(path: Path, content: bytes) -> bytes:
    """A .tflite of another content with the labels of that at the path behind it."""
    other = opened(content)

    def change(model: Any) -> None:
        vars(model).update(vars(other))

    return changed(path, change)


# ---- what comes out of the tail


def sides_swapped(path: Path) -> bytes:
    """The four numbers of a box are left, top, right and bottom."""
    return _rearranged(path, {LOCATION: (2, _SWAPPED)})


def rows_swapped(path: Path) -> bytes:
    """The best detection comes second."""
    return _rearranged(path, dict.fromkeys((LOCATION, CATEGORY, SCORE), (1, [1, 0])))


def classes_off_by_one(path: Path) -> bytes:
    """The first class has the number 1."""
    if path.suffix == ".tflite":

        def add_one(writer: GraphWriter, tensor: int) -> int:
            one = writer.constant(np.array(1, np.float32))
            return writer.op(CODE.ADD, [tensor, one], writer.shape_of(tensor), options=schema.AddOptionsT())

        return _ended(path, {CATEGORY: add_one})
    one = numpy_helper.from_array(np.array(1, np.float32), "one")
    return _ended_onnx(path, {CATEGORY: ("Add", [one], {})})


def boxes_not_cut_off(path: Path) -> bytes:
    """Boxes reach beyond the image, as the op gives them."""
    if path.suffix == ".onnx":
        model = onnx.load(path)
        clip = next(node for node in model.graph.node if list(node.output) == [LOCATION])
        clip.CopyFrom(helper.make_node("Identity", clip.input[:1], clip.output))
        return bytes(model.SerializeToString())

    def change(model: Any) -> None:
        graph = model.subgraphs[0]
        custom = [place for place, code in enumerate(model.operatorCodes) if code.customCode]
        op = next(each for each in graph.operators if each.opcodeIndex in custom)
        named = dict(zip(OUTPUTS, map(int, graph.outputs), strict=True))
        graph.tensors[named[LOCATION]].name = b"cut_off"
        set_outputs(model, {**named, LOCATION: int(op.outputs[0])})

    return changed(path, change)


def _rearranged(path: Path, orders: dict[str, tuple[int, list[int]]]) -> bytes:
    """Each output of that name with its elements along an axis in another order; those behind stay."""
    if path.suffix == ".onnx":
        return _ended_onnx(path, {name: _gathered_onnx(name, *order) for name, order in orders.items()})

    def gathered(axis: int, order: list[int]) -> Callable[[GraphWriter, int], int]:
        def gather(writer: GraphWriter, tensor: int) -> int:
            shape, options = writer.shape_of(tensor), schema.GatherOptionsT()
            options.axis = axis
            places = writer.constant(np.array([*order, *range(len(order), shape[axis])], np.int32))
            return writer.op(CODE.GATHER, [tensor, places], shape, options=options)

        return gather

    return _ended(path, {name: gathered(*order) for name, order in orders.items()})


def _gathered_onnx(name: str, axis: int, order: list[int]) -> tuple[str, list[Any], dict[str, int]]:
    most = 4 if axis == 2 else 100
    places = np.array([*order, *range(len(order), most)], np.int64)
    return "Gather", [numpy_helper.from_array(places, f"order_of_{name}")], {"axis": axis}


def _ended(path: Path, ends: dict[str, Callable[[GraphWriter, int], int]]) -> bytes:
    """A .tflite with an op more behind each output of that name."""

    def change(model: Any) -> None:
        graph, writer = model.subgraphs[0], GraphWriter(model)
        named = dict(zip(OUTPUTS, map(int, graph.outputs), strict=True))
        for name, end in ends.items():
            graph.tensors[named[name]].name = name.encode() + b"_before"
            named[name] = end(writer, named[name])
        set_outputs(model, named)

    return changed(path, change)


def _ended_onnx(path: Path, ends: dict[str, tuple[str, list[Any], dict[str, int]]]) -> bytes:
    """An .onnx with a node more behind each output of that name: its kind, its constants, its attributes."""
    model = onnx.load(path)
    for name, (kind, constants, attributes) in ends.items():
        maker = next(node for node in model.graph.node if name in node.output)
        maker.output[list(maker.output).index(name)] = f"{name}_before"
        model.graph.initializer.extend(constants)
        inputs = [f"{name}_before", *(each.name for each in constants)]
        model.graph.node.append(helper.make_node(kind, inputs, [name], **attributes))
    return bytes(model.SerializeToString())


# ---- words


def sides_misnamed(path: Path) -> bytes:
    """A .tflite whose metadata say that boxes are left, top, right, bottom: MediaPipe swaps x and y."""
    return _words_changed(path, struct.pack("<4I", *_SWAPPED), struct.pack("<4I", 0, 1, 2, 3))


def normalization_misstated(path: Path) -> bytes:
    """A .tflite whose metadata say that a byte is divided by 255 before it goes in."""
    return _words_changed(path, struct.pack("<f", 127.5), struct.pack("<f", 255.0))


def outputs_reordered(path: Path) -> bytes:
    """A .tflite whose scores come before its classes, and whose metadata know nothing of that."""

    def change(model: Any) -> None:
        location, category, score, number = model.subgraphs[0].outputs
        model.subgraphs[0].outputs = np.array([location, score, category, number], np.int32)

    return changed(path, change)


def _words_changed(path: Path, before: bytes, after: bytes) -> bytes:
    def change(model: Any) -> None:
        data = metadata_buffer(model, _METADATA).tobytes()
        assert before in data
        entry = next(each for each in model.metadata if each.name == _METADATA)
        model.buffers[entry.buffer].data = np.frombuffer(data.replace(before, after), np.uint8)

    return changed(path, change)


# ---- the network's heads


def head_zeroed(path: Path) -> bytes:
    """The convolution that corrects the anchors of the second map gives nothing."""

    def multiplied(model: Any, head: str) -> None:
        maker = next(node for node in model.graph.node if head in node.output)
        maker.output[0] = f"{head}_before"
        model.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), "nothing"))
        model.graph.node.append(helper.make_node("Mul", [f"{head}_before", "nothing"], [head]))

    if path.suffix == ".onnx":
        return _head_of_onnx(path, "boxes_1", multiplied)
    return _convolution_changed(path, "boxes_1", _zeroed)


def head_shifted(path: Path) -> bytes:
    """The codes of the second map's anchors stand for numbers that begin 40 codes lower, in an int8 .onnx.

    In a .tflite the convolution and what reads it have one zero point, and moving it moves no number.
    """

    def shifted(model: Any, head: str) -> None:
        maker = next(node for node in model.graph.node if head in node.output)
        while maker.op_type != "DequantizeLinear":
            maker = next(node for node in model.graph.node if maker.input[0] in node.output)
        stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        zero_point = stored[maker.input[2]]
        moved = np.asarray(zero_point + zero_point.dtype.type(40))
        model.graph.initializer.append(numpy_helper.from_array(moved, "other_zero"))
        maker.input[2] = "other_zero"

    return _head_of_onnx(path, "boxes_1", shifted)


def _zeroed(model: Any, conv: Any) -> None:
    for index in conv.inputs[1:]:
        tensor, buffer = model.subgraphs[0].tensors[index], schema.BufferT()
        buffer.data = np.zeros_like(model.buffers[tensor.buffer].data)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)


def _convolution_changed(path: Path, head: str, change: Callable[[Any, Any], None]) -> bytes:
    """A .tflite with another convolution in front of a head."""
    content = path.read_bytes()
    tail = tflite_core.detection_tail_of(content)
    assert tail is not None
    model = opened(tflite_core.without_detection_tail(content))
    graph, kinds = model.subgraphs[0], [each.builtinCode for each in model.operatorCodes]
    makers = {int(index): op for op in graph.operators for index in op.outputs}
    ends = {each.name.decode(): int(each.tensorIndex) for each in model.signatureDefs[0].outputs}
    op = makers[ends[head]]
    while kinds[op.opcodeIndex] != CODE.CONV_2D:
        op = makers[int(op.inputs[0])]
    change(model, op)
    return _as_before(path, with_detection_tail(packed(model), tail))


def _head_of_onnx(path: Path, head: str, change: Callable[[Any, str], None]) -> bytes:
    """An .onnx whose network was changed in front of its tail."""
    content = path.read_bytes()
    tail = onnx_core.detection_tail_of(content)
    assert tail is not None
    model = onnx.load_model_from_string(onnx_core.without_detection_tail(content))
    change(model, head)
    append_detection_tail(model, tail)
    return bytes(model.SerializeToString())
