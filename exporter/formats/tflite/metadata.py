"""Write TFLite's metadata and labels into a file, and read them back.

The words are a flatbuffer of the published metadata schema in a buffer of the file; the labels are a zip behind it.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mbexport.artifact import LABELS, TensorSpec, for_bytes, labels_file, labels_in
from mbexport.calibration.affine import Affine
from mbexport.errors import DataError, StageError
from mbexport.formats.description import Description
from mbexport.formats.detection_tail import OUTPUTS, RAW_OUTPUTS, Decoding, DetectionTail
from mbexport.formats.stated_output import KINDS_IN_WORDS, steps_in_words
from mbexport.formats.tflite.detection_core import detection_tail_of
from mbexport.formats.tflite.detection_metadata import detection_group, detection_outputs, read_sides
from mbexport.formats.tflite.file import canonicalize, metadata_buffer, min_runtime_version, opened, packed
from mbexport.formats.tflite.metadata_schema import (
    CUSTOM_PARSER_VERSION,
    GROUPS_PARSER_VERSION,
    MIN_PARSER_VERSION,
    NORMALIZATION_OPTIONS,
    TENSOR_AXIS_LABELS,
    AssociatedFile,
    ColorSpace,
    Content,
    ContentProperties,
    CustomMetadata,
    ImageProperties,
    ImageSize,
    ModelMetadata,
    NormalizationOptions,
    ProcessUnit,
    Reader,
    Stats,
    SubGraphExtras,
    SubGraphMetadata,
    TensorMetadata,
    Writer,
)
from mbexport.formats.tflite.raw_metadata import raw_options, raw_outputs, read_decoding

_COLOUR_SPACES: Final = {"RGB": ColorSpace.RGB, "GREY": ColorSpace.GRAYSCALE}
_LIMITS: Final = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}
_NAME: Final = b"TFLITE_METADATA"  # tensorflow/lite/schema/schema.fbs: where readers of metadata look
# The first moment that a zip can tell, and the rights of a plain file made on Unix: nothing of this machine.
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
_ZIP_UNIX, _ZIP_RIGHTS = 3, 0o644 << 16
_MAX_LABELS_BYTES: Final = 2**22  # the 1001 classes of ImageNet take 22 kB
_LABELS_ENDING: Final = ".txt"
# What struct, flatbuffers, zipfile and zlib raise for bytes that they cannot read.
_DAMAGE: Final = (
    *(struct.error, IndexError, TypeError, ValueError),
    *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),
)
_TYPES: Final = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}


def words(
    description: Description, source: TensorSpec, targets: Sequence[TensorSpec], *, raw: DetectionTail | None = None
) -> bytes:
    """The flatbuffer of a file with the input `source` and the outputs `targets`: scores, or those of a detector.

    `description` is that of this file: `as_fed_to(source)`; `raw` says how its outputs are decoded, if apps do that.
    """
    writer, parser = Writer(), MIN_PARSER_VERSION
    parts: dict[IntEnum, int] = {
        SubGraphMetadata.INPUT_TENSOR_METADATA: writer.tables([_input(writer, description, source)])
    }
    if raw is not None:
        parser, outputs = CUSTOM_PARSER_VERSION, raw_outputs(writer, description)
        parts[SubGraphExtras.CUSTOM_METADATA] = writer.tables([raw_options(writer, raw)])
    elif len(targets) > 1:
        parser, outputs = GROUPS_PARSER_VERSION, detection_outputs(writer, description)
        parts[SubGraphExtras.OUTPUT_TENSOR_GROUPS] = writer.tables([detection_group(writer)])
    else:
        outputs = [_output(writer, description, target) for target in targets]
    parts[SubGraphMetadata.OUTPUT_TENSOR_METADATA] = writer.tables(outputs)
    graph = writer.table(parts=parts)
    texts: dict[IntEnum, str] = {
        ModelMetadata.NAME: description.name,
        ModelMetadata.DESCRIPTION: description.text,
        ModelMetadata.VERSION: description.version,
        ModelMetadata.AUTHOR: description.author,
        ModelMetadata.MIN_PARSER_VERSION: parser,
    }
    if description.licence is not None:
        texts[ModelMetadata.LICENSE] = description.licence
    return writer.whole(writer.table(texts=texts, parts={ModelMetadata.SUBGRAPH_METADATA: writer.tables([graph])}))


def read_words(content: bytes) -> dict[str, str]:
    """What the flatbuffer says, by name; what it does not say is left out, or empty."""
    root = Reader.root(content)
    fields = {
        "name": ModelMetadata.NAME,
        "description": ModelMetadata.DESCRIPTION,
        "version": ModelMetadata.VERSION,
        "author": ModelMetadata.AUTHOR,
        "license": ModelMetadata.LICENSE,
        "min_parser_version": ModelMetadata.MIN_PARSER_VERSION,
    }
    found = {name: root.text(field) or "" for name, field in fields.items()}
    for graph in root.tables(ModelMetadata.SUBGRAPH_METADATA):
        customs = graph.tables(SubGraphExtras.CUSTOM_METADATA)
        found |= {"custom metadata": ", ".join(each.text(CustomMetadata.NAME) or "" for each in customs)}
        for field in SubGraphMetadata:
            role = "input" if field is SubGraphMetadata.INPUT_TENSOR_METADATA else "output"
            tensors = graph.tables(field)
            for number, tensor in enumerate(tensors, start=1):
                found |= _read_tensor(tensor, role if len(tensors) == 1 else f"{role} {number}")
    return found


def _input(writer: Writer, description: Description, source: TensorSpec) -> int:
    # Blue first stays unknown: a client that took it for RGB would answer wrongly without a word; MediaPipe refuses.
    colour = _COLOUR_SPACES.get(description.colour, ColorSpace.UNKNOWN)
    height_px, width_px = description.resolution.sides_px
    size = writer.table(counts={ImageSize.WIDTH: width_px, ImageSize.HEIGHT: height_px})
    image = writer.table(parts={ImageProperties.DEFAULT_SIZE: size}, kinds={ImageProperties.COLOR_SPACE: colour})
    means, stds = zip(*description.channel_maps, strict=True)
    options = writer.table(
        parts={NormalizationOptions.MEAN: writer.floats(means), NormalizationOptions.STD: writer.floats(stds)}
    )
    unit = writer.table(parts={ProcessUnit.OPTIONS: options}, kinds={ProcessUnit.OPTIONS_TYPE: NORMALIZATION_OPTIONS})
    return writer.table(
        texts={TensorMetadata.NAME: source.name, TensorMetadata.DESCRIPTION: _input_text(description, source)},
        parts={
            TensorMetadata.CONTENT: _content(writer, ContentProperties.IMAGE, image),
            TensorMetadata.PROCESS_UNITS: writer.tables([unit]),
            TensorMetadata.STATS: _stats(writer, *_input_range(description, source)),
        },
    )


def _output(writer: Writer, description: Description, target: TensorSpec) -> int:
    parts: dict[IntEnum, int] = {TensorMetadata.CONTENT: _content(writer, ContentProperties.FEATURE, writer.table())}
    if description.is_probability:
        parts[TensorMetadata.STATS] = _stats(writer, *([end] for end in _codes(target, [0.0, 1.0])))
    if description.labels:
        file = writer.table(
            texts={AssociatedFile.NAME: LABELS, AssociatedFile.DESCRIPTION: "A line for each score: its class."},
            kinds={AssociatedFile.TYPE: TENSOR_AXIS_LABELS},
        )
        parts[TensorMetadata.ASSOCIATED_FILES] = writer.tables([file])
    return writer.table(
        texts={TensorMetadata.NAME: target.name, TensorMetadata.DESCRIPTION: _output_text(description, target)},
        parts=parts,
    )


def _content(writer: Writer, kind: ContentProperties, properties: int) -> int:
    return writer.table(parts={Content.PROPERTIES: properties}, kinds={Content.PROPERTIES_TYPE: kind})


def _stats(writer: Writer, low: Iterable[float], high: Iterable[float]) -> int:
    return writer.table(parts={Stats.MIN: writer.floats(low), Stats.MAX: writer.floats(high)})


def _input_range(description: Description, source: TensorSpec) -> tuple[list[float], list[float]]:
    """What the bytes 0 and 255 become in the input, for each channel or for all."""
    if for_bytes(source) is not None:
        least, most = _LIMITS[source.dtype]  # the bytes themselves
        return [least], [most]
    low, high = ([(byte - mean) / std for mean, std in description.channel_maps] for byte in _LIMITS["uint8"])
    return _codes(source, low), _codes(source, high)


def _codes(tensor: TensorSpec, values: list[float]) -> list[float]:
    """What the real `values` are in a tensor: themselves in a float one, the nearest codes in another."""
    if tensor.affine is None or tensor.dtype not in _LIMITS:
        return values
    low, high = _LIMITS[tensor.dtype]
    codes = tensor.affine.quantize(np.array(values, np.float32), low=low, high=high)
    return [float(code) for code in codes]


def _input_text(description: Description, source: TensorSpec) -> str:
    image = f"An image of {description.resolution.extent} px, {description.colour}"
    if source.dtype == "uint8":
        return f"{image}: its bytes as they are."
    if source.dtype == "int8":
        return f"{image}: its bytes minus 128."
    maps = ", ".join(f"(b - {mean:.9g}) / {std:.9g}" for mean, std in description.channel_maps)
    each = "each byte b as" if len(description.channel_maps) == 1 else "each byte b, channel by channel, as"
    return f"{image}: {each} {maps}{_steps(source)}."


def _output_text(description: Description, target: TensorSpec) -> str:
    return f"{KINDS_IN_WORDS[description.output]}{_steps(target)}."


def _steps(tensor: TensorSpec) -> str:
    return "" if tensor.affine is None or tensor.dtype not in _LIMITS else steps_in_words(tensor)


def _read_tensor(tensor: Reader, role: str) -> dict[str, str]:
    found = {role: f"{tensor.text(TensorMetadata.NAME)}: {tensor.text(TensorMetadata.DESCRIPTION)}"}
    stats = tensor.table(TensorMetadata.STATS)
    if stats is not None:
        low, high = (" ".join(f"{value:g}" for value in stats.floats(end)) for end in (Stats.MIN, Stats.MAX))
        found[f"{role} range"] = f"{low} .. {high}"
    content = tensor.table(TensorMetadata.CONTENT)
    if content is not None and content.kind(Content.PROPERTIES_TYPE) == ContentProperties.IMAGE:
        image = content.table(Content.PROPERTIES)
        found[f"{role} colour space"] = ColorSpace(image.kind(ImageProperties.COLOR_SPACE)).name if image else ""
    if content is not None and content.kind(Content.PROPERTIES_TYPE) == ContentProperties.BOUNDING_BOX:
        found[f"{role} box"] = read_sides(content)
    for unit in tensor.tables(TensorMetadata.PROCESS_UNITS):
        options = unit.table(ProcessUnit.OPTIONS)
        if unit.kind(ProcessUnit.OPTIONS_TYPE) == NORMALIZATION_OPTIONS and options is not None:
            found["normalization mean"] = " ".join(
                f"{value:.9g}" for value in options.floats(NormalizationOptions.MEAN)
            )
            found["normalization std"] = " ".join(f"{value:.9g}" for value in options.floats(NormalizationOptions.STD))
    return found


def with_metadata(content: bytes, description: Description, *, raw: DetectionTail | None = None) -> bytes:
    """The file in its canonical form, with all that `description` says, right for its own input and output types.

    The same arguments give the same bytes; metadata and labels that the file had are replaced. Without labels there
    is no file of them. `raw` says how the outputs of a detector without a tail are decoded. Raises `StageError` if the
    file takes other images, gives another number of scores or detects another number of classes.
    """
    model = opened(content)
    model.metadata = [entry for entry in model.metadata or [] if entry.name != _NAME]
    canonicalize(model)
    source, targets = _ends(model, outputs=OUTPUTS if raw is None else RAW_OUTPUTS)
    given, expected = source.shape[1:], (*description.resolution.sides_px, description.channels)
    if given != expected:
        raise StageError(f"the .tflite must take images of {expected}, got {given}")
    _require_labels(description, content, targets)
    said = words(description.as_fed_to(source), source, targets, raw=raw)
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = _NAME, len(model.buffers)
    buffer.data = np.frombuffer(said, np.uint8)
    model.metadata.append(entry)
    model.buffers.append(buffer)
    return attach_labels(packed(model), description.labels)


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


def decoding_of(content: bytes) -> Decoding | None:
    """How apps decode the heads that the file gives, by what it says of itself; None where it says nothing of that.

    Raises `DataError` for metadata that are damaged, or ask for another decoding than ours.
    """
    said = metadata_buffer(opened(content), _NAME)
    if said is None:
        return None
    try:
        graphs = Reader.root(said.tobytes()).tables(ModelMetadata.SUBGRAPH_METADATA)
        return read_decoding(graphs[0]) if graphs else None
    except _DAMAGE as error:
        raise DataError(f"the metadata of the .tflite is damaged: {error}") from None


def input_of(content: bytes) -> TensorSpec:
    """The input, with the quantization of its codes or of the bytes that it quantizes first thing."""
    return _ends(opened(content), outputs=OUTPUTS)[0]


def labels_of(content: bytes) -> tuple[str, ...]:
    """The labels that lie behind the network, in the order of the scores; empty if there are none."""
    file = io.BytesIO(content)
    if not zipfile.is_zipfile(file):
        return ()
    with zipfile.ZipFile(file) as archive:
        if LABELS not in archive.namelist():
            return ()
        return labels_in(archive.read(_bounded(archive.getinfo(LABELS))))


def _bounded(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The entry itself. Raises `DataError` for one that unpacks to more than labels can have."""
    if entry.file_size > _MAX_LABELS_BYTES:
        raise DataError(f"its labels must have at most {_MAX_LABELS_BYTES} bytes, got {entry.file_size}")
    return entry


