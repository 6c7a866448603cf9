"""Whether all kernels make the same integers of one file: by hand where two rules part, and on whole networks.

What is asserted here is what docs/decisions/0014-kernel-paths.md says.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import helper, numpy_helper

from mbexport.formats.kernels import Arithmetic
from mbexport.formats.onnx.runner import cuts_sums, session_options
from mbexport.formats.registry import kernels_of
from mbexport.formats.tflite.runner import TfliteRunner
from mbexport.models.data.open import iter_pixels, open_data
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

pytestmark = pytest.mark.filterwarnings("ignore:.*preserve_all_tensors")

XNNPACK = OpResolverType.AUTO
BUILTIN = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
REFERENCE = OpResolverType.BUILTIN_REF
LITERT = {"xnnpack": XNNPACK, "builtin": BUILTIN, "reference": REFERENCE}
OPTIMIZED = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
UNOPTIMIZED = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
EXACT = "session.x64quantprecision"
Types = schema.TensorType

# The answers alike at least, and the codes of the logits apart at most, of XNNPACK and of the path named.
LIMITS = {"onnxruntime": (0.998, 2), "builtin": (0.96, 8), "reference": (0.96, 8), "unoptimized": (0.97, 4)}


@pytest.fixture
def one_op(tmp_path) -> Callable[..., Path]:
    """Writes a .tflite of one op; a tensor is its type, shape, scale, zero point and values if it is a constant."""

    def write(op: int, options: Any, option_type: int, tensors: list[tuple[Any, ...]]) -> Path:
        model, graph = schema.ModelT(), schema.SubGraphT()
        model.buffers, graph.tensors = [schema.BufferT()], []
        for place, (kind, shape, scale, zero_point, values) in enumerate(tensors):
            tensor = schema.TensorT()
            tensor.name, tensor.type, tensor.shape = f"t{place}".encode(), kind, shape
            tensor.buffer = len(model.buffers)
            if scale:
                tensor.quantization = schema.QuantizationParametersT()
                tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
            buffer = schema.BufferT()
            buffer.data = None if values is None else np.frombuffer(values.tobytes(), np.uint8)
            model.buffers.append(buffer)
            graph.tensors.append(tensor)
        code, node = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = op
        code.version = 2 if op == schema.BuiltinOperator.MEAN else 4
        node.inputs, node.outputs = [*range(len(tensors) - 1)], [len(tensors) - 1]
        node.builtinOptions, node.builtinOptionsType = options, option_type
        graph.operators, graph.inputs, graph.outputs = [node], [0], node.outputs
        model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
        path = tmp_path / "one.tflite"
        path.write_bytes(packed(model))
        return path

    return write


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture
def convolution(one_op) -> Callable[..., Path]:
    """A convolution of one pixel with three channels in and two out, weights 1."""

    def write(data: int, weights: int, bias: int, *, output_scale: float = 1.0) -> Path:
        options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = 1
        kernel = np.ones((2, 1, 1, 3), np.float32 if weights == Types.FLOAT32 else np.int8)
        zeros = np.zeros(2, {Types.FLOAT32: np.float32, Types.INT32: np.int32, Types.INT64: np.int64}[bias])
        scale = 0.0 if data == Types.FLOAT32 else 1.0
        tensors = [
            (data, [1, 1, 1, 3], scale, 0, None),
            (weights, [2, 1, 1, 3], 0.0 if weights == Types.FLOAT32 else 1.0, 0, kernel),
            (bias, [2], scale, 0, zeros),
            (data, [1, 1, 1, 2], scale * output_scale, 0, None),
        ]
        return one_op(schema.BuiltinOperator.CONV_2D, options, schema.BuiltinOptions.Conv2DOptions, tensors)

    return write


def in_litert(path: Path, feed: Any, resolver: OpResolverType) -> np.ndarray:
    interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], feed)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def in_onnxruntime(total: int, *, multiplier: float) -> int:
    """The code that onnxruntime's convolution makes of a sum."""
    scalar = {"one": np.float32(1), "small": np.float32(1 / multiplier), "zero": np.uint8(128), "none": np.int8(0)}
    weights = numpy_helper.from_array(np.ones((1, 1, 1, 1), np.int8), "w")
    names = ["x", "one", "zero", "w", "one", "none", "small", "zero"]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, (1, 1, 1, 1)) for name in "xy"]
    constants = [weights, *(numpy_helper.from_array(np.asarray(value), name) for name, value in scalar.items())]
    graph = helper.make_graph([helper.make_node("QLinearConv", names, ["y"])], "one", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return int(session.run(None, {"x": np.full((1, 1, 1, 1), total + 128, np.uint8)})[0].item()) - 128


@pytest.mark.parametrize(
    ("multiplier", "total", "once", "twice"),
    [
        (1 / 2, 1, 0, 1),  # 0.5: half to even gives 0, half up 1
        (1 / 2, 3, 2, 2),  # 1.5: both 2
        (1 / 2, 5, 2, 3),  # 2.5
        (1 / 32, 15, 0, 1),  # 0.47 is 0; twice: 15 / 2 = 7.5 -> 8, 8 / 16 = 0.5 -> 1
        (1 / 32, 14, 0, 0),  # 7 / 16 = 0.44 -> 0
        (1 / 32, -15, 0, 0),  # -7.5 -> -7, -7 / 16 -> 0
    ],
)
def test_sums_are_rounded_once_or_twice(convolution, multiplier, total, once, twice):
    path = convolution(Types.INT8, Types.INT8, Types.INT32, output_scale=1 / multiplier)
    feed = np.array([[[[total, 0, 0]]]], np.int8)
    found = {name: in_litert(path, feed, resolver).ravel().tolist() for name, resolver in LITERT.items()}
    assert found == {"xnnpack": [once, once], "builtin": [twice, twice], "reference": [twice, twice]}
    assert in_onnxruntime(total, multiplier=multiplier) == once


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        # 2866 / 49 = 58.49. Builtin: in 32nds 1871.7 -> 1872, 58.5 -> 59; reference: in 16ths 935.8 -> 936, 58.5 -> 59
        (2866, {"xnnpack": 58, "builtin": 59, "reference": 59}),
        # 317 / 49 = 6.469. In 32nds 207.02 -> 207, 6.469 -> 6; in 16ths 103.5 -> 104, 6.5 -> 7.
        (317, {"xnnpack": 6, "builtin": 6, "reference": 7}),
        (49 * 6, {"xnnpack": 6, "builtin": 6, "reference": 6}),
    ],
)
def test_means_are_rounded_once_or_twice(one_op, total, expected):
    options = schema.ReducerOptionsT()
    options.keepDims = True
    channels = 16  # builtin kernels round single channels, beyond multiples of 16, once
    codes = np.full((49, channels), total // 49)
    codes[: total % 49] += 1
    tensors = [
        (Types.INT8, [1, 7, 7, channels], 1.0, -128, None),
        (Types.INT32, [2], 0.0, 0, np.array([1, 2], np.int32)),
        (Types.INT8, [1, 1, 1, channels], 1.0, -128, None),
    ]
    path = one_op(schema.BuiltinOperator.MEAN, options, schema.BuiltinOptions.ReducerOptions, tensors)
    feed = (codes - 128).astype(np.int8).reshape(1, 7, 7, channels)
    for name, resolver in LITERT.items():
        found = in_litert(path, feed, resolver).ravel().astype(np.int32) + 128
        assert found.tolist() == [expected[name]] * channels


@pytest.mark.parametrize(
    ("types", "arithmetic"),
    [
        ((Types.FLOAT32, Types.FLOAT32, Types.FLOAT32), Arithmetic.FLOAT),
        ((Types.FLOAT32, Types.INT8, Types.FLOAT32), Arithmetic.HYBRID),
        ((Types.INT8, Types.INT8, Types.INT32), Arithmetic.INTEGER),
        ((Types.INT16, Types.INT8, Types.INT64), Arithmetic.INTEGER),
    ],
)
def test_arithmetic_of_each_precision(convolution, monkeypatch, types, arithmetic):
    def started(runner, path, *_):
        runner.path = path  # one pixel is no image, which is all else that a runner looks at

    monkeypatch.setattr("mbexport.formats.runner.Runner.__init__", started)
    found = kernels_of(TfliteRunner(convolution(*types)))
    (row,) = found.rows
    assert (row.arithmetic, row.count) == (arithmetic, 1)
    assert (found.int8_convs, found.float_convs) == ((1, 0) if arithmetic is Arithmetic.INTEGER else (0, 1))
    assert found.hybrid_convs == (arithmetic is Arithmetic.HYBRID)


class Sums:
    """A session whose kernel adds up to `total`, whatever it is given."""

    def __init__(self, total: int) -> None:
        self.total = total

    def __call__(self, *_: Any, **__: Any) -> "Sums":
        return self

    def run(self, *_: Any) -> list[np.ndarray]:
        return [np.full((1, 16), self.total, np.int32)]


@pytest.mark.parametrize(("total", "cuts"), [(16 * 255 * 127, False), (8 * 32767, True)])
def test_exact_kernels_are_asked_for_where_sums_are_cut(monkeypatch, total, cuts):
    monkeypatch.setattr(onnxruntime, "InferenceSession", Sums(total))
    cuts_sums.cache_clear()
    try:
        options, found = session_options(), cuts_sums()
    finally:
        cuts_sums.cache_clear()
    assert found is cuts
    if cuts:
        assert options.get_session_config_entry(EXACT) == "1"
    else:
        with pytest.raises(RuntimeError):
            options.get_session_config_entry(EXACT)


def test_weights_have_zero_points_of_their_own(small_build):
    """Else onnxruntime cannot open the file with the option that makes its sums exact."""
    graph = onnx.load(next(small_build.glob("*_int8.onnx"))).graph
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8}
    readers = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in weights]
    assert len(readers) == len({node.input[2] for node in readers}) == 28


