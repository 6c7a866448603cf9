"""What a .tflite file holds and answers, for a network short enough to be converted many times."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert.interpreter import Interpreter
from short_network import blocks, short_network

from mbexport.artifact import Io, OnnxForm, Precision
from mbexport.calibration.affine import Range, weight_affine
from mbexport.calibration.qat.fake_quant import fake_quantize
from mbexport.calibration.ranges.observe import observe
from mbexport.errors import StageError
from mbexport.formats.classifier import Classifier
from mbexport.formats.onnx.convert import onnx_from_tflite
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.tflite.convert import fp32_tflite, int8_tflite
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

pytestmark = pytest.mark.run

PREPROCESS = Preprocess(resolution=Resolution.square(32))
DYNAMIC_OPS = {"SHAPE", "STRIDED_SLICE", "PACK"}
ALL_IO = list(Io)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return blocks()


@pytest.fixture(scope="module")
def folded() -> tf_keras.Model:
    return short_network()


@pytest.fixture(scope="module")
def ranges(folded, pixels) -> dict[str, Range]:
    return observe(folded, [PREPROCESS.dequantize(pixels)])


def quantized_with(folded, ranges, *, input_scale: float = PREPROCESS.input_scale) -> tf_keras.Model:
    return fake_quantize(folded, ranges, input_scale=input_scale, input_zero_point=PREPROCESS.input_zero_point)


@pytest.fixture(scope="module")
def quantized(folded, ranges) -> tf_keras.Model:
    return quantized_with(folded, ranges)


@pytest.fixture(scope="module")
def files(quantized, folded, tmp_path_factory) -> dict[str, Path]:
    """The int8 .tflite of each io type, and the fp32 one."""
    folder = tmp_path_factory.mktemp("tflite")
    contents = {io.value: int8_tflite(quantized, io) for io in ALL_IO} | {"fp32": fp32_tflite(folded)}
    for name, content in contents.items():
        (folder / f"{name}.tflite").write_bytes(content)
    return {name: folder / f"{name}.tflite" for name in contents}


@pytest.fixture(scope="module")
def scores(files, pixels) -> dict[str, np.ndarray]:
    return {name: scores_of(open_runner(path), pixels) for name, path in files.items()}


def scores_of(runner: Runner, pixels: np.ndarray) -> np.ndarray:
    classifier = Classifier(runner)
    return classifier.scores(classifier.raw(runner.prepare(pixels, PREPROCESS)))


def op_names(path: Path) -> set[str]:
    return {op["op_name"] for op in Interpreter(model_path=str(path))._get_ops_details()}


@pytest.mark.parametrize("name", [*ALL_IO, "fp32"])
def test_a_file_is_static_with_a_batch_of_one(files, name):
    assert "CONV_2D" in op_names(files[name])
    assert not op_names(files[name]) & DYNAMIC_OPS
    interpreter = Interpreter(model_path=str(files[name]))
    ends = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert [end["shape"].tolist() for end in ends] == [[1, 32, 32, 3], [1, 10]]
    # The signature holds -1 where the batch was left open.
    assert [end["shape_signature"].tolist() for end in ends] == [[1, 32, 32, 3], [1, 10]]


@pytest.mark.parametrize("kind", ["fp32", "int8"])
def test_a_whole_mobilenet_is_static_with_a_batch_of_one(small_build, kind):
    (path,) = small_build.glob(f"*_{kind}.tflite")
    assert not op_names(path) & DYNAMIC_OPS
    assert open_runner(path).input.shape == (1, 32, 32, 3)
    assert open_runner(path).outputs[0].shape == (1, 10)


@pytest.mark.parametrize("name", [*ALL_IO, "fp32"])
def test_the_signature_leads_from_image_to_scores(files, name):
    signatures = Interpreter(model_path=str(files[name])).get_signature_list()
    assert list(signatures.values()) == [{"inputs": ["image"], "outputs": ["scores"]}]


@pytest.mark.parametrize(
    ("name", "dtype", "zero_points"),
    [
        ("uint8", "uint8", (128, 0)),
        ("int8", "int8", (0, -128)),
        ("float32", "float32", None),
        ("fp32", "float32", None),
    ],
)
def test_input_and_output_have_the_type_that_was_asked_for(files, name, dtype, zero_points):
    runner = open_runner(files[name])
    assert (runner.input.dtype, runner.outputs[0].dtype) == (dtype, dtype)
    if zero_points:
        assert (runner.input.affine.zero_point, runner.outputs[0].affine.zero_point) == tuple((z,) for z in zero_points)
        assert runner.input.affine.scale == pytest.approx((1 / 127.5,))
        assert runner.outputs[0].affine.scale == (1 / 256,)


def test_variables_that_the_network_never_reads_are_not_saved(quantized, monkeypatch):
    """Each costs the converter ops of its own, twice."""
    saved = []
    make = tf.lite.TFLiteConverter.from_concrete_functions

    def making(functions, tracked):
        saved.extend(variable.name for variable in tracked.variables)
        return make(functions, tracked)

    monkeypatch.setattr(tf.lite.TFLiteConverter, "from_concrete_functions", making)
    int8_tflite(quantized, Io.UINT8)

    unread = {variable.name for variable in quantized.variables} - set(saved)
    assert {name.rpartition("/")[2] for name in unread} == {"optimizer_step:0"}
    assert len(saved) + len(unread) == len(quantized.variables)


def test_a_float_file_answers_as_the_network(folded, scores, pixels):
    expected = folded.predict_on_batch(PREPROCESS.normalize(pixels))
    np.testing.assert_allclose(scores["fp32"], expected, atol=1e-5)


def test_an_integer_file_answers_as_the_fake_quantized_network(quantized, scores, pixels):
    expected = quantized.predict_on_batch(PREPROCESS.dequantize(pixels))
    # Integer kernels round twice where fake quantization rounds once: a code or two of the 256.
    assert np.abs(scores["uint8"] - expected).max() <= 2 / 256
    assert len({row.tobytes() for row in scores["uint8"]}) > 50
    assert scores["uint8"].max() - scores["uint8"].min() > 0.5


@pytest.mark.parametrize("io", ["int8", "float32"])
def test_the_io_type_does_not_change_an_answer(scores, io):
    assert np.array_equal(scores[io], scores["uint8"])


@pytest.mark.parametrize("io", ALL_IO)
def test_the_onnx_twin_answers_the_same_with_every_io_type(files, scores, pixels, tmp_path, io):
    twin = tmp_path / "twin.onnx"
    twin.write_bytes(onnx_from_tflite(files[io].read_bytes(), Precision.INT8, OnnxForm(graph_name="mobilenet_v1")))
    runner = open_runner(twin)
    assert (runner.input.dtype, runner.outputs[0].dtype) == (io, io)
    found = scores_of(runner, pixels)
    assert np.array_equal(found.argmax(axis=1), scores[io].argmax(axis=1))
    assert np.abs(found - scores[io]).max() <= 1 / 256


def test_weights_are_the_codes_of_each_channels_own_scale(files, folded):
    interpreter = Interpreter(model_path=str(files["uint8"]))
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    convolutions = [op for op in interpreter._get_ops_details() if op["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    for name, op in zip(("stem", "depthwise", "pointwise", "head"), convolutions, strict=True):
        stored = details[op["inputs"][1]]
        kernel = folded.get_layer(name).get_weights()[0]
        # TFLite keeps (out, kh, kw, in), and (1, kh, kw, channels) of a depthwise kernel.
        turned = kernel.transpose(3, 0, 1, 2)
        affine = weight_affine(turned, axis=3 if name == "depthwise" else 0)
        assert stored["quantization_parameters"]["scales"] == pytest.approx(affine.scale, rel=1e-5)
        assert np.array_equal(interpreter.get_tensor(stored["index"]), affine.quantize(turned, low=-127))


def test_the_same_network_gives_the_same_bytes(files, ranges):
    assert int8_tflite(quantized_with(short_network(), ranges), Io.UINT8) == files["uint8"].read_bytes()
    assert fp32_tflite(short_network()) == files["fp32"].read_bytes()


def test_a_range_too_narrow_to_be_real_is_refused(folded, ranges):
    with pytest.raises(StageError, match="must have a calibrated range"):
        int8_tflite(quantized_with(folded, {**ranges, "pointwise_relu": Range(low=0, high=1e-9)}), Io.UINT8)


def test_an_input_range_too_narrow_to_be_real_is_refused(folded, ranges):
    with pytest.raises(StageError, match="must have a calibrated range"):
        int8_tflite(quantized_with(folded, ranges, input_scale=1e-9 / 255), Io.UINT8)
