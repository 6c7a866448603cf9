"""The one form of a .tflite file: aligned, named in order, with nothing twice, and the same network as before."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import example, given
from hypothesis import strategies as st
from tflite_by_hand import model_of, note, op_of, tensor_of, tflite_of

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.tflite.file import IDENTIFIER, canonicalize, metadata_buffer, min_runtime_version, opened, packed

CHANNELS = 100
PER_CHANNEL = Affine(scale=tuple(np.linspace(0.5, 1, CHANNELS)), zero_point=(0,) * CHANNELS, axis=0)


def convolutions() -> Any:
    """Two convolutions and a depthwise one, by name and number alone: image 0, scores 8."""
    graph = schema.SubGraphT()
    kinds = ["CONV_2D", "DEPTHWISE_CONV_2D", "SOFTMAX"]
    graph.tensors = [tensor_of(f"x/y;z/{index}", "float32", (1,)) for index in range(11)]
    inputs = [(0, 1, 2), (3, 4, 5), (6, 1, 7), (8,)]
    outputs, codes = [3, 6, 8, 9], [0, 1, 0, 2]
    graph.operators = [op_of(code, 0, output) for code, output in zip(codes, outputs, strict=True)]
    for op, indices in zip(graph.operators, inputs, strict=True):
        op.inputs = np.array(indices, np.int32)
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([9], np.int32)
    return model_of(graph, kinds, [None])


def with_tensors(count: int) -> Any:
    """A model with so many tensors of the same 100 zero points, and scales of their own."""
    graph = schema.SubGraphT()
    graph.tensors = [tensor_of("t", "int8", (CHANNELS,), affine=PER_CHANNEL) for _ in range(count)]
    for place, tensor in enumerate(graph.tensors):
        tensor.quantization.scale = tensor.quantization.scale + np.float32(place)
    graph.inputs = graph.outputs = np.array([0], np.int32)
    graph.operators = []
    return model_of(graph, [], [None])


def with_contents(contents: list[bytes | None], users: list[int]) -> Any:
    graph = schema.SubGraphT()
    graph.tensors = [tensor_of(str(place), "uint8", (1,), buffer=buffer) for place, buffer in enumerate(users)]
    graph.inputs = graph.outputs = np.array([0], np.int32)
    graph.operators = []
    return model_of(graph, [], contents)


def data_of(model: Any) -> list[bytes | None]:
    """What each tensor's buffer holds."""
    found = [model.buffers[tensor.buffer].data for tensor in model.subgraphs[0].tensors]
    return [None if data is None else bytes(data) for data in found]


def names(model: Any) -> list[str]:
    return [tensor.name.decode() for tensor in model.subgraphs[0].tensors]


def test_tensors_are_named_by_the_first_op_that_makes_or_takes_them():
    model = convolutions()
    canonicalize(model)
    assert names(model) == [
        *("image", "conv_1/weight", "conv_1/bias", "conv_1", "depthwise_1/weight", "depthwise_1/bias", "depthwise_1"),
        *("conv_2/bias", "conv_2", "scores", "unused_10"),
    ]


def test_without_signatures_the_ends_keep_their_names():
    model = convolutions()
    model.signatureDefs = None
    canonicalize(model)
    assert (names(model)[0], names(model)[9]) == ("x/y;z/0", "x/y;z/9")


def test_weights_that_are_turned_into_floats_first_are_named_by_who_takes_them():
    model = convolutions()
    graph = model.subgraphs[0]
    graph.operators = [op_of(1, 10, 1), *graph.operators]  # 1 is the weight of conv_1
    canonicalize(model)
    assert (names(model)[1], names(model)[10]) == ("conv_1/weight", "conv_1/weight/stored")


def test_equal_vectors_are_stored_once():
    # A tensor more costs its own scales (404 bytes), and tables of less than 100 bytes; not the zero points (804).
    sizes = [len(packed(with_tensors(count))) for count in (2, 3)]
    assert 404 <= sizes[1] - sizes[0] <= 404 + 100
    zero_points = np.zeros(CHANNELS, np.int64).tobytes()
    assert packed(with_tensors(3)).count(zero_points) == 1


def test_equal_strings_are_stored_once():
    assert packed(with_tensors(3)).count(b"\x01\0\0\0t\0") == 1


