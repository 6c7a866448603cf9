"""Check the structure of an .onnx file before onnxruntime sees it: whole in itself, sane in size, all text in UTF-8."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.formats.runner import first_line

_MAX_FILE_BYTES: Final = (1 << 31) - 1  # of a protocol buffer
_MAX_ELEMENTS: Final = 1 << 28  # of one tensor: a gigabyte of floats
_MAX_DEPTH: Final = 32  # of graphs in the attributes of their nodes


def require_sound(path: Path) -> None:
    """Raise `DataError`, in one line that does not name the file, unless it is one whole .onnx network.

    Its weights lie in the file itself, none is larger than it may be, and all that is text is UTF-8.
    """
    import onnx
    from google.protobuf.message import DecodeError

    size_bytes = path.stat().st_size
    if size_bytes > _MAX_FILE_BYTES:
        raise DataError(f"it must take at most {_MAX_FILE_BYTES} bytes, got {size_bytes}")
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
        for entry in model.metadata_props:
            _require_text("its metadata", entry, "key", "value")
        graphs = [(graph, 1) for graph in (model.graph, *model.functions)]
        if not model.graph.node or not model.graph.output:
            raise DataError("it must hold a network, got none")
        while graphs:
            graph, depth = graphs.pop()
            graphs += [(inner, depth + 1) for inner in _require_graph(graph)]
            if depth > _MAX_DEPTH:
                raise DataError(f"its graphs must lie at most {_MAX_DEPTH} deep in each other, got more")
    except (DecodeError, RecursionError) as error:
        raise DataError(f"it is damaged: {error}") from None


def _require_graph(graph: Any) -> list[Any]:
    """Checks the tensors and names of one graph or function; gives the graphs in its nodes."""
    inner = []
    for node in graph.node:
        _require_text("the name of a node", node, "name", "op_type", "domain", "input", "output")
        for attribute in node.attribute:
            for tensor in (*attribute.tensors, *_one(attribute, "t"), *_sparse(attribute)):
                _require_tensor(tensor)
            inner += [*attribute.graphs, *_one(attribute, "g")]
    for tensor in getattr(graph, "initializer", ()):
        _require_tensor(tensor)
    for sparse in getattr(graph, "sparse_initializer", ()):
        for tensor in (sparse.values, sparse.indices):
            _require_tensor(tensor)
    for value in (*_values(graph, "input"), *_values(graph, "output"), *_values(graph, "value_info")):
        _require_shape(value)
    return inner


def _one(attribute: Any, field: str) -> Iterator[Any]:
    if attribute.HasField(field):
        yield getattr(attribute, field)


def _sparse(attribute: Any) -> Iterator[Any]:
    for sparse in (*attribute.sparse_tensors, *_one(attribute, "sparse_tensor")):
        yield from (sparse.values, sparse.indices)


def _values(graph: Any, field: str) -> Iterator[Any]:
    """The described tensors of a graph; those of a function are names alone."""
    return (value for value in getattr(graph, field, ()) if hasattr(value, "type"))


def _require_tensor(tensor: Any) -> None:
    import onnx

    _require_text("the name of a tensor", tensor, "name")
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        places = [entry.value for entry in tensor.external_data if entry.key == "location"]
        raise DataError(
            f"it keeps {tensor.name or 'a tensor'} in another file ({', '.join(places) or 'not named'}): store it with "
            "its weights inside, onnx.save_model(onnx.load(FILE), OTHER, save_as_external_data=False)"
        )
    _require_size(tensor.name, list(tensor.dims))


def _require_shape(value: Any) -> None:
    _require_text("the name of a tensor", value, "name")
    if value.type.HasField("tensor_type"):
        sizes = [each.dim_value for each in value.type.tensor_type.shape.dim if each.HasField("dim_value")]
        _require_size(value.name, sizes)


def _require_size(name: str, sizes: list[int]) -> None:
    if any(size < 0 for size in sizes):
        raise DataError(f"the shape of {name} must have no negative side, got {sizes}")
    if math.prod(sizes) > _MAX_ELEMENTS:
        raise DataError(f"{name} must have at most {_MAX_ELEMENTS} elements, got {sizes}")


def _require_text(what: str, message: Any, *fields: str) -> None:
    """Raises `DataError` for texts that are not UTF-8, which the generated classes give as bytes."""
    for field in fields:
        value = getattr(message, field)
        if any(isinstance(each, bytes) for each in ([value] if isinstance(value, str | bytes) else value)):
            raise DataError(f"{what} must be text in UTF-8, got other bytes")


def with_shapes(model: Any) -> Any:
    """The same ModelProto, with the types and shapes of all tensors that its ops imply.

    Raises `DataError` for ops that contradict each other, or whose domain the file has no version of.
    """
    from onnx.shape_inference import InferenceError, infer_shapes

    try:
        return infer_shapes(model)
    except InferenceError as error:
        raise DataError(f"the types of its tensors cannot be told: {first_line(error)}") from None