def attach_labels(content: bytes, labels: tuple[str, ...]) -> bytes:
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


def _require_labels(description: Description, content: bytes, targets: Sequence[TensorSpec]) -> None:
    count, expected, named = len(description.labels), targets[-1].shape[-1], "scores"
    if len(targets) == len(OUTPUTS):
        tail = detection_tail_of(content)
        expected, named = (count if tail is None else tail.classes), "classes"
    if count and count != expected:
        raise StageError(f"labels must be as many as the {expected} {named}, got {count}")


def _ends(model: Any, *, outputs: Sequence[str]) -> tuple[TensorSpec, tuple[TensorSpec, ...]]:
    """The input, with the quantization of its codes or of the bytes it quantizes first thing, and the outputs.

    These are one, or called as a detector's are, `outputs`.
    """
    graph = model.subgraphs[0]
    targets = tuple(_spec(graph.tensors[end]) for end in graph.outputs)
    is_detector = tuple(target.name for target in targets) == outputs
    if len(graph.inputs) != 1 or not (len(targets) == 1 or is_detector):
        raise StageError(
            f"a .tflite must have 1 input and 1 output, or those of a detector, got {len(graph.inputs)}, {len(targets)}"
        )
    source = _spec(graph.tensors[graph.inputs[0]])
    if source.dtype != "float32":
        return source, targets
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        if code.builtinCode == schema.BuiltinOperator.QUANTIZE and op.inputs[0] == graph.inputs[0]:
            source = replace(source, affine=for_bytes(_spec(graph.tensors[op.outputs[0]])))
    return source, targets


