"""What a .tflite of each precision holds and answers, for batches of any size, with probabilities or logits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tf_keras
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import example, given
from hypothesis import strategies as st
from short_network import CLASSES, PX, blocks, short_network
from tflite_by_hand import model_of, op_of, tensor_of

from mbexport.artifact import Io, Precision
from mbexport.calibration.qat.fake_quant import fake_quantize
from mbexport.calibration.ranges.observe import observe
from mbexport.errors import StageError
from mbexport.formats.classifier import Classifier
from mbexport.formats.registry import open_runner
from mbexport.formats.tflite.batch import with_open_batch
from mbexport.formats.tflite.convert import (
    dynamic_tflite,
    fp16_tflite,
    fp32_tflite,
    int8_tflite,
    int16x8_tflite,
)
from mbexport.formats.tflite.file import opened, packed
from mbexport.formats.tflite.integers import Decided, with_decided_weights
from mbexport.models.folding import is_convolution, without_probabilities
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

pytestmark = pytest.mark.run
PREPROCESS = Preprocess(resolution=Resolution.square(PX))
FILTERS = 128  # the converter leaves weights of fewer than 1024 numbers as they are


@pytest.fixture(scope="module")
def network() -> tf_keras.Model:
    return short_network(filters=FILTERS)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return blocks(16)


@pytest.fixture(scope="module")
def quantized(network, pixels) -> tf_keras.Model:
    ranges = observe(network, [PREPROCESS.dequantize(pixels)])
    scale, zero_point = PREPROCESS.input_scale, PREPROCESS.input_zero_point
    return fake_quantize(network, ranges, input_scale=scale, input_zero_point=zero_point)


@pytest.fixture(scope="module")
def contents(network, quantized, pixels) -> dict[Precision, bytes]:
    return {
        Precision.FP32: fp32_tflite(network),
        Precision.FP16: fp16_tflite(network),
        Precision.INT8: int8_tflite(quantized, Io.UINT8),
        Precision.DYNAMIC: dynamic_tflite(network),
        Precision.INT16X8: int16x8_tflite(network, [PREPROCESS.normalize(image[None]) for image in pixels]),
    }


@pytest.fixture(scope="module")
def decided(network) -> dict[str, Decided]:
    """Kernels in steps whose largest code is 100, not the 127 that the converter would choose."""
    found = {}
    for layer in network.layers:
        if is_convolution(layer):
            kernel, bias = layer.get_weights()
            largest = np.abs(kernel).max(axis=(0, 1, 3 if layer.name == "depthwise" else 2)).astype(np.float64)
            found[layer.name] = Decided(kernel=kernel, bias=bias, least=largest * 1.27)
    return found


def saved(content: bytes, folder: Path) -> Path:
    path = folder / "file.tflite"
    path.write_bytes(content)
    return path


def scores_of(content: bytes, pixels: np.ndarray, folder: Path) -> np.ndarray:
    classifier = Classifier(open_runner(saved(content, folder)))
    return classifier.scores(classifier.raw(classifier.runner.prepare(pixels, PREPROCESS)))


@pytest.mark.parametrize("precision", Precision)
def test_a_file_says_of_itself_what_was_asked_for(contents, precision, tmp_path):
    assert open_runner(saved(contents[precision], tmp_path)).precision is precision


@pytest.mark.parametrize(
    ("precision", "most"),
    # Rounding by: 11 bits of a weight; 8 bits of a weight, with 8 or 16 of an activation.
    [(Precision.FP16, 2e-3), (Precision.DYNAMIC, 5e-2), (Precision.INT16X8, 5e-2)],
)
def test_a_reduced_precision_answers_nearly_as_float_and_not_quite(contents, pixels, tmp_path, precision, most):
    expected = scores_of(contents[Precision.FP32], pixels, tmp_path)
    distance = np.abs(scores_of(contents[precision], pixels, tmp_path) - expected).max()
    assert 1e-7 < distance < most


def test_half_precision_halves_the_weights(contents, network):
    def weights(precision: Precision, kind: int) -> int:
        (graph,) = opened(contents[precision]).subgraphs
        return sum(int(np.prod(tensor.shape)) for tensor in graph.tensors if tensor.type == kind and tensor.buffer)

    count = sum(int(np.prod(value.shape)) for value in network.trainable_weights)
    assert weights(Precision.FP16, schema.TensorType.FLOAT16) == count


def kernels_in(content: bytes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Codes and scales of the 8-bit kernels, by the kind and number of their convolution."""
    interpreter = Interpreter(model_content=content)
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    found = {}
    ops = [op for op in interpreter._get_ops_details() if op["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    for name, op in zip(("stem", "depthwise", "pointwise", "head"), ops, strict=True):
        kernel = tensors[op["inputs"][1]]
        if kernel["dtype"] == np.int8:
            found[name] = interpreter.get_tensor(kernel["index"]), kernel["quantization_parameters"]["scales"]
    return found


@pytest.mark.parametrize(
    ("precision", "names"),
    [
        (Precision.DYNAMIC, {"pointwise", "head"}),
        (Precision.INT16X8, {"stem", "depthwise", "pointwise", "head"}),
    ],
)
def test_the_codes_and_scales_that_were_decided_are_in_the_file(contents, decided, precision, names):
    before, after = (
        kernels_in(content) for content in (contents[precision], with_decided_weights(contents[precision], decided))
    )
    assert set(before) == set(after) == names
    for name, (codes, scales) in after.items():
        axis = 3 if name == "depthwise" else 0
        others = tuple(place for place in range(4) if place != axis)
        assert (np.abs(codes).max(axis=others) == 100).all()
        assert (np.abs(before[name][0]).max(axis=others) == 127).all()
        assert scales == pytest.approx(decided[name].least / 127, rel=1e-6)


def test_biases_beside_16_bit_activations_are_whole_steps_of_input_and_weight(contents, decided):
    model = opened(with_decided_weights(contents[Precision.INT16X8], decided))
    (graph,) = model.subgraphs
    convolutions = [op for op in graph.operators if len(op.inputs) == 3]
    for (name, each), op in zip(decided.items(), convolutions, strict=True):
        given_, kernel, bias = (graph.tensors[index] for index in op.inputs)
        stored = np.frombuffer(model.buffers[bias.buffer].data.tobytes(), np.int64)
        steps = given_.quantization.scale[0] * kernel.quantization.scale.astype(np.float64)
        assert bias.quantization.scale == pytest.approx(steps, rel=1e-6), name
        assert np.abs(stored * steps - each.bias).max() <= 0.51 * steps.max(), name


def test_decided_weights_answer_as_float_does_with_them(contents, decided, pixels, tmp_path):
    rounded = short_network(filters=FILTERS)
    for name, each in decided.items():
        steps = each.least / 127
        steps = steps[:, None] if name == "depthwise" else steps
        rounded.get_layer(name).set_weights([np.rint(each.kernel / steps) * steps, each.bias])
    expected = rounded.predict(PREPROCESS.normalize(pixels), verbose=0)
    found = scores_of(with_decided_weights(contents[Precision.INT16X8], decided), pixels, tmp_path)
    nearer = np.abs(found - expected).max()
    assert nearer < np.abs(found - scores_of(contents[Precision.FP32], pixels, tmp_path)).max()


def test_weights_of_another_network_are_refused(contents, decided):
    with pytest.raises(StageError, match=r"must have 3 convolutions, got 4"):
        with_decided_weights(contents[Precision.DYNAMIC], dict(list(decided.items())[:3]))
    wider = {name: replace(each, kernel=each.kernel.repeat(2, axis=2)) for name, each in decided.items()}
    with pytest.raises(StageError, match=r"kernel of stem must have shape \(8, 3, 3, 6\), got \(8, 3, 3, 3\)"):
        with_decided_weights(contents[Precision.DYNAMIC], wider)


@pytest.mark.parametrize("precision", Precision)
def test_an_open_batch_has_no_ops_for_shapes_and_takes_any_number_at_once(contents, pixels, precision):
    content = with_open_batch(contents[precision])
    alone, together = (Interpreter(model_content=each) for each in (contents[precision], content))
    (source,), (target,) = together.get_input_details(), together.get_output_details()
    assert (source["shape_signature"].tolist(), target["shape_signature"].tolist()) == ([-1, PX, PX, 3], [-1, CLASSES])
    assert source["shape"].tolist() == [1, PX, PX, 3]
    assert not {op["op_name"] for op in together._get_ops_details()} & {"SHAPE", "STRIDED_SLICE", "PACK"}
    feeds = pixels if precision is Precision.INT8 else PREPROCESS.normalize(pixels)
    together.resize_tensor_input(source["index"], feeds.shape)
    together.allocate_tensors()
    together.set_tensor(source["index"], feeds)
    together.invoke()
    alone.allocate_tensors()
    for place, row in enumerate(together.get_tensor(target["index"])):
        alone.set_tensor(alone.get_input_details()[0]["index"], feeds[place : place + 1])
        alone.invoke()
        expected = alone.get_tensor(alone.get_output_details()[0]["index"])[0].astype(float)
        # Activations that are rounded image by image are so in a batch, too; float sums may be ordered otherwise.
        assert row.astype(float) == pytest.approx(expected, abs=1e-5)


@given(count=st.integers(1, 7))
@example(count=3)  # a whole batch
@example(count=4)  # one more
def test_a_fixed_batch_answers_as_one_image_at_a_time(count, fixed):
    one, three, pixels = fixed
    assert three.batch == 3
    alone, together = (Classifier(runner).raw(runner.prepare(pixels[:count], PREPROCESS)) for runner in (one, three))
    assert np.array_equal(alone, together)
    assert len(together) == count


@pytest.fixture(scope="module")
def fixed(contents, quantized, pixels, tmp_path_factory):
    """The int8 network for one image and for three."""
    files = contents[Precision.INT8], int8_tflite(quantized, Io.UINT8, batch=3)
    runners = [open_runner(saved(content, tmp_path_factory.mktemp("batch"))) for content in files]
    return (*runners, pixels)


def test_a_batch_that_is_fixed_already_is_not_opened(quantized):
    with pytest.raises(StageError, match="must be for one image"):
        with_open_batch(int8_tflite(quantized, Io.UINT8, batch=3))


def test_a_reshape_that_mixes_images_is_refused():
    tensors = [tensor_of(name, "float32", shape) for name, shape in (("image", (1, 2, 2, 3)), ("scores", (3, 4)))]
    reshape = op_of(0, 0, 1)
    reshape.inputs = np.array([0, 2], np.int32)
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [*tensors, tensor_of("sizes", "int32", (2,), buffer=1)], [reshape]
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([1], np.int32)
    content = packed(model_of(graph, ["RESHAPE"], [None, np.array([3, 4], np.int32).tobytes()]))
    with pytest.raises(StageError, match=r"keep the images apart, got one to \[3, 4\]"):
        with_open_batch(content)


def test_logits_are_what_the_softmax_would_get(network, contents, pixels, tmp_path):
    logits = scores_of(fp32_tflite(without_probabilities(network)), pixels, tmp_path)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = scores_of(contents[Precision.FP32], pixels, tmp_path)
    assert powers / powers.sum(axis=1, keepdims=True) == pytest.approx(expected, abs=1e-6)
    assert logits.min() < 0


def test_integer_logits_have_the_range_of_the_layer_that_gives_them(quantized, network, pixels, tmp_path):
    ranges = observe(network, [PREPROCESS.dequantize(pixels)])
    content = int8_tflite(without_probabilities(quantized), Io.UINT8)
    affine = open_runner(saved(content, tmp_path)).outputs[0].affine
    head = ranges["head"]
    assert affine.scale[0] == pytest.approx((head.high - head.low) / 255, rel=1e-4)
    assert "SOFTMAX" not in {op["op_name"] for op in Interpreter(model_content=content)._get_ops_details()}


def test_a_network_without_probabilities_is_left_as_it_is(network):
    cut = without_probabilities(network)
    assert without_probabilities(cut) is cut
