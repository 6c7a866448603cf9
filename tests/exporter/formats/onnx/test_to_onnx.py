"""The .onnx twin of a .tflite file: its form, its integers, and that it answers the same."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, numpy_helper

from mbexport.artifact import Io, OnnxForm, Precision
from mbexport.errors import StageError
from mbexport.formats.classifier import Classifier
from mbexport.formats.matching import match
from mbexport.formats.onnx.convert import onnx_from_tflite
from mbexport.formats.registry import kernels_of, open_runner
from mbexport.formats.runner import Runner
from mbexport.models.data.open import DIGITS, iter_pixels, open_data, open_unlabelled
from mbexport.models.facts import Output
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.comparison import verify

pytestmark = pytest.mark.run

PRECISIONS = (Precision.FP32, Precision.FP16, Precision.INT8)
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def sha256(content: bytes) -> str:
    """Short enough to be shown where two differ."""
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def tflite(small_build) -> dict[Precision, Path]:
    """The .tflite that each precision is made of."""
    origins = {Precision.FP32: "fp32", Precision.FP16: "fp32", Precision.INT8: "int8"}
    return {precision: next(small_build.glob(f"*_{origin}.tflite")) for precision, origin in origins.items()}


@pytest.fixture(scope="module")
def converted(tflite, tmp_path_factory) -> dict[Precision, Path]:
    folder = tmp_path_factory.mktemp("onnx")
    for precision, path in tflite.items():
        (folder / f"{precision}.onnx").write_bytes(
            onnx_from_tflite(path.read_bytes(), precision, OnnxForm(graph_name="mobilenet_v1"))
        )
    return {precision: folder / f"{precision}.onnx" for precision in tflite}


@pytest.fixture(scope="module")
def models(converted) -> dict[Precision, onnx.ModelProto]:
    return {precision: onnx.load(path) for precision, path in converted.items()}


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """100 digits as uint8 images of 32 px."""
    images = open_data(DIGITS).evaluation(0).subset(np.arange(100))
    return np.concatenate(list(iter_pixels(images, Preprocess(resolution=Resolution.square(32), crop_fraction=1.0))))


def raw_of(runner: Runner, pixels: np.ndarray) -> np.ndarray:
    feeds = runner.prepare(pixels, Preprocess(resolution=Resolution.square(32)))
    return Classifier(runner).raw(feeds)


def constants_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def convolutions(model: onnx.ModelProto) -> list[list[onnx.NodeProto]]:
    """For each Conv in order: the DequantizeLinear of its input, of its weights and of its bias."""
    producers = {node.output[0]: node for node in model.graph.node}
    return [[producers[name] for name in node.input] for node in model.graph.node if node.op_type == "Conv"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_graph_is_valid_and_old_enough_for_phones(models, precision):
    model = models[precision]
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in model.opset_import if opset.domain in ("", "ai.onnx")] == [
        ("", 17)
    ]
    assert {node.domain for node in model.graph.node} == {""}


@pytest.mark.parametrize(
    ("precision", "kind"),
    [(Precision.INT8, TensorProto.UINT8), (Precision.FP32, TensorProto.FLOAT), (Precision.FP16, TensorProto.FLOAT)],
)
def test_image_leads_to_scores_in_the_layout_of_the_tflite_file(models, precision, kind):
    ends = [*models[precision].graph.input, *models[precision].graph.output]
    shapes = [[size.dim_value for size in end.type.tensor_type.shape.dim] for end in ends]
    assert [end.name for end in ends] == ["image", "scores"]
    assert shapes == [[1, 32, 32, 3], [1, 10]]
    assert {end.type.tensor_type.elem_type for end in ends} == {kind}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_names_are_short_and_different(models, precision):
    graph = models[precision].graph
    nodes = [node.name for node in graph.node]
    tensors = [name for node in graph.node for name in node.output] + [tensor.name for tensor in graph.initializer]
    assert max(map(len, [*nodes, *tensors])) <= 60
    assert min(map(len, [*nodes, *tensors])) > 0
    assert len(set(nodes)) == len(nodes)
    assert len(set(tensors)) == len(tensors)


def test_no_weights_of_an_int8_graph_are_floats(models):
    tensors = models[Precision.INT8].graph.initializer
    assert not [tensor.name for tensor in tensors if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1]
    kernels = [tensor for tensor in tensors if len(tensor.dims) == 4]
    assert len(kernels) == 28
    assert {tensor.data_type for tensor in kernels} == {TensorProto.INT8}


def test_weights_and_scales_are_those_of_the_tflite_file(models, tflite):
    interpreter = Interpreter(model_path=str(tflite[Precision.INT8]))
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    ops = [op for op in interpreter._get_ops_details() if op["op_name"] in CONVOLUTIONS]
    constants = constants_of(models[Precision.INT8])
    for op, (_, weights, _) in zip(ops, convolutions(models[Precision.INT8]), strict=True):
        stored = details[op["inputs"][1]]
        # TFLite: (out, kh, kw, in), or (1, kh, kw, channels) depthwise. ONNX: (out, in, kh, kw).
        turn = (0, 3, 1, 2) if op["op_name"] == "CONV_2D" else (3, 0, 1, 2)
        codes, scales = (constants[name] for name in weights.input[:2])
        assert np.array_equal(codes, interpreter.get_tensor(stored["index"]).transpose(turn))
        assert np.array_equal(scales, stored["quantization_parameters"]["scales"])
        assert len(scales) == codes.shape[0]


def test_a_bias_is_int32_in_steps_of_input_times_weight(models):
    constants = constants_of(models[Precision.INT8])
    found = convolutions(models[Precision.INT8])
    assert len(found) == 28
    for source, weights, bias in found:
        source_scale, weight_scales, bias_scales = (constants[node.input[1]] for node in (source, weights, bias))
        assert constants[bias.input[0]].dtype == np.int32
        assert not constants[bias.input[2]].any()
        np.testing.assert_allclose(bias_scales, source_scale * weight_scales, rtol=1e-6)


def test_activations_are_uint8(models):
    constants = constants_of(models[Precision.INT8])
    types = {
        constants[node.input[2]].dtype.name
        for node in models[Precision.INT8].graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] not in constants
    }
    assert types == {"uint8"}


def test_the_float_twins_answer_within_a_hundred_thousandth(converted, tflite, digits):
    twin, original = (raw_of(open_runner(paths[Precision.FP32]), digits) for paths in (converted, tflite))
    np.testing.assert_allclose(twin, original, atol=1e-5)
    assert len({row.tobytes() for row in original}) > 90


def test_half_holds_the_weights_of_the_float_file_rounded_to_float16(models):
    whole, half = (models[precision].graph.initializer for precision in (Precision.FP32, Precision.FP16))
    pairs = [(numpy_helper.to_array(a), numpy_helper.to_array(b)) for a, b in zip(whole, half, strict=True)]
    kernels = [(a, b) for a, b in pairs if a.ndim == 4]
    assert len(kernels) == 28
    assert {b.dtype for _, b in kernels} == {np.dtype(np.float16)}
    assert all(np.array_equal(a.astype(b.dtype), b) for a, b in pairs)


def test_half_is_half_as_large_and_answers_as_the_float_file(converted, digits):
    whole, half = (converted[precision] for precision in (Precision.FP32, Precision.FP16))
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    expected, found = (raw_of(open_runner(path), digits) for path in (whole, half))
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.98
    assert not np.array_equal(found, expected)


def test_casts_of_weights_are_folded_when_the_file_is_loaded(converted):
    ops = [dict(kernels_of(open_runner(converted[precision])).ops) for precision in (Precision.FP32, Precision.FP16)]
    assert ops[0] == ops[1]


def test_the_int8_twins_give_the_same_codes(converted, tflite, digits):
    twin, original = (raw_of(open_runner(paths[Precision.INT8]), digits).astype(int) for paths in (converted, tflite))
    assert np.abs(twin - original).max() <= 2
    assert (twin.argmax(axis=1) == original.argmax(axis=1)).mean() >= 0.99
    assert len({row.tobytes() for row in original}) > 50


@pytest.mark.parametrize("precision", PRECISIONS)
def test_converting_again_gives_the_same_bytes(converted, tflite, precision):
    content = tflite[precision].read_bytes()
    assert sha256(onnx_from_tflite(content, precision, OnnxForm(graph_name="mobilenet_v1"))) == sha256(
        converted[precision].read_bytes()
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("earlier", [850, 950, 980])
def test_the_number_of_earlier_conversions_changes_no_byte(converted, tflite, monkeypatch, precision, earlier):
    # tf2onnx counts its names through the life of the process, and orders nodes by them: "x__1000" before "x__999".
    monkeypatch.setattr("tf2onnx.utils.INTERNAL_NAME", earlier)
    content = tflite[precision].read_bytes()
    assert sha256(onnx_from_tflite(content, precision, OnnxForm(graph_name="mobilenet_v1"))) == sha256(
        converted[precision].read_bytes()
    )


def test_a_step_that_tf2onnx_skips_is_an_error(tflite, monkeypatch):
    def fail(*_):
        raise RecursionError("too deep")

    monkeypatch.setattr("tf2onnx.optimizer.transpose_optimizer.TransposeOptimizer._optimize", fail)
    content = tflite[Precision.FP32].read_bytes()
    with pytest.raises(StageError, match="got: Failed to apply optimize_transpose: RecursionError too deep"):
        onnx_from_tflite(content, Precision.FP32, OnnxForm(graph_name="mobilenet_v1"))


def test_a_file_that_tf2onnx_cannot_load_is_an_error(tflite, monkeypatch):
    def fail(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr("tensorflow.lite.Interpreter", fail)
    content = tflite[Precision.FP32].read_bytes()
    with pytest.raises(StageError, match="got: Error loading model into tflite interpreter: no memory"):
        onnx_from_tflite(content, Precision.FP32, OnnxForm(graph_name="mobilenet_v1"))


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_another_process_gave_the_same_bytes(tflite, small_build, precision):
    """In the build's own process, tf2onnx counted its names from elsewhere."""
    content = tflite[precision].read_bytes()
    (file,) = small_build.glob(f"*_{precision}.onnx")
    said = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert said["name"] == "mobilenet_v1_0.25_32"
    assert sha256(onnx_from_tflite(content, precision, OnnxForm(graph_name="mobilenet_v1", properties=said))) == sha256(
        file.read_bytes()
    )