def litert_logits(path: Path, pixels: np.ndarray, resolver: OpResolverType) -> np.ndarray:
    """The codes that softmax is given, as uint8, (n, classes)."""
    interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    (logits,) = [op["inputs"][0] for op in interpreter._get_ops_details() if op["op_name"] == "SOFTMAX"]
    found = []
    for image in pixels:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(logits).ravel().astype(np.int32) + 128)
    return np.stack(found)


def onnx_logits(path: Path, pixels: np.ndarray, level: Any, *, exact: bool = False) -> np.ndarray:
    model = onnx.load(path)
    made = {node.output[0]: node for node in model.graph.node}
    (softmax,) = [node for node in model.graph.node if node.op_type == "Softmax"]
    logits = made[softmax.input[0]].input[0]
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(logits, onnx.TensorProto.UINT8, None))
    options = session_options()
    options.graph_optimization_level = level
    if exact:
        options.add_session_config_entry(EXACT, "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = [session.run(None, {session.get_inputs()[0].name: image[None]})[0] for image in pixels]
    return np.concatenate(found).astype(np.int32)


def all_paths(folder: Path, pixels: np.ndarray) -> dict[str, np.ndarray]:
    tflite, twin = (next(folder.glob(f"*_int8.{ending}")) for ending in ("tflite", "onnx"))
    found = {name: litert_logits(tflite, pixels, resolver) for name, resolver in LITERT.items()}
    levels = {"onnxruntime": OPTIMIZED, "unoptimized": UNOPTIMIZED}
    return found | {name: onnx_logits(twin, pixels, level) for name, level in levels.items()}


def require_limits(found: dict[str, np.ndarray]) -> None:
    expected = found["xnnpack"]
    for name, (least_alike, most_lsb) in LIMITS.items():
        alike = (found[name].argmax(axis=1) == expected.argmax(axis=1)).mean()
        assert alike >= least_alike, name
        assert np.abs(found[name] - expected).max() <= most_lsb, name


@pytest.fixture
def digits() -> np.ndarray:
    images = open_data("digits").evaluation(0).subset(np.arange(200))
    return np.concatenate(list(iter_pixels(images, Preprocess(resolution=Resolution.square(32)))))


def test_all_paths_of_a_build(small_build, digits):
    found = all_paths(small_build, digits)
    require_limits(found)
    assert len(np.unique(found["xnnpack"], axis=0)) > 100
    np.testing.assert_array_equal(found["onnxruntime"], found["xnnpack"])
    twin = next(small_build.glob("*_int8.onnx"))
    np.testing.assert_array_equal(onnx_logits(twin, digits, OPTIMIZED, exact=True), found["xnnpack"])


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "name"), [(0.25, "mobilenet_2_5_224_tf.h5"), (0.75, "mobilenet_7_5_224_tf.h5")])
def test_all_paths_on_real_photos(cli, shared_data, tmp_path, alpha, name):
    imagenet = shared_data / "imagenet"
    done = cli(
        *("export", "--weights", shared_data / "weights" / name, "--alpha", alpha, "--resolution", 224, "--int8"),
        *("--classes", imagenet / "classes.txt", "--calibration", imagenet / "calibration", "--crop-fraction", 1),
        *("--data", imagenet / "eval", "--no-sensitivity", "--out", tmp_path),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    images = open_data(str(imagenet / "eval"), classes_file=imagenet / "classes.txt").evaluation(0)
    pixels = np.concatenate(list(iter_pixels(images, Preprocess(resolution=Resolution.square(224), crop_fraction=1.0))))
    tflite, twin = (next(tmp_path.glob(f"*_int8.{ending}")) for ending in ("tflite", "onnx"))
    np.testing.assert_array_equal(onnx_logits(twin, pixels, OPTIMIZED), litert_logits(tflite, pixels, XNNPACK))
    # The reference kernels take half a second an image.
    require_limits(all_paths(tmp_path, pixels[:100]))
    (pair,) = json.loads((tmp_path / "report.json").read_bytes())["pairs"]
    assert pair["agreement"] >= 0.998
    assert pair["max_lsb"] <= 1
