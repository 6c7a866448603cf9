"""Core ML packages written byte by byte, without coremltools: of a classifier with one convolution of 1 x 1."""

import struct
from typing import Any

import numpy as np

from mbexport.formats.coreml.package import MANIFEST, MODEL, WEIGHTS, manifest_of
from mbexport.formats.description import Description
from mbexport.models.facts import Output
from mbexport.models.resolution import Resolution

TYPES = {"str": 2, "float16": 10, "float32": 11, "int8": 21, "int32": 23}
LABELS = ("cat", "dog")
KERNEL = np.array([[0.5, -0.25, 0.125], [-1.0, 0.75, 0.5]], np.float32).reshape(2, 3, 1, 1)
BIAS = np.array([0.25, -0.5], np.float32)
SIDE = 2  # pixels
ASKED = Description(
    name="net",
    text="a network",
    labels=LABELS,
    resolution=Resolution.square(SIDE),
    channels=3,
    mean=(127.5,),
    std=(127.5,),
    output=Output.SOFTMAX,
)


def varint(value: int) -> bytes:
    """A whole number as the wire has it; a negative one in 64 bits."""
    value &= (1 << 64) - 1
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def whole(number: int, value: int) -> bytes:
    """A field with a whole number."""
    return varint(number << 3) + varint(value)


def chunk(number: int, content: bytes | str) -> bytes:
    """A field with bytes, a text or a message."""
    raw = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def entry(number: int, name: str, message: bytes) -> bytes:
    """An entry of a map."""
    return chunk(number, chunk(1, name) + chunk(2, message))


def value_type(dtype: str, shape: tuple[int, ...]) -> bytes:
    """A ValueType of a tensor."""
    sizes = b"".join(chunk(3, chunk(1, whole(1, size))) for size in shape)
    return chunk(1, whole(1, TYPES[dtype]) + whole(2, len(shape)) + sizes)


def immediate(values: Any, dtype: str) -> bytes:
    """A Value whose numbers or texts stand in the program."""
    array = np.array(values, object if dtype == "str" else dtype)
    if dtype == "str":
        tensor = chunk(4, b"".join(chunk(1, text) for text in array.reshape(-1)))
    elif dtype == "float32":
        tensor = chunk(1, chunk(1, array.astype("<f4").tobytes()))
    elif dtype == "float16":
        tensor = chunk(7, chunk(1, array.astype("<f2").tobytes()))
    else:
        tensor = chunk(2, chunk(1, b"".join(varint(int(each)) for each in array.reshape(-1))))
    return chunk(2, value_type(dtype, array.shape)) + chunk(3, chunk(1, tensor))


