"""Networks with branches as int8 files: all integer, the integers that were decided, and those of the simulation."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import branched_networks
import numpy as np
import pytest
import tf_keras
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from branched_networks import PREPROCESS, Int8, int8_of, pixels
from onnxruntime import InferenceSession

from mbexport.artifact import Io, Layout, OnnxForm, Precision
from mbexport.calibration.examine.health import measure_health
from mbexport.calibration.examine.sensitivity import sensitivity
from mbexport.calibration.examine.twins import run_in_float, run_in_integers
from mbexport.calibration.qat.fake_quant import PREFIX, fake_quantize
from mbexport.calibration.ranges.observe import observe
from mbexport.formats.classifier import Classifier
from mbexport.formats.kernels import Arithmetic
from mbexport.formats.onnx.convert import onnx_from_tflite
from mbexport.formats.onnx.runner import session_options
from mbexport.formats.registry import kernels_of, open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.tflite.convert import int8_tflite
from mbexport.formats.tflite.integers import Decided, require_decided_integers
from mbexport.models.facts import Output

pytestmark = pytest.mark.run

layers = tf_keras.layers
ENDS = Counter({"QUANTIZE": 2, "RESHAPE": 1, "SOFTMAX": 1})  # uint8 to int8 and back, the logits, the probabilities
OPS = {
    "inverted_residuals": Counter({"CONV_2D": 9, "DEPTHWISE_CONV_2D": 3, "ADD": 2, "MEAN": 1}),
    "squeezed": Counter({"CONV_2D": 12, "DEPTHWISE_CONV_2D": 2, "HARD_SWISH": 5, "MUL": 2, "ADD": 1, "MEAN": 3}),
    "every_operator": Counter(
        {
            "CONV_2D": 5,
            "DEPTHWISE_CONV_2D": 3,
            "MAX_POOL_2D": 1,
            "AVERAGE_POOL_2D": 2,
            "LEAKY_RELU": 1,
            "LOGISTIC": 1,
            "MUL": 1,
            "ADD": 2,
            "CONCATENATION": 1,
            "PAD": 1,
            "RESHAPE": 1,
        }
    ),
}


@pytest.fixture(scope="module", params=sorted(OPS))
def kind(request: Any) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def network(kind: str) -> Any:
    return getattr(branched_networks, kind)()


@pytest.fixture(scope="module")
def int8(network: Any) -> Int8:
    return int8_of(network)


def ops_of(content: bytes) -> list[tuple[str, set[str]]]:
    """Each op of a file, with the types of what it reads and gives, but for constants such as axes and shapes."""
    without = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    file = Interpreter(model_content=content, experimental_op_resolver_type=without)
    types = {tensor["index"]: np.dtype(tensor["dtype"]).name for tensor in file.get_tensor_details()}
    ops = file._get_ops_details()
    return [(op["op_name"], {types[index] for index in (op["inputs"][0], *op["outputs"])}) for op in ops]


def stored(content: bytes, images: np.ndarray) -> Iterator[dict[str, tuple[np.ndarray, int]]]:
    """For each image, the tensors that XNNPACK makes of it, by the site that bears their name, and their zeros."""
    file = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    file.allocate_tensors()
    computed = {int(index) for op in file._get_ops_details() for index in op["outputs"]}
    tensors = [each for each in file.get_tensor_details() if each["index"] in computed and "/" in each["name"]]
    for image in images:
        file.set_tensor(file.get_input_details()[0]["index"], image[None])
        file.invoke()
        yield {
            each["name"].split("/")[1].removeprefix(PREFIX): (file.get_tensor(each["index"]), each["quantization"][1])
            for each in tensors
        }


def test_every_op_computes_in_int8_and_nothing_is_converted_between(kind: str, int8: Int8) -> None:
    ops = ops_of(int8.tflite)
    assert Counter(name for name, _ in ops) == ENDS + OPS[kind]
    assert {name for name, types in ops if types != {"int8"}} == {"QUANTIZE"}


def test_the_file_holds_what_was_decided(int8: Int8) -> None:
    require_decided_integers(int8.tflite, int8.decided, int8.found.ranges)
    backwards: dict[str, Decided] = dict(reversed(int8.decided.items()))
    require_decided_integers(int8.tflite, backwards, int8.found.ranges)  # whatever the order


def logits_of(folded: Any) -> np.ndarray:
    return np.asarray(tf_keras.Model(folded.input, folded.get_layer("flat").output)(PREPROCESS.dequantize(pixels())))


def test_twins_compute_the_float_network(int8: Int8) -> None:
    *_, (twin, steps) = run_in_float(int8.twins, PREPROCESS.steps(pixels()))
    expected = logits_of(int8.folded)
    assert np.ptp(expected, axis=0).min() > 0.1  # the answers depend on the image
    np.testing.assert_allclose(np.asarray(steps * twin.units).reshape(expected.shape), expected, atol=1e-4)


def test_twins_in_integers_are_the_file_code_for_code(int8: Int8) -> None:
    images = pixels()[:4]
    seen = set()
    for image, tensors in zip(images, stored(int8.tflite, images), strict=True):
        for twin, steps in run_in_integers(int8.twins, PREPROCESS.steps(image[None])):
            if twin.name in tensors and tensors[twin.name][0].size == np.size(steps):
                codes, zero = tensors[twin.name]
                found = codes.reshape(steps.shape).astype(np.int32) - zero
                np.testing.assert_array_equal(found, np.asarray(steps), twin.name)
                seen.add(twin.name)
    assert len(seen) > 0.9 * len(int8.twins)


def test_integers_answer_as_float_does(int8: Int8) -> None:
    *_, (twin, steps) = run_in_integers(int8.twins, PREPROCESS.steps(pixels()))
    expected = logits_of(int8.folded)
    assert np.abs(np.asarray(steps * twin.units).reshape(expected.shape) - expected).max() < 0.1 * np.ptp(expected)


def test_health_and_sensitivity_know_every_tensor(int8: Int8) -> None:
    batches = [PREPROCESS.steps(pixels())[:8]]
    assert min(each.snr_db for each in measure_health(int8.twins, batches)) > 15
    found = sensitivity(int8.twins, batches, output=Output.SOFTMAX)
    assert found.quantized.divergence > 0
    assert set(found.without) == {twin.layer for twin in int8.twins}


@pytest.fixture(scope="module")
def opened(kind: str, int8: Int8, tmp_path_factory: Any) -> tuple[Runner, Runner]:
    """The int8 .tflite and its .onnx twin."""
    folder = tmp_path_factory.mktemp(kind)
    (folder / "it.tflite").write_bytes(int8.tflite)
    (folder / "it.onnx").write_bytes(onnx_from_tflite(int8.tflite, Precision.INT8, OnnxForm(graph_name="branched")))
    tflite, onnx = (open_runner(folder / name) for name in ("it.tflite", "it.onnx"))
    return tflite, onnx


def test_every_convolution_runs_in_int8_in_both_formats(opened: tuple[Runner, Runner], kind: str) -> None:
    convolutions = OPS[kind]["CONV_2D"] + OPS[kind]["DEPTHWISE_CONV_2D"]
    for runner in opened:
        kernels = kernels_of(runner)
        assert (kernels.int8_convs, kernels.float_convs) == (convolutions, 0)


def test_nothing_but_hard_swish_computes_in_floats_in_onnxruntime(opened: tuple[Runner, Runner], kind: str) -> None:
    ops = Counter({row.op: row.count for row in kernels_of(opened[1]).rows if row.arithmetic is Arithmetic.FLOAT})
    swishes = OPS[kind]["HARD_SWISH"]
    assert ops == +Counter({"HardSigmoid": swishes, "Mul": swishes})


def test_both_formats_give_the_same_codes(opened: tuple[Runner, Runner], kind: str) -> None:
    tflite, onnx = (Classifier(each).raw(each.prepare(pixels(), PREPROCESS)) for each in opened)
    assert len({row.tobytes() for row in tflite}) > 16  # the answers depend on the image
    if kind == "every_operator":  # leaky ReLU and average pooling are rounded otherwise
        assert np.abs(tflite.astype(np.int32) - onnx).max() <= 16
    else:  # a sum within a few millionths of a tie may fall on either side
        assert np.abs(tflite.astype(np.int32) - onnx).max() <= 1
        assert (tflite != onnx).mean() < 0.02


@pytest.mark.parametrize("form", [OnnxForm(graph_name="b", opset=13), OnnxForm(graph_name="b", layout=Layout.NCHW)])
def test_every_form_of_onnx_gives_the_same_codes(opened: tuple[Runner, Runner], int8: Int8, form: OnnxForm) -> None:
    content = onnx_from_tflite(int8.tflite, Precision.INT8, form)
    session = InferenceSession(content, session_options(), providers=["CPUExecutionProvider"])
    images = pixels()[:4]
    turned = images.transpose(0, 3, 1, 2) if form.layout is Layout.NCHW else images
    found = np.concatenate([session.run(None, {"image": image[None]})[0] for image in turned])
    np.testing.assert_array_equal(found, Classifier(opened[1]).raw(opened[1].prepare(images, PREPROCESS)))


def test_a_ceiling_that_no_kernel_has_keeps_nothing_in_floats() -> None:
    # TFLite's convolutions take in ReLU and ReLU6 alone: a MINIMUM of 4 stood between a convolution and its codes.
    x = image = layers.Input((32, 32, 3), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(8, 3, name="stem")(x))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.ReLU(4.0, name="pointwise_relu")(layers.Conv2D(8, 1, name="pointwise")(x))
    network = tf_keras.Model(image, layers.Conv2D(4, 1, name="head")(layers.GlobalAveragePooling2D(keepdims=True)(x)))
    ranges = observe(network, [PREPROCESS.dequantize(pixels())])
    ends = {"input_scale": PREPROCESS.input_scale, "input_zero_point": PREPROCESS.input_zero_point}
    content = int8_tflite(fake_quantize(network, ranges, **ends), Io.UINT8)
    assert Counter(name for name, _ in ops_of(content)) == Counter(
        {"QUANTIZE": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 1, "MEAN": 1}
    )