def _spec(tensor: Any) -> TensorSpec:
    affine, q = None, tensor.quantization
    if q is not None and q.scale is not None and len(q.scale) == 1:
        affine = Affine(scale=(float(q.scale[0]),), zero_point=(int(q.zeroPoint[0]),))
    shape = tuple(int(size) for size in tensor.shape)
    return TensorSpec(name=tensor.name.decode(), shape=shape, dtype=_TYPES[tensor.type], affine=affine)


def attached_labels(path: Path) -> tuple[str, ...] | None:
    """The lines of the labels attached to a .tflite file as a zip: of labels.txt, or of the only text.

    None where nothing is attached, or several texts, none of which is called so. Raises `DataError`, in a line that
    names no file, for labels that cannot be read.
    """
    content = io.BytesIO(path.read_bytes())
    if not zipfile.is_zipfile(content):
        return None
    try:
        with zipfile.ZipFile(content) as archive:
            texts = {entry.filename: entry for entry in archive.infolist() if entry.filename.endswith(_LABELS_ENDING)}
            entry = texts.get(LABELS) or (next(iter(texts.values())) if len(texts) == 1 else None)
            if entry is None:
                return None
            text = archive.read(_bounded(entry)).decode("utf-8-sig").replace("\r\n", "\n")
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError, OSError) as error:
        raise DataError(f"its labels cannot be read: {error}") from None
    lines = text.rstrip("\n")  # empty lines at the end are no labels to anybody
    return tuple(lines.split("\n")) if lines else ()
