"""The ops of an .onnx file, as its bytes have them: onnxruntime joins some of them before a provider sees them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mbexport.errors import DataError
from mbexport.formats.delegates.op import Op, Shape, Source

_OWN_DOMAINS = ("", "ai.onnx")


def onnx_ops(file: Path) -> list[Op]:
    """Each node of the graph, in its order, but for those that only hold a constant.

    Raises `DataError` for a file whose ops contradict each other.
    """
    import onnx

    from mbexport.formats.onnx.structure import with_shapes

    try:
        graph = with_shapes(onnx.load(str(file))).graph
    except DataError as error:
        raise DataError(f"{file}: {error}") from None
    values = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}
    sources = {tensor.name: Source.CONSTANT for tensor in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type == "Constant":
            sources.update(dict.fromkeys(node.output, Source.CONSTANT))
            continue
        inputs = tuple(sources.get(name, Source.COMPUTED) for name in node.input if name)
        if node.op_type == "DequantizeLinear" and inputs[0] is Source.CONSTANT:
            sources.update(dict.fromkeys(node.output, Source.CODES))
        is_own = node.domain in _OWN_DOMAINS
        computed = _computed((*node.input, *node.output), sources, values)
        found.append(
            Op(
                name=node.op_type if is_own else f"{node.domain}:{node.op_type}",
                types=tuple(_type(value) for value in computed),
                shapes=tuple(_shape(value) for value in computed if value.type.tensor_type.HasField("shape")),
                inputs=inputs,
            )
        )
    return found


def _computed(names: Iterable[str], sources: dict[str, Source], values: dict[str, Any]) -> list[Any]:
    return [values[name] for name in names if name in values and name not in sources]


def _type(value: Any) -> str:
    import onnx

    name = str(onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def _shape(value: Any) -> Shape:
    return tuple(size.dim_value or None for size in value.type.tensor_type.shape.dim)
