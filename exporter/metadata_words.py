"""Turns a description, and the tensors that go into a file and come out, into the words of its metadata, and back."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import numpy as np

from mbexport.artifact import TensorSpec, for_bytes
from mbexport.description import Description
from mbexport.label_file import LABELS
from mbexport.metadata_schema import (
    MIN_PARSER_VERSION,
    NORMALIZATION_OPTIONS,
    TENSOR_AXIS_LABELS,
    AssociatedFile,
    ColorSpace,
    Content,
    ContentProperties,
    ImageProperties,
    ImageSize,
    ModelMetadata,
    NormalizationOptions,
    ProcessUnit,
    Reader,
    Stats,
    SubGraphMetadata,
    TensorMetadata,
    Writer,
)

_COLOUR_SPACES: Final = {"RGB": ColorSpace.RGB, "GREY": ColorSpace.GRAYSCALE}
_LIMITS: Final = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}


def words(description: Description, source: TensorSpec, target: TensorSpec) -> bytes:
    """The flatbuffer of a file with the input `source` and the output `target`.

    `description` is that of this file: `as_fed_to(source)`.
    """
    writer = Writer()
    graph = writer.table(
        parts={
            SubGraphMetadata.INPUT_TENSOR_METADATA: writer.tables([_input(writer, description, source)]),
            SubGraphMetadata.OUTPUT_TENSOR_METADATA: writer.tables([_output(writer, description, target)]),
        }
    )
    texts: dict[IntEnum, str] = {
        ModelMetadata.NAME: description.name,
        ModelMetadata.DESCRIPTION: description.text,
        ModelMetadata.VERSION: description.version,
        ModelMetadata.AUTHOR: description.author,
        ModelMetadata.MIN_PARSER_VERSION: MIN_PARSER_VERSION,
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
        for field in SubGraphMetadata:
            for tensor in graph.tables(field):
                found |= _read_tensor(tensor, "input" if field is SubGraphMetadata.INPUT_TENSOR_METADATA else "output")
    return found


def _input(writer: Writer, description: Description, source: TensorSpec) -> int:
    # Blue first stays unknown: a client that took it for RGB would answer wrongly without a word; MediaPipe refuses.
    colour = _COLOUR_SPACES.get(description.colour, ColorSpace.UNKNOWN)
    size = writer.table(counts={ImageSize.WIDTH: description.px, ImageSize.HEIGHT: description.px})
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
    image = f"An image of {description.px} x {description.px} px, {description.colour}"
    if source.dtype == "uint8":
        return f"{image}: its bytes as they are."
    if source.dtype == "int8":
        return f"{image}: its bytes minus 128."
    maps = ", ".join(f"(b - {mean:.9g}) / {std:.9g}" for mean, std in description.channel_maps)
    each = "each byte b as" if len(description.channel_maps) == 1 else "each byte b, channel by channel, as"
    return f"{image}: {each} {maps}{_steps(source)}."


def _output_text(description: Description, target: TensorSpec) -> str:
    kind = {"softmax": "Probabilities that sum to 1", "sigmoid": "A probability for each class by itself"}
    return f"{kind.get(description.output.value, 'Logits, without limits')}{_steps(target)}."


def _steps(tensor: TensorSpec) -> str:
    if tensor.affine is None or tensor.dtype not in _LIMITS:
        return ""
    return f", real = {tensor.affine.scale[0]:.9g} * (code - {tensor.affine.zero_point[0]})"


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
    for unit in tensor.tables(TensorMetadata.PROCESS_UNITS):
        options = unit.table(ProcessUnit.OPTIONS)
        if unit.kind(ProcessUnit.OPTIONS_TYPE) == NORMALIZATION_OPTIONS and options is not None:
            found["normalization mean"] = " ".join(
                f"{value:.9g}" for value in options.floats(NormalizationOptions.MEAN)
            )
            found["normalization std"] = " ".join(f"{value:.9g}" for value in options.floats(NormalizationOptions.STD))
    return found
