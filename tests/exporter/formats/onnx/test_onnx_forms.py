"""Whole conversions in every form: layouts, opsets, batches, outputs and types keep a file's answers and kernels."""

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert.interpreter import Interpreter

from mbexport.artifact import OPSETS, Layout, OnnxForm, Precision
from mbexport.calibration.qat.fake_quant import fake_quantize
from mbexport.calibration.ranges.observe import observe
from mbexport.formats.onnx.convert import onnx_from_tflite
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

pytestmark = pytest.mark.run
PREPROCESS = Preprocess(resolution=Resolution.square(32))
PRECISIONS = (Precision.FP32, Precision.FP16, Precision.INT8)
TYPES = {"uint8": tf.uint8, "int8": tf.int8, "float32": tf.float32}
CONVOLUTIONS = 4
NCHW = OnnxForm(graph_name="mobilenet_v1", layout=Layout.NCHW)
Convert = Callable[..., bytes]


def images(channels: int) -> np.ndarray:
    """16 images of coarse blocks."""
    blocks = np.random.default_rng(0).integers(0, 256, (16, 4, 4, channels), dtype=np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


def network(channels: int) -> tf_keras.Model:
    """A folded network of four convolutions."""
    layers = tf_keras.layers
    x = image = layers.Input((32, 32, channels), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(x))
    x = layers.ReLU(6.0, name="depthwise_relu")(layers.DepthwiseConv2D(3, name="depthwise")(x))
    x = layers.ReLU(6.0, name="pointwise_relu")(layers.Conv2D(16, 1, name="pointwise")(x))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Reshape((10,), name="flat")(layers.Conv2D(10, 1, name="head")(x))
    built = tf_keras.Model(image, layers.Softmax(name="predictions")(x))
    rng = np.random.default_rng(0)
    built.set_weights([rng.normal(0, 2 / np.sqrt(max(w[..., 0].size, 1)), w.shape) for w in built.get_weights()])
    return built


@pytest.fixture(scope="module")
def networks() -> dict[tuple[str, int], tf_keras.Model]:
    """The float and the quantized network, for color and for grey images."""
    built: dict[tuple[str, int], tf_keras.Model] = {}
    for channels in (1, 3):
        folded = built["float", channels] = network(channels)
        ranges = observe(folded, [PREPROCESS.dequantize(images(channels))])
        scale, zero_point = PREPROCESS.input_scale, PREPROCESS.input_zero_point
        built["int8", channels] = fake_quantize(folded, ranges, input_scale=scale, input_zero_point=zero_point)
    return built


@pytest.fixture(scope="module")
def convert(networks) -> Convert:
    """Makes a .tflite: `io` is a type, or "float" for a float file; a batch of None is open."""
    made: dict[Any, bytes] = {}

    def converted(io: str = "uint8", *, batch: int | None = 1, channels: int = 3, is_logits: bool = False) -> bytes:
        key = io, batch, channels, is_logits
        if key not in made:
            model = networks["float" if io == "float" else "int8", channels]
            made[key] = _tflite(model, io, batch=batch, is_logits=is_logits)
        return made[key]

    return converted


def _tflite(model: tf_keras.Model, io: str, *, batch: int | None, is_logits: bool) -> bytes:
    head = next(layer for layer in model.layers if layer.name.endswith("head"))
    x = tf_keras.layers.Lambda(lambda scores: tf.reshape(scores, (-1, 10)))(head.output)  # no op asks for a shape
    whole = tf_keras.Model(model.input, x if is_logits else model.layers[-1](x))
    image = tf.TensorSpec((batch, *model.input_shape[1:]), tf.float32, name="image")
    function = tf.function(lambda image: {"scores": whole(image, training=False)}, input_signature=[image])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], whole)
    if io in TYPES:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = TYPES[io]
    return converter.convert()


def feeds(io: str, channels: int) -> np.ndarray:
    pixels = images(channels)
    if io == "int8":
        return (pixels.astype(np.int16) - 128).astype(np.int8)
    return {"uint8": pixels, "float32": PREPROCESS.dequantize(pixels), "float": PREPROCESS.normalize(pixels)}[io]


def answers(content: bytes, feed: np.ndarray, *, batch: int = 1) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    parts = np.split(np.ascontiguousarray(feed), len(feed) // batch)
    return np.concatenate([session.run(["scores"], {"image": part})[0] for part in parts])


def tflite_answers(content: bytes, feed: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], feed.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], feed)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def turned(feed: np.ndarray) -> np.ndarray:
    return feed.transpose(0, 3, 1, 2)