def test_float_weights_under_the_name_of_int8_are_refused(tflite):
    with pytest.raises(StageError, match="weights of an int8 network must be int8"):
        onnx_from_tflite(tflite[Precision.FP32].read_bytes(), Precision.INT8, OnnxForm(graph_name="mobilenet_v1"))


def int8_files(network: Any, calibration: Path, folder: Path) -> list[Path]:
    """Both int8 files of a float `network`, calibrated on 64 of the images in `calibration`."""
    from mbexport.calibration.qat.fake_quant import fake_quantize
    from mbexport.calibration.ranges.observe import observe
    from mbexport.formats.tflite.convert import int8_tflite
    from mbexport.models.folding import fold_batch_norm

    preprocess = Preprocess(resolution=Resolution.square(224))
    folded = fold_batch_norm(network, preprocess=preprocess)
    samples = open_unlabelled(calibration).images.subset(np.arange(0, 256, 4))
    ranges = observe(folded, map(preprocess.dequantize, iter_pixels(samples, preprocess)))
    zero_point = preprocess.input_zero_point
    quantized = fake_quantize(folded, ranges, input_scale=preprocess.input_scale, input_zero_point=zero_point)
    files = [folder / "int8.tflite", folder / "int8.onnx"]
    files[0].write_bytes(int8_tflite(quantized, Io.UINT8))
    files[1].write_bytes(onnx_from_tflite(files[0].read_bytes(), Precision.INT8, OnnxForm(graph_name="mobilenet_v1")))
    return files


