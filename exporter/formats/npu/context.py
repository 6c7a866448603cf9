"""A graph that was compiled for Qualcomm's NPU, and the .onnx file of one node around it.

onnxruntime calls the node EPContext (domain com.microsoft); the compiled graph is the node's attribute
ep_cache_context.
"""

from collections.abc import Sequence
from typing import Any, Final

from mbexport.errors import DataError

OP: Final = "EPContext"
DOMAIN: Final = "com.microsoft"
_BINARY: Final = "ep_cache_context"
_OPSET, _IR_VERSION = 17, 8


def require_whole(graph: Any, *, like: Any) -> None:
    """Raise `DataError` unless the ONNX `graph` is one compiled node with the inputs and outputs of the graph `like`.

    Graphs are onnx.GraphProto.
    """
    ops = [node.op_type for node in graph.node]
    if ops != [OP]:
        raise DataError(f"the compiler must take the whole graph, got {', '.join(ops) or 'nothing'}")
    if not binary_of(graph.node[0]):
        raise DataError("the compiler gave an empty graph")
    for given, wanted in ((graph.input, like.input), (graph.output, like.output)):
        if list(map(_signature, given)) != list(map(_signature, wanted)):
            raise DataError(f"the compiled graph must keep {_names(wanted)}, got {_names(given)}")


def binary_of(node: Any) -> bytes:
    """The compiled graph in the node; empty if there is none."""
    return next((bytes(each.s) for each in node.attribute if each.name == _BINARY), b"")


def context_model(name: str, binary: bytes, *, sources: Sequence[Any], targets: Sequence[Any]) -> bytes:
    """An .onnx file of the compiled graph called `name`; `sources` and `targets` are onnx.ValueInfoProto."""
    from onnx import helper

    node = helper.make_node(
        OP,
        [value.name for value in sources],
        [value.name for value in targets],
        name=name,
        domain=DOMAIN,
        main_context=1,
        embed_mode=1,
        source="QNN",
        partition_name=name,
        **{_BINARY: binary},
    )
    graph = helper.make_graph([node], name, sources, targets)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(DOMAIN, 1)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString()
    return content


def _signature(value: Any) -> tuple[Any, ...]:
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, tuple(each.dim_value for each in tensor.shape.dim)


def _names(values: Any) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, _, shape in map(_signature, values))
