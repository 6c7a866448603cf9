"""The ops of a .tflite file, as its bytes have them."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mbexport.formats.delegates.op import Op, Shape, Source
from mbexport.formats.tflite.file import op_names, opened

_TYPES: Final = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
_REDUCTIONS: Final = frozenset({"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"})


def tflite_ops(file: Path) -> list[Op]:
    """Each op of the first graph, in the order of the file. Raises `DataError` for a file that cannot be read.

    A float16 constant that an op makes floats of counts as `Source.CODES`, as one of integers does.
    """
    model = opened(file.read_bytes())
    names = op_names(model)
    graph = model.subgraphs[0]
    stored = {place for place, tensor in enumerate(graph.tensors) if _data(model, tensor) is not None}
    unpacked: set[int] = set()
    found = []
    for op in graph.operators:
        code, name = model.operatorCodes[op.opcodeIndex], names[op.opcodeIndex]
        inputs = [int(place) for place in op.inputs if place >= 0]  # -1 is an optional one that is not given
        if name == "DEQUANTIZE" and inputs[0] in stored:
            unpacked.update(map(int, op.outputs))
        computed = [graph.tensors[place] for place in (*inputs, *map(int, op.outputs)) if place not in stored]
        found.append(
            Op(
                name=code.customCode.decode(errors="replace") if name == "CUSTOM" and code.customCode else name,
                is_custom=name == "CUSTOM",
                version=code.version,
                types=tuple(_TYPES[tensor.type] for tensor in computed),
                shapes=tuple(_shape(tensor) for tensor in computed),
                inputs=tuple(_source(place, stored, unpacked) for place in inputs),
                is_fused=bool(getattr(op.builtinOptions, "fusedActivationFunction", 0)),
                axes=_axes(model, graph, inputs) if name in _REDUCTIONS else None,
            )
        )
    return found


def _source(place: int, stored: set[int], unpacked: set[int]) -> Source:
    if place in stored:
        return Source.CONSTANT
    return Source.CODES if place in unpacked else Source.COMPUTED


def _shape(tensor: Any) -> Shape:
    sizes = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    return tuple(None if size < 0 else int(size) for size in (() if sizes is None else sizes))


def _axes(model: Any, graph: Any, inputs: list[int]) -> tuple[int, ...] | None:
    data = _data(model, graph.tensors[inputs[1]]) if len(inputs) > 1 else None
    return None if data is None else tuple(map(int, np.frombuffer(data.tobytes(), np.int32)))


def _data(model: Any, tensor: Any) -> Any:
    return model.buffers[tensor.buffer].data
