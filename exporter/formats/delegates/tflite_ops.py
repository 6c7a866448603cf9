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
        inputs, outputs = _places(op.inputs), _places(op.outputs)
        if name == "DEQUANTIZE" and stored.issuperset(inputs):
            unpacked.update(outputs)
        computed = [graph.tensors[place] for place in (*inputs, *outputs) if place not in stored]
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


def _places(given: Any) -> list[int]:
    """The numbers of tensors; -1 is an optional one that is not given."""
    return [] if given is None else [int(place) for place in given if place >= 0]


def _source(place: int, stored: set[int], unpacked: set[int]) -> Source:
    if place in stored:
        return Source.CONSTANT
    return Source.CODES if place in unpacked else Source.COMPUTED


def _shape(tensor: Any) -> Shape:
    signature, shape = (
        () if sizes is None else tuple(map(int, sizes)) for sizes in (tensor.shapeSignature, tensor.shape)
    )
    return tuple(None if size < 0 else size for size in signature or shape)


def _axes(model: Any, graph: Any, inputs: list[int]) -> tuple[int, ...] | None:
    data = _data(model, graph.tensors[inputs[1]]) if len(inputs) > 1 else None
    return None if data is None else tuple(map(int, np.frombuffer(data.tobytes(), np.int32)))


def _data(model: Any, tensor: Any) -> Any:
    return model.buffers[tensor.buffer].data
