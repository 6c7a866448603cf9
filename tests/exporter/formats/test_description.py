"""What artifacts say of themselves: the numbers that are right for each type of input, and for ONNX."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from mbexport import __version__
from mbexport.artifact import TensorSpec
from mbexport.calibration.affine import Affine
from mbexport.errors import OptionError
from mbexport.formats.description import Description, onnx_properties
from mbexport.formats.registry import open_runner
from mbexport.models.facts import Output
from mbexport.models.preprocess import CAFFE, NORMALIZATIONS, Preprocess
from mbexport.models.resolution import Resolution

PLAIN = Description(
    name="net",
    text="A network.",
    labels=("cat", "dog"),
    resolution=Resolution.square(4),
    channels=3,
    mean=(127.5,),
    std=(127.5,),
    output=Output.SOFTMAX,
)
BLUE_FIRST = replace(PLAIN, mean=CAFFE.mean, std=CAFFE.std, is_bgr=True)


def source(dtype: str, scale: float | None = None, zero_point: int = 0) -> TensorSpec:
    affine = None if scale is None else Affine(scale=(scale,), zero_point=(zero_point,))
    return TensorSpec(name="image", shape=(1, 4, 4, 3), dtype=dtype, affine=affine)


def numbers(description: Description) -> tuple[object, ...]:
    return description.mean, description.std, description.is_bgr


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (source("float32"), ((127.5,), (127.5,), False)),
        # Bytes: the codes' zero point is half a step off the mean, which the first bias takes up.
        (source("uint8", 1 / 127.5, 128), ((127.5,), (127.5,), False)),
        (source("int8", 1 / 127.5, 0), ((127.5,), (127.5,), False)),
        # A float input that is quantized first thing must land in the middle of each code.
        (source("float32", 0.5, 128), ((128.0,), (2.0,), False)),
        # No byte is a code of 16 bits: such a file takes what a float network does.
        (source("int16", 1 / 32767, 0), ((127.5,), (127.5,), False)),
    ],
)
def test_each_type_of_input_has_its_own_numbers(given_, expected):
    assert numbers(PLAIN.as_fed_to(given_)) == expected


@pytest.mark.parametrize(("given_", "zero_point"), [(source("uint8", 1.0, 114), 114), (source("int8", 1.0, -14), 114)])
def test_integer_files_of_other_colours_take_plain_bytes(given_, zero_point):
    # Blue first and a mean for each channel are in their first weights.
    assert numbers(BLUE_FIRST.as_fed_to(given_)) == ((float(zero_point),), (1.0,), False)
    assert numbers(BLUE_FIRST.as_fed_to(source("float32"))) == (CAFFE.mean, CAFFE.std, True)


@pytest.mark.parametrize(("scale", "zero_point"), [(1 / 127.5, 127), (1 / 127, 128), (1.0, 0), (1 / 255, 0)])
def test_a_byte_input_of_other_codes_has_the_numbers_of_these(scale, zero_point):
    expected = PLAIN if zero_point == 127 else replace(PLAIN, mean=(float(zero_point),), std=(1 / scale,))
    assert numbers(PLAIN.as_fed_to(source("uint8", scale, zero_point))) == numbers(expected)


@given(st.floats(1e-4, 10), st.integers(0, 255), st.sampled_from([PLAIN, BLUE_FIRST]))
def test_a_float_input_that_is_quantized_first_gets_each_byte_on_its_code(scale, zero_point, description):
    scale = float(np.float32(scale))
    fed = description.as_fed_to(source("float32", scale, zero_point))
    pixels = np.arange(256, dtype=np.float32)
    real = (pixels - np.float32(fed.mean[0])) / np.float32(fed.std[0])
    assert np.abs(real / np.float32(scale) + zero_point - pixels).max() < 0.01


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_what_uint8_files_say_gives_them_their_bytes_back(name):
    """As clients do that know the schema: normalize, then quantize, then cut off what is behind the point."""
    norm = NORMALIZATIONS[name]
    preprocess = Preprocess(resolution=Resolution.square(4), normalization=norm)
    scale, zero_point = preprocess.input_scale, preprocess.input_zero_point
    given_ = replace(PLAIN, mean=norm.mean, std=norm.std, is_bgr=norm.is_bgr)
    fed = given_.as_fed_to(source("uint8", scale, zero_point))
    pixels = np.arange(256, dtype=np.float64)
    codes = (pixels - fed.mean[0]) / fed.std[0] / scale + zero_point
    assert np.array_equal(np.floor(codes + 1e-6).clip(0, 255), pixels)


@given(st.lists(st.floats(-500, 500), min_size=1, max_size=1) | st.lists(st.floats(-500, 500), min_size=3, max_size=3))
def test_channels_that_are_alike_are_told_once(mean):
    maps = replace(PLAIN, mean=tuple(mean)).channel_maps
    assert len(maps) == (1 if len(set(mean)) == 1 else 3)
    assert [pair[0] for pair in maps] == mean[: len(maps)]
    assert {pair[1] for pair in maps} == {127.5}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": ("cat\ndog",)}, "a label must be one line, got 'cat\\\\ndog'"),
        ({"labels": ("cat\r",)}, "a label must be one line"),
        ({"channels": 0}, "1 to 4 channels, got 0"),
        ({"channels": 5}, "1 to 4 channels, got 5"),
        ({"mean": (1.0, 2.0)}, "mean and std must be 1 or 3 numbers"),
        ({"channels": 1, "std": (1.0, 2.0, 3.0)}, "mean and std must be 1 or 1 numbers"),
        ({"mean": (float("nan"),)}, "mean must be finite"),
        ({"std": (0.0,)}, "std must be positive"),
        ({"std": (float("nan"),)}, "std must be positive"),
    ],
)
def test_what_no_network_expects_is_refused(changed, message):
    with pytest.raises(OptionError, match=message):
        replace(PLAIN, **changed)


def test_onnx_files_say_the_same_in_properties():
    found = onnx_properties(replace(BLUE_FIRST, licence="MIT"), layout="NHWC", versions={"numpy": "2", "onnx": "1"})
    assert found == {
        "name": "net",
        "description": "A network.",
        "version": __version__,
        "author": "mbexport",
        "labels": '["cat", "dog"]',
        "input.layout": "NHWC",
        "input.colour": "BGR",
        "normalization.mean": "[103.939, 116.779, 123.68]",
        "normalization.std": "[1.0, 1.0, 1.0]",
        "output": "softmax",
        "tool.numpy": "2",
        "tool.onnx": "1",
        "license": "MIT",
    }


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"))))
def test_labels_come_back_from_the_properties(labels):
    found = onnx_properties(replace(PLAIN, labels=tuple(labels)), layout="NHWC", versions={})
    assert json.loads(found["labels"]) == labels
    assert "license" not in found


def test_onnxruntime_shows_the_properties(tmp_path):
    ends = [helper.make_tensor_value_info(*end) for end in (("image", 1, [1, 4, 4, 3]), ("scores", 1, [1, 48]))]
    graph = helper.make_graph([helper.make_node("Flatten", ["image"], ["scores"])], "tiny", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    properties = onnx_properties(replace(PLAIN, labels=("Känguru",)), layout="NHWC", versions={"numpy": "2"})
    helper.set_model_props(model, properties)
    onnx.save(model, str(tmp_path / "tiny.onnx"))
    assert open_runner(tmp_path / "tiny.onnx").metadata().items() >= properties.items()


def test_a_description_is_light():
    code = "import sys, mbexport.formats.description; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "onnx", "onnxruntime", "ai_edge_litert", "PIL"} & set(done.stdout.split())
