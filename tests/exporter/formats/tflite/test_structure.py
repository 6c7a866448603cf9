"""What is checked of a .tflite file before any runtime sees it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.tflite.file import opened, packed
from mbexport.formats.tflite.structure import require_sound

UINT8 = tflite_of("float32", codes="uint8", affine=Affine(scale=(1 / 255,), zero_point=(0,)))
ODD = (-1, -2, 99, 2**31 - 1, -(2**31))
Change = Callable[[Any], object]


def changed(change: Change) -> bytes:
    """The quantizing file by hand: tensors 0..3 of the ops QUANTIZE, RESHAPE, DEQUANTIZE, then the constant sizes."""
    model = opened(UINT8)
    change(model)
    return packed(model)


def tensor(index: int, **fields: Any) -> Change:
    def change(model: Any) -> None:
        for name, value in fields.items():
            target = model.subgraphs[0].tensors[index]
            if name in ("scale", "zeroPoint", "quantizedDimension"):
                target = target.quantization
            setattr(target, name, value)

    return change


def op(index: int, **fields: Any) -> Change:
    def change(model: Any) -> None:
        for name, value in fields.items():
            setattr(model.subgraphs[0].operators[index], name, value)

    return change


def graph(**fields: Any) -> Change:
    return lambda model: [setattr(model.subgraphs[0], name, value) for name, value in fields.items()]


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def longs(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def convolution(kind: str, options: Any) -> Change:
    """The first op as one of that kind; None leaves its options out."""

    def change(model: Any) -> None:
        model.operatorCodes[0].builtinCode = getattr(schema.BuiltinOperator, kind)
        model.operatorCodes[0].deprecatedBuiltinCode = model.operatorCodes[0].builtinCode
        first = model.subgraphs[0].operators[0]
        name = {"CONV_2D": "Conv2DOptions", "AVERAGE_POOL_2D": "Pool2DOptions"}[kind]
        first.builtinOptionsType = getattr(schema.BuiltinOptions, name) if options else 0
        first.builtinOptions = getattr(schema, f"{name}T")() if options else None
        for field, value in (options or {}).items():
            setattr(first.builtinOptions, field, value)

    return change


FAULTS: list[tuple[Change, str]] = [
    (tensor(1, scale=floats(0)), "tensor 1 (.*): its scales must be finite and positive, got 0"),
    (tensor(1, scale=floats(math.nan)), "its scales must be finite and positive, got nan"),
    (tensor(1, scale=floats(-1)), "its scales must be finite and positive, got -1"),
    (tensor(2, scale=floats(math.inf)), "its scales must be finite and positive, got inf"),
    (tensor(1, zeroPoint=longs(256)), "its zero points must be from 0 to 255, got 256"),
    (tensor(1, zeroPoint=longs(0, 0)), "must have a zero point for each of 1 scales, got 2"),
    (tensor(1, scale=floats(1, 1), zeroPoint=longs(0, 0), quantizedDimension=3), "a scale for each of 3 channels"),
    (tensor(1, scale=floats(1, 1), zeroPoint=longs(0, 0), quantizedDimension=4), "the axis of its scales must be"),
    (tensor(0, shape=ints(1, -2, 2, 3)), r"its shape must have no negative side, got \[1, -2, 2, 3\]"),
    (tensor(0, shape=ints(1 << 16, 1 << 16, 1 << 16, 3)), "it must take at most 1073741824 bytes"),
    (tensor(4, shape=ints(3)), "its data must take 12 bytes for the shape"),
    (tensor(0, buffer=99), "its buffer must be one of 2, got number 99"),
    (tensor(0, type=99), "its type must be known, got number 99"),
    (graph(inputs=ints(77)), "an input or output must be one of 5, got number 77"),
    (graph(outputs=ints(-1)), "an input or output must be one of 5, got number -1"),
    (op(0, inputs=ints(-2)), r"op 0 \(QUANTIZE\): its input must be one of 5, got number -2"),
    (op(2, outputs=ints(-1)), r"op 2 \(DEQUANTIZE\): its output must be one of 5, got number -1"),
    (op(0, opcodeIndex=9), "the code of op 0 must be one of 3, got number 9"),
    (op(0, inputs=ints(3)), "its input, tensor 3, must be there before it"),
    (op(0, outputs=ints(4)), "its output, tensor 4, must be no constant"),
    (op(2, outputs=ints(2)), "its output, tensor 3, must be made by an op"),
    (op(0, intermediates=ints(50)), "its intermediate tensor must be one of 5, got number 50"),
    (lambda model: setattr(model.operatorCodes[0], "builtinCode", 9999), "must be those of TensorFlow Lite"),
    (lambda model: setattr(model, "version", 7), "its version must be 3, got 7"),
    (lambda model: setattr(model, "subgraphs", []), "it must hold a network, got none"),
    (
        lambda model: setattr(model.signatureDefs[0].inputs[0], "tensorIndex", 60),
        "the tensor of a signature must be one of 5, got number 60",
    ),
    (
        lambda model: setattr(model.signatureDefs[0], "subgraphIndex", 3),
        "the network of a signature must be one of 1, got number 3",
    ),
    (
        lambda model: setattr(model, "externalBuffers", [schema.ExternalBufferT()]),
        "it keeps weights in other files",
    ),
    (convolution("CONV_2D", None), r"op 0 \(CONV_2D\): it must have Conv2DOptions, got None"),
    (convolution("CONV_2D", {"strideW": 0, "strideH": 1}), "its strideW must be at least 1, got 0"),
    (convolution("CONV_2D", {"strideW": 1, "strideH": 1, "dilationHFactor": 0}), "its dilationHFactor must be"),
    (
        convolution("AVERAGE_POOL_2D", {"strideW": 1, "strideH": 1, "filterWidth": -1, "filterHeight": 1}),
        "its filterWidth must be at least 1, got -1",
    ),
]


def test_files_by_hand_are_sound() -> None:
    require_sound(UINT8)
    require_sound(tflite_of("float32"))


@pytest.mark.parametrize(("change", "said"), FAULTS, ids=[said[-40:] for _, said in FAULTS])
def test_a_fault_is_one_line_that_says_where(change: Change, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        require_sound(changed(change))
    assert "\n" not in str(caught.value)


def test_an_optional_input_that_is_left_out_is_no_fault() -> None:
    require_sound(changed(op(0, inputs=ints(0, -1))))


def test_the_scale_of_a_sum_may_be_zero() -> None:
    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = floats(0), longs(0)
    require_sound(changed(tensor(4, quantization=quantization)))


def test_what_is_no_tflite_is_refused() -> None:
    for content in (b"", b"TFL3", b"\0" * 4 + b"TFL3", b"\xff" * 4 + b"TFL3" + b"\0" * 99, UINT8[:-200], UINT8[:40]):
        with pytest.raises(DataError) as caught:
            require_sound(content)
        assert "\n" not in str(caught.value)


def line_of(content: bytes) -> str:
    """Why the file is refused; empty if it is not."""
    try:
        require_sound(content)
    except DataError as error:
        return str(error)
    return ""


@given(st.integers(0, len(UINT8) - 1), st.integers(0, 255))
def test_any_byte_may_be_another(at: int, byte: int) -> None:
    content = bytearray(UINT8)
    content[at] = byte
    assert "\n" not in line_of(bytes(content))


@given(st.sampled_from(["inputs", "outputs"]), st.integers(0, 2), st.sampled_from(ODD))
def test_no_odd_index_is_taken_for_a_tensor(end: str, place: int, index: int) -> None:
    wanted = {"inputs": (0, 1, 2), "outputs": (1, 2, 3)}[end][place]
    if index != wanted and not (end == "inputs" and index == -1):
        with pytest.raises(DataError):
            require_sound(changed(op(place, **{end: ints(index)})))
