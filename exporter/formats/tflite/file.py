"""Parse .tflite bytes and write them back in one canonical form: aligned, nothing stored twice.

The converter writes a vector of zero points for each tensor, names of two hundred characters that hold layer numbers
of the process, and a note on the conversion. Of an int8 network at alpha 0.25 that is a tenth of the file.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mbexport.errors import DataError

# Source of these: tensorflow/lite/schema/schema.fbs (file_identifier; Buffer.data has force_align: 16).
IDENTIFIER: Final = b"TFL3"
_BUFFER_ALIGNMENT: Final = 16
_NO_DATA: Final = 0  # the buffer of that number is empty by convention, for all tensors without data
_MIN_RUNTIME: Final = b"min_runtime_version"
_MIN_RUNTIME_BYTES: Final = 16  # as the converter writes it
_CONVERSION: Final = b"CONVERSION_METADATA"  # the converter's version, and a number that is of no use to anybody

_OPS: Final = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_KINDS: Final = {"CONV_2D": "conv", "DEPTHWISE_CONV_2D": "depthwise", "FULLY_CONNECTED": "dense"}
_WEIGHTED: Final = {1: "weight", 2: "bias"}  # the constant inputs of those
# The first runtime with each op on 16-bit activations, which the converter does not know when it writes its own number.
# Source: tensorflow/lite/tools/versioning/runtime_version.cc, for the versions that op_version.cc gives to int16.
_INT16_RUNTIMES: Final = {
    "AVERAGE_POOL_2D": "2.3.0",
    "CONV_2D": "2.3.0",
    "DEPTHWISE_CONV_2D": "2.3.0",
    "FULLY_CONNECTED": "2.3.0",
    "LOGISTIC": "2.3.0",
    "MEAN": "2.4.0",
    "PAD": "2.4.0",
    "SOFTMAX": "2.3.0",
}


def opened(content: bytes) -> Any:
    """The file as the ModelT of the published schema's generated classes, to read and to change.

    What is appended behind the network is not part of it. Raises `DataError` for something else than a .tflite file.
    """
    if content[4:8] != IDENTIFIER:
        raise DataError(f"a .tflite file must be marked {IDENTIFIER.decode()}, got {content[4:8]!r}")
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def packed(model: Any) -> bytes:
    """The bytes of a ModelT: the same for the same objects; data on 16 bytes, equal vectors and strings once."""
    builder = _SharingBuilder()
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def canonicalize(model: Any) -> None:
    """Brings a ModelT into its one form: what it was converted by, from and when leaves no trace in it.

    Tensors get short names in the order of the network (`image`, `conv_1/weight`, `conv_1`, ..., `scores`), equal
    data is stored once, and the note on the conversion goes. Signatures stay, and the least runtime version where
    it is right.
    """
    model.metadata = [entry for entry in model.metadata or [] if entry.name != _CONVERSION]
    ends = _end_names(model)
    for graph in model.subgraphs:
        _rename(graph, op_names(model), ends if graph is model.subgraphs[0] else {})
    _correct_runtime_version(model)
    _share_buffers(model)


def min_runtime_version(model: Any) -> str | None:
    """The oldest TensorFlow Lite that runs the network, as the converter computed it from its ops; None if unsaid."""
    data = metadata_buffer(model, _MIN_RUNTIME)
    return None if data is None else data.tobytes().rstrip(b"\0").decode()


def metadata_buffer(model: Any, name: bytes) -> NDArray[np.uint8] | None:
    """The data, uint8 (n,), of the file's own metadata entry of that name; None if there is none."""
    for entry in model.metadata or []:
        if entry.name == name:
            data: NDArray[np.uint8] | None = model.buffers[entry.buffer].data
            return data
    return None


def _correct_runtime_version(model: Any) -> None:
    said, names = min_runtime_version(model), op_names(model)
    if said is None:
        return
    needed = [said]
    for graph in model.subgraphs:
        for op in graph.operators:
            if any(graph.tensors[index].type == schema.TensorType.INT16 for index in (*op.inputs[:1], *op.outputs)):
                needed.append(_INT16_RUNTIMES.get(names[op.opcodeIndex], said))
    latest = max(needed, key=lambda version: [int(part) for part in version.split(".")])
    entry = next(entry for entry in model.metadata if entry.name == _MIN_RUNTIME)
    model.buffers[entry.buffer].data = np.frombuffer(latest.encode().ljust(_MIN_RUNTIME_BYTES, b"\0"), np.uint8)