class Weights:
    """A file of weights to which blobs are added."""

    def __init__(self) -> None:
        self.content = bytearray(struct.pack("<II", 0, 2).ljust(64, b"\0"))

    def blob(self, array: np.ndarray) -> bytes:
        """A Value that lies in the file."""
        offset, raw = len(self.content), array.tobytes()
        header = struct.pack("<IIQQ", 0xDEADBEEF, 1, len(raw), offset + 64)
        self.content += header.ljust(64, b"\0") + raw.ljust(-(-len(raw) // 64) * 64, b"\0")
        return chunk(2, value_type(str(array.dtype), array.shape)) + chunk(5, chunk(1, "weight.bin") + whole(2, offset))


def operation(
    kind: str, name: str, dtype: str, shape: tuple[int, ...], inputs: dict[str, str], *, attributes: bytes = b""
) -> bytes:
    """An Operation with one output, whose inputs are tensors by name."""
    read = b"".join(entry(2, each, chunk(1, chunk(1, given))) for each, given in inputs.items())
    return chunk(1, kind) + read + chunk(3, chunk(1, name) + chunk(2, value_type(dtype, shape))) + attributes


def constant(name: str, value: bytes, dtype: str, shape: tuple[int, ...]) -> bytes:
    """An Operation that gives the numbers of a Value."""
    return operation("const", name, dtype, shape, {}, attributes=entry(5, "val", value))


def files_by_hand(
    *,
    kernel: np.ndarray = KERNEL,
    bias: np.ndarray = BIAS,
    codes: tuple[np.ndarray, np.ndarray] | None = None,
    labels: tuple[str, ...] = LABELS,
    scale: float = 1 / 127.5,
    offset: float = -1.0,
    colour: int = 20,
    specification: int = 6,
    ending: str = "softmax",
    extra: bytes = b"",
) -> dict[str, bytes]:
    """The files of a package: image, scale and offset, a convolution, its mean over the image, and an ending.

    `codes` are int8 codes and float16 scales in the place of the kernel; `extra` is an operation before the ending.
    """
    weights, classes = Weights(), len(kernel)
    image, maps = (1, 3, SIDE, SIDE), (1, classes, SIDE, SIDE)
    lines = [
        constant("scale", immediate(scale, "float32"), "float32", ()),
        constant("offset", immediate([[[[offset]]] * 3], "float32"), "float32", (1, 3, 1, 1)),
        operation("mul", "scaled", "float32", image, {"x": "image", "y": "scale"}),
        operation("add", "biased", "float32", image, {"x": "scaled", "y": "offset"}),
        constant("half", immediate("fp16", "str"), "str", ()),
        operation("cast", "halves", "float16", image, {"x": "biased", "dtype": "half"}),
        _kernel(weights, kernel, codes),
        constant("bias", weights.blob(bias.astype(np.float16)), "float16", bias.shape),
        operation("conv", "conv", "float16", maps, {"x": "halves", "weight": "kernel", "bias": "bias"}),
        constant("axes", immediate([2, 3], "int32"), "int32", (2,)),
        operation("reduce_mean", "mean", "float16", (1, classes), {"x": "conv", "axes": "axes"}),
        *([extra] if extra else []),
        operation(ending, "scores", "float16", (1, classes), {"x": "mean"}),
        operation("cast", "floats", "float32", (1, classes), {"x": "scores"}),
        _classify("floats", labels),
    ]
    block = b"".join(chunk(3, line) for line in lines) + chunk(2, "classLabel") + chunk(2, "classLabel_probs")
    function = chunk(2, "CoreML5") + entry(3, "CoreML5", block)
    program = whole(1, 1) + entry(2, "main", function)
    model = whole(1, specification) + chunk(2, _description(colour)) + chunk(502, program)
    return {MANIFEST: manifest_of(model), MODEL: model, WEIGHTS: bytes(weights.content)}


def _kernel(weights: Weights, kernel: np.ndarray, codes: tuple[np.ndarray, np.ndarray] | None) -> bytes:
    if codes is None:
        return constant("kernel", weights.blob(kernel.astype(np.float16)), "float16", kernel.shape)
    stored, scales = codes
    attributes = entry(5, "quantized_data", weights.blob(stored)) + entry(5, "scale", weights.blob(scales))
    attributes += entry(5, "zero_point", weights.blob(np.zeros(len(scales), np.int8)))
    attributes += entry(5, "axis", immediate(0, "int32"))
    return operation("constexpr_affine_dequantize", "kernel", "float16", stored.shape, {}, attributes=attributes)


def _classify(scores: str, labels: tuple[str, ...]) -> bytes:
    rows = b"".join(chunk(1, immediate(label, "str")) for label in labels)
    classes = chunk(2, chunk(3, chunk(3, rows)))
    read = entry(2, "probabilities", chunk(1, chunk(1, scores))) + entry(2, "classes", chunk(1, classes))
    given = b"".join(chunk(3, chunk(1, name)) for name in ("classLabel", "classLabel_probs"))
    return chunk(1, "classify") + read + given


def _description(colour: int) -> bytes:
    image = chunk(1, chunk(1, "image") + chunk(3, chunk(4, whole(1, SIDE) + whole(2, SIDE) + whole(3, colour))))
    given = b"".join(chunk(10, chunk(1, name)) for name in ("classLabel", "classLabel_probs"))
    words = chunk(1, "a network") + chunk(3, "mbexport") + entry_text("mbexport.name", "net")
    return image + given + chunk(11, "classLabel") + chunk(12, "classLabel_probs") + chunk(100, words)


def entry_text(name: str, text: str) -> bytes:
    """An entry of the metadata's own."""
    return chunk(100, chunk(1, name) + chunk(2, text))