def test_the_note_on_the_conversion_goes_and_the_runtime_version_stays():
    model = opened(tflite_of("uint8"))
    note(model, b"CONVERSION_METADATA", b"2.21.0 and a hash")
    note(model, b"min_runtime_version", b"1.14.0" + bytes(10))
    canonicalize(model)
    assert [entry.name for entry in model.metadata] == [b"min_runtime_version"]
    assert b"hash" not in packed(model)
    assert min_runtime_version(opened(packed(model))) == "1.14.0"


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("int16", "1.6.0", "2.3.0"),  # what the converter says of int16x8 is from before its quantization
        ("int16", "2.10.0", "2.10.0"),
        ("int8", "1.14.0", "1.14.0"),
    ],
)
def test_sixteen_bits_need_a_later_runtime(kind, said, expected):
    model = convolutions()
    model.subgraphs[0].tensors[8].type = getattr(schema.TensorType, kind.upper())
    note(model, b"min_runtime_version", said.encode().ljust(16, b"\0"))
    canonicalize(model)
    assert min_runtime_version(model) == expected


def test_a_file_may_say_nothing_of_its_runtime():
    model = opened(tflite_of("uint8"))
    assert (min_runtime_version(model), metadata_buffer(model, b"anything")) == (None, None)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x1c\0\0\0ONNX" + bytes(40)])
def test_what_is_no_tflite_file_is_refused(content):
    with pytest.raises(DataError, match="must be marked TFL3, got b"):
        opened(content)


CONTENTS = st.lists(st.none() | st.binary(max_size=40), min_size=1, max_size=6)


@given(CONTENTS.flatmap(lambda held: st.tuples(st.just(held), st.lists(st.integers(0, len(held) - 1), min_size=1))))
@example(([b"12345678 one", b"12345678 other", None, b""], [0, 1, 1, 2, 3]))
def test_data_is_shared_aligned_and_the_same(case):
    contents, users = case
    model = with_contents([None, *contents], [user + 1 for user in users])
    before = data_of(model)
    canonicalize(model)
    content = packed(model)
    read = opened(content)
    assert data_of(read) == before
    assert len(read.buffers) == 1 + len({held for held in before if held is not None})
    assert read.buffers[0].data is None
    root = schema.Model.GetRootAs(content, 0)
    for index in range(root.BuffersLength()):
        buffer = root.Buffers(index)
        if buffer.DataLength():
            assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0  # Buffer.data is its first field


@given(CONTENTS, st.lists(st.floats(0.015625, 10, width=32), min_size=1, max_size=5))
def test_packing_is_undone_by_opening_and_done_again_alike(contents, scales):
    model = with_contents([None, *contents], list(range(len(contents) + 1)))
    model.subgraphs[0].tensors[0].quantization = schema.QuantizationParametersT()
    model.subgraphs[0].tensors[0].quantization.scale = np.array(scales, np.float32)
    content = packed(model)
    read = opened(content)
    assert content[4:8] == IDENTIFIER
    assert read.subgraphs[0].tensors[0].quantization.scale.tolist() == np.float32(scales).tolist()
    assert data_of(read) == [None, *contents]
    assert packed(read) == content


def answers(content: bytes, pixels: np.ndarray) -> list[np.ndarray]:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for image in pixels:
        feed = image if source["dtype"] == np.uint8 else image.astype(np.float32) / 127.5 - 1
        interpreter.set_tensor(source["index"], feed[None].astype(source["dtype"]))
        interpreter.invoke()
        found.append(interpreter.get_tensor(target["index"]).copy())
    return found


def canonical(path: Path) -> bytes:
    model = opened(path.read_bytes())
    canonicalize(model)
    return packed(model)


@pytest.mark.parametrize("kind", ["int8", "fp32"])
def test_a_build_answers_the_same_bit_for_bit_from_fewer_bytes(small_build, kind):
    path = next(small_build.glob(f"*_{kind}.tflite"))
    content = canonical(path)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    before, after = answers(path.read_bytes(), pixels), answers(content, pixels)
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert len({one.tobytes() for one in after}) > 1
    assert len(content) <= path.stat().st_size
    signatures = Interpreter(model_content=content).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["image"], "outputs": ["scores"]}}
    assert {"image", "conv_1/weight", "conv_1", "depthwise_13/bias", "scores"} <= set(names(opened(content)))
    model = opened(content)
    canonicalize(model)
    assert packed(model) == content