def _share_buffers(model: Any) -> None:
    """Leaves one buffer for each content, in the order of their first use, behind the one without."""
    kept: dict[bytes | None, int] = {None: _NO_DATA}  # no data is not the same as data of no bytes
    buffers = [schema.BufferT()]
    for user in _users(model):
        buffer = model.buffers[user.buffer]
        data = None if buffer.data is None else buffer.data.tobytes()
        if data not in kept:
            kept[data] = len(buffers)
            buffers.append(buffer)
        user.buffer = kept[data]
    model.buffers, model.metadataBuffer = buffers, None


def _users(model: Any) -> Iterator[Any]:
    """All that refers to a buffer."""
    for graph in model.subgraphs:
        yield from graph.tensors
    yield from model.metadata or []


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]  # flatbuffers publishes no types
    """Writes equal vectors of numbers and equal strings once, and data where the schema wants it.

    Every vector of bytes is aligned like a buffer's data: the Python classes do not know which of them is.
    """

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802 - the builder's own name
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            if x.dtype == np.uint8:
                self.Prep(_BUFFER_ALIGNMENT, x.size)  # what follows is then aligned already
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]

    def CreateString(self, s: str | bytes, encoding: str = "utf-8", errors: str = "strict") -> int:  # noqa: N802
        text = s.encode(encoding, errors) if isinstance(s, str) else s
        key = ("string", text)
        if key not in self._written:
            self._written[key] = super().CreateString(text)
        return self._written[key]


def op_names(model: Any) -> list[str]:
    """The names of the ops by their number in the file. Raises `DataError` for a code that the schema does not have."""
    # Old readers know the deprecated field only, which holds codes up to 127.
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes or []]
    unknown = next((code for code in codes if code not in _OPS), None)
    if unknown is not None:
        raise DataError(f"its ops must be those of TensorFlow Lite, got one with the code {unknown}")
    return [_OPS[code] for code in codes]


def _end_names(model: Any) -> dict[int, bytes]:
    """What the signatures call the tensors that go in and come out."""
    signatures = model.signatureDefs or []
    return {end.tensorIndex: end.name for signature in signatures for end in (*signature.inputs, *signature.outputs)}


def _rename(graph: Any, kinds: list[str], ends: dict[int, bytes]) -> None:
    """Names each tensor by the op that makes it, or that takes it first; `ends` are named already.

    Weights that an op turns into floats first (fp16) are named by the op that takes these.
    """
    counts: Counter[str] = Counter()
    names = dict(ends)
    for end in (*graph.inputs, *graph.outputs):
        names.setdefault(int(end), graph.tensors[end].name)
    made = {*map(int, graph.inputs), *(int(index) for op in graph.operators for index in op.outputs)}
    storing = [op for op in graph.operators if len(op.inputs) == 1 and int(op.inputs[0]) not in made]
    for op in graph.operators:
        if op not in storing:
            code = kinds[op.opcodeIndex]
            kind = _KINDS.get(code, code.lower())
            counts[kind] += 1
            for index, name in _names_around(op, f"{kind}_{counts[kind]}", roles=_WEIGHTED if code in _KINDS else {}):
                names.setdefault(index, name)
    for op in storing:
        made_of = names.get(int(op.outputs[0]), b"unused")
        names.setdefault(int(op.inputs[0]), made_of + b"/stored")
    for index, tensor in enumerate(graph.tensors):
        tensor.name = names.get(index, f"unused_{index}".encode())


def _names_around(op: Any, stem: str, *, roles: Mapping[int, str]) -> Iterator[tuple[int, bytes]]:
    """A name for each tensor that goes into an op called `stem`, and for each that comes out."""
    for position, index in enumerate(op.inputs):
        yield int(index), f"{stem}/{roles.get(position, f'input_{position}')}".encode()
    for position, index in enumerate(op.outputs):
        yield int(index), (f"{stem}:{position}" if position else stem).encode()
