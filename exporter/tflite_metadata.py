"""Turns a .tflite file and its description into one that tells apps what it takes and gives; and reads that back.

The words are a flatbuffer of the published metadata schema in a buffer of the file; the labels are a zip behind it.
"""

import io
import struct
import zipfile
import zlib
from dataclasses import replace
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mbexport.artifact import TensorSpec, for_bytes
from mbexport.calibration.affine import Affine
from mbexport.description import Description
from mbexport.errors import DataError, StageError
from mbexport.label_file import LABELS, labels_file, labels_in
from mbexport.metadata_words import read_words, words
from mbexport.tflite_file import canonicalize, metadata_buffer, min_runtime_version, opened, packed

_NAME: Final = b"TFLITE_METADATA"  # tensorflow/lite/schema/schema.fbs: where readers of metadata look
# The first moment that a zip can tell, and the rights of a plain file made on Unix: nothing of this machine.
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
_ZIP_UNIX, _ZIP_RIGHTS = 3, 0o644 << 16
# What struct, flatbuffers, zipfile and zlib raise for bytes that they cannot read.
_DAMAGE: Final = (
    *(struct.error, IndexError, TypeError, ValueError),
    *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),
)
_TYPES: Final = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}


def with_metadata(content: bytes, description: Description) -> bytes:
    """The file in its canonical form, with all that `description` says, right for its own input and output types.

    The same arguments give the same bytes; metadata and labels that the file had are replaced. Without labels there
    is no file of them. Raises `StageError` if the file takes other images or gives another number of scores.
    """
    model = opened(content)
    model.metadata = [entry for entry in model.metadata or [] if entry.name != _NAME]
    canonicalize(model)
    source, target = _ends(model)
    given, expected = source.shape[1:], (description.px, description.px, description.channels)
    if given != expected:
        raise StageError(f"the .tflite must take images of {expected}, got {given}")
    if description.labels and len(description.labels) != target.shape[-1]:
        raise StageError(f"labels must be as many as the {target.shape[-1]} scores, got {len(description.labels)}")
    said = words(description.as_fed_to(source), source, target)
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = _NAME, len(model.buffers)
    buffer.data = np.frombuffer(said, np.uint8)
    model.metadata.append(entry)
    model.buffers.append(buffer)
    return _with_labels(packed(model), description.labels)


def metadata_of(content: bytes) -> dict[str, str]:
    """What the file says of itself, by name: empty if nothing. Raises `DataError` for metadata that is damaged."""
    model = opened(content)
    said = metadata_buffer(model, _NAME)
    try:
        found = {"min_runtime_version": min_runtime_version(model) or ""}
        found |= {} if said is None else read_words(said.tobytes())
        labels = labels_of(content)
    except _DAMAGE as error:
        raise DataError(f"the metadata of the .tflite is damaged: {error}") from None
    if labels:
        found["labels"] = f"{len(labels)} in {LABELS}: {', '.join(labels[:3])}{', ...' if len(labels) > 3 else ''}"
    return {name: value for name, value in found.items() if value}


def input_of(content: bytes) -> TensorSpec:
    """The input, with the quantization of its codes or of the bytes that it quantizes first thing."""
    return _ends(opened(content))[0]


def labels_of(content: bytes) -> tuple[str, ...]:
    """The labels that lie behind the network, in the order of the scores; empty if there are none."""
    file = io.BytesIO(content)
    if not zipfile.is_zipfile(file):
        return ()
    with zipfile.ZipFile(file) as archive:
        if LABELS not in archive.namelist():
            return ()
        return labels_in(archive.read(LABELS))


def _with_labels(content: bytes, labels: tuple[str, ...]) -> bytes:
    """The file with a zip behind it that a reader finds from the end; not compressed, as MediaPipe reads it in place.

    Positions in the zip count from the start of the whole file, since some readers take them for that.
    """
    if not labels:
        return content
    entry = zipfile.ZipInfo(LABELS, date_time=_ZIP_TIME)
    entry.create_system, entry.external_attr = _ZIP_UNIX, _ZIP_RIGHTS
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a", compression=zipfile.ZIP_STORED) as archive:
        archive.writestr(entry, labels_file(labels))
    return file.getvalue()


def _ends(model: Any) -> tuple[TensorSpec, TensorSpec]:
    """The input, with the quantization of its codes or of the bytes it quantizes first thing, and the output."""
    graph = model.subgraphs[0]
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise StageError(f"a .tflite must have 1 input and 1 output, got {len(graph.inputs)}, {len(graph.outputs)}")
    source, target = (_spec(graph.tensors[end]) for end in (graph.inputs[0], graph.outputs[0]))
    if source.dtype != "float32":
        return source, target
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        if code.builtinCode == schema.BuiltinOperator.QUANTIZE and op.inputs[0] == graph.inputs[0]:
            source = replace(source, affine=for_bytes(_spec(graph.tensors[op.outputs[0]])))
    return source, target


def _spec(tensor: Any) -> TensorSpec:
    affine, q = None, tensor.quantization
    if q is not None and q.scale is not None and len(q.scale) == 1:
        affine = Affine(scale=(float(q.scale[0]),), zero_point=(int(q.zeroPoint[0]),))
    shape = tuple(int(size) for size in tensor.shape)
    return TensorSpec(name=tensor.name.decode(), shape=shape, dtype=_TYPES[tensor.type], affine=affine)