def executed(content: bytes, folder: Path) -> Counter[str]:
    """The ops that onnxruntime runs after its own optimization."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


def sizes(content: bytes) -> list[list[int | str]]:
    graph = onnx.load_from_string(content).graph
    ends = [*graph.input, *graph.output]
    return [[size.dim_param or size.dim_value for size in end.type.tensor_type.shape.dim] for end in ends]


@pytest.mark.parametrize(("io", "channels"), [*itertools.product(TYPES, [3]), ("float", 3), ("uint8", 1), ("float", 1)])
def test_the_layout_does_not_change_an_answer(convert, io, channels):
    precision = Precision.FP32 if io == "float" else Precision.INT8
    last, first = (
        onnx_from_tflite(convert(io, channels=channels), precision, form)
        for form in (OnnxForm(graph_name="mobilenet_v1"), NCHW)
    )
    assert sizes(last) == [[1, 32, 32, channels], [1, 10]]
    assert sizes(first) == [[1, channels, 32, 32], [1, 10]]
    assert not {"Transpose", "Reshape"} & {node.op_type for node in onnx.load_from_string(first).graph.node[:5]}
    expected = answers(last, feeds(io, channels))
    assert np.array_equal(answers(first, turned(feeds(io, channels))), expected)
    assert len({row.tobytes() for row in expected}) > 8


@pytest.mark.parametrize(("io", "layout", "is_logits"), list(itertools.product(TYPES, Layout, [False, True])))
def test_every_kernel_of_an_int8_file_computes_in_integers(convert, tmp_path, io, layout, is_logits):
    content = onnx_from_tflite(
        convert(io, is_logits=is_logits), Precision.INT8, OnnxForm(graph_name="mobilenet_v1", layout=layout)
    )
    ops = executed(content, tmp_path)
    assert ops["QLinearConv"] == CONVOLUTIONS
    assert ops["QLinearGlobalAveragePool"] == 1
    assert ops["QLinearSoftmax"] == (0 if is_logits else 1)
    assert not {"Conv", "FusedConv", "GlobalAveragePool", "Softmax", "Clip"} & set(ops)
    # int8 is requantized to uint8, and back; float32 is quantized at one end and read at the other.
    quantizations = {"uint8": (0, 0), "int8": (2, 2), "float32": (1, 1)}[io]
    assert (ops["QuantizeLinear"], ops["DequantizeLinear"]) == quantizations


@pytest.mark.parametrize("io", [*TYPES, "float"])
def test_logits_are_those_of_the_tflite_file(convert, io):
    tflite = convert(io, is_logits=True)
    content = onnx_from_tflite(
        tflite, Precision.FP32 if io == "float" else Precision.INT8, OnnxForm(graph_name="mobilenet_v1")
    )
    found, expected = answers(content, feeds(io, 3)), tflite_answers(tflite, feeds(io, 3))
    assert found.dtype == expected.dtype
    step = np.abs(expected).max() / 100 if expected.dtype == np.float32 else 1  # a code is a 255th of the range
    np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=step)
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert np.ptp(found.astype(float)) > 10 * step


@pytest.mark.parametrize("batch", [4, None])
@pytest.mark.parametrize(("io", "layout"), [("uint8", Layout.NHWC), ("int8", Layout.NCHW), ("float", Layout.NHWC)])
def test_a_batch_is_kept_and_answered_as_one_by_one(convert, tmp_path, io, layout, batch):
    precision, form = (
        Precision.FP32 if io == "float" else Precision.INT8,
        OnnxForm(graph_name="mobilenet_v1", layout=layout),
    )
    single, several = (onnx_from_tflite(convert(io, batch=given), precision, form) for given in (1, batch))
    assert [end[0] for end in sizes(several)] == [batch or "batch"] * 2
    feed = feeds(io, 3) if layout is Layout.NHWC else turned(feeds(io, 3))
    expected = answers(single, feed)
    for together in (4,) if batch else (1, 2, 16):
        np.testing.assert_allclose(answers(several, feed, batch=together), expected, atol=1e-6)
    assert executed(several, tmp_path) == executed(single, tmp_path)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_opset_gives_the_same_answers_and_kernels(convert, tmp_path, precision):
    io = "uint8" if precision is Precision.INT8 else "float"
    expected, kernels = None, None
    for opset in OPSETS:
        content = onnx_from_tflite(convert(io), precision, OnnxForm(graph_name="mobilenet_v1", opset=opset))
        model = onnx.load_from_string(content)
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
        # The first IR version of each opset: onnx/helper.py, VERSION_TABLE.
        assert model.ir_version == {19: 9, 20: 9, 21: 10, 22: 10, 23: 11}.get(opset, 8)
        found, ops = answers(content, feeds(io, 3)), executed(content, tmp_path)
        expected, kernels = (found, ops) if expected is None else (expected, kernels)
        assert np.array_equal(found, expected)
        assert ops == kernels


@pytest.mark.parametrize("precision", PRECISIONS)
def test_nothing_is_stored_twice_and_little_beside_the_weights(convert, precision):
    content = onnx_from_tflite(
        convert("uint8" if precision is Precision.INT8 else "float"), precision, OnnxForm(graph_name="mobilenet_v1")
    )
    graph = onnx.load_from_string(content).graph
    values = [(onnx.numpy_helper.to_array(tensor), tensor) for tensor in graph.initializer]
    # Zero points of weights are the exception: onnxruntime's exact kernels want them apart (decision 0014).
    shared = [value for value, _ in values if value.dtype != np.int8 or value.any()]
    assert len({(value.dtype.str, value.shape, value.tobytes()) for value in shared}) == len(shared)
    read = [name for node in graph.node for name in node.input]
    assert {tensor.name for _, tensor in values} <= set(read)
    assert [value.size for value, _ in values if value.dtype == np.int64] == [2]  # the shape of the scores
    assert not graph.value_info
    assert not graph.doc_string


def test_properties_are_read_back_by_onnxruntime(convert):
    properties = {"labels": "cat\ndog", "author": "Å", "empty": ""}
    made = [dict(properties), dict(reversed(properties.items()))]
    one, other = (
        onnx_from_tflite(convert(), Precision.INT8, OnnxForm(graph_name="mobilenet_v1", properties=given))
        for given in made
    )
    assert one == other
    meta = onnxruntime.InferenceSession(one, providers=["CPUExecutionProvider"]).get_modelmeta()
    assert meta.custom_metadata_map == properties
    assert (meta.producer_name, meta.graph_name, meta.domain, meta.description) == ("mbexport", "mobilenet_v1", "", "")
    assert [entry.key for entry in onnx.load_from_string(one).metadata_props] == ["author", "empty", "labels"]
