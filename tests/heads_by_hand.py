"""Files whose inputs are the heads of a detector themselves, behind which nothing is but the tail of their format."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper
from tflite_by_hand import end_of, model_of, tensor_of

from mbexport.calibration.affine import Affine
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.onnx.detection_tail import append_detection_tail
from mbexport.formats.onnx.runner import session_options
from mbexport.formats.tflite.detection_tail import with_detection_tail
from mbexport.formats.tflite.file import packed

Answer = Callable[[Any, Any], list[np.ndarray]]  # codes (n, 4) and logits (n, classes) to the four outputs


def core_tflite(
    tail: DetectionTail, sizes: Sequence[int], *, kind: str = "float32", affines: Sequence[Affine | None] = (None,)
) -> bytes:
    """Heads (1, size, 1, 4) and (1, size, 1, classes) of each map, in one go from input to output.

    They are of the type `kind`, with the scales and zero points of `affines` by turns where these are integers.
    """
    graph = schema.SubGraphT()
    names = [name for head in tail.heads for name in head]
    shapes = [(1, size, 1, width) for size in sizes for width in (4, tail.classes)]
    graph.tensors = [
        tensor_of(name, kind, shape, affine=affines[place % len(affines)])
        for place, (name, shape) in enumerate(zip(names, shapes, strict=True))
    ]
    graph.operators = []
    graph.inputs = graph.outputs = np.arange(len(names), dtype=np.int32)
    model = model_of(graph, [], [None])
    (signature,) = model.signatureDefs
    signature.inputs = [end_of(f"{name}_in".encode(), [place]) for place, name in enumerate(names)]
    # The converter's order is none that anybody chose.
    signature.outputs = [end_of(names[place].encode(), [place]) for place in reversed(range(len(names)))]
    return packed(model)


def tflite_answer(tail: DetectionTail, sizes: Sequence[int], *, threads: int = 1) -> Answer:
    """What a .tflite of one interpreter, which is called again and again, makes of heads."""
    interpreter = Interpreter(model_content=with_detection_tail(core_tflite(tail, sizes), tail), num_threads=threads)
    interpreter.allocate_tensors()
    sources, targets = interpreter.get_input_details(), interpreter.get_output_details()

    def answer(codes: Any, logits: Any) -> list[np.ndarray]:
        for source, head in zip(sources, heads_of(codes, logits, sizes), strict=True):
            interpreter.set_tensor(source["index"], head)
        interpreter.invoke()
        return [interpreter.get_tensor(target["index"]) for target in targets]

    return answer


def onnx_answer(tail: DetectionTail, sizes: Sequence[int], *, opset: int = 17) -> Answer:
    """What an .onnx makes of heads."""
    names = [name for head in tail.heads for name in head]
    session = onnxruntime.InferenceSession(onnx_model(tail, sizes, opset=opset), session_options())

    def answer(codes: Any, logits: Any) -> list[np.ndarray]:
        heads = heads_of(codes, logits, sizes)
        return session.run(None, {f"{name}_in": head for name, head in zip(names, heads, strict=True)})

    return answer


def onnx_model(tail: DetectionTail, sizes: Sequence[int], *, opset: int = 17) -> bytes:
    """The .onnx of such heads, checked."""
    names = [name for head in tail.heads for name in head]
    shapes = [(1, size, 1, width) for size in sizes for width in (4, tail.classes)]
    given, made = (
        [
            helper.make_tensor_value_info(name + ending, TensorProto.FLOAT, shape)
            for name, shape in zip(names, shapes, strict=True)
        ]
        for ending in ("_in", "")
    )
    nodes = [helper.make_node("Identity", [f"{name}_in"], [name]) for name in names]
    ids = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        helper.make_graph(nodes, "heads", given, made[::-1]),
        opset_imports=ids,
        ir_version=helper.find_min_ir_version_for(ids),
    )
    append_detection_tail(model, tail)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def heads_of(codes: Any, logits: Any, sizes: Sequence[int]) -> list[np.ndarray]:
    """Codes (n, 4) and logits (n, classes) as float32 heads, map by map."""
    ends = np.cumsum(sizes)[:-1]
    parts = (np.split(np.asarray(values, np.float32), ends) for values in (codes, logits))
    return [part[None, :, None] for pair in zip(*parts, strict=True) for part in pair]