@pytest.mark.slow
def test_a_real_network_keeps_its_answers_in_both_formats(shared_data, tmp_path):
    from mbexport.models.mobilenet_v1.network import build

    network = build(ModelSpec(alpha=0.75, resolution=Resolution.square(224), classes=1000))
    network.load_weights(shared_data / "weights" / "mobilenet_7_5_224_tf.h5")
    files = int8_files(network, shared_data / "imagenet" / "calibration", tmp_path)
    classes = shared_data / "imagenet" / "classes.txt"
    images = open_data(str(shared_data / "imagenet" / "eval"), classes_file=classes).evaluation(0)
    images = images.subset(np.arange(0, 500, 5))
    preprocess = Preprocess(resolution=Resolution.square(224), crop_fraction=1.0)
    found = verify(
        [match(open_runner(file), pixels=preprocess, given=None, classes=1000, background=False) for file in files],
        images,
        preprocess,
        reference=Baseline(
            name="Keras",
            kind=Output.SOFTMAX,
            scores=lambda pixels: network.predict_on_batch(preprocess.normalize(pixels)),
        ),
    )
    assert found.reference.top1 > 0.7  # 0.792 on all 500 images
    (pair,) = found.pairs
    assert pair.agreement >= 0.99
    assert pair.max_lsb <= 2
    assert min(artifact.agreement for artifact in found.artifacts) >= 0.8
    assert min(artifact.distinct_outputs for artifact in found.artifacts) >= 90
