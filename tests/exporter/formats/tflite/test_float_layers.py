"""Layers of an int8 network that stay in float: in both formats, and as the simulation has them."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from branched_networks import PREPROCESS, Int8, int8_of, inverted_residuals, pixels

from mbexport.artifact import Layout, OnnxForm, Precision
from mbexport.calibration.examine.twins import Twin, run_in_integers
from mbexport.calibration.integers.corrections import Corrections
from mbexport.errors import StageError
from mbexport.formats.classifier import Classifier
from mbexport.formats.kernels import Arithmetic
from mbexport.formats.onnx.convert import onnx_from_tflite
from mbexport.formats.registry import kernels_of, open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.tflite.file import canonicalize, op_names, opened, packed
from mbexport.formats.tflite.float_layers import with_float_layers

pytestmark = pytest.mark.run


def ops_of(content: bytes) -> Counter[str]:
    """How often the file has each op."""
    model = opened(content)
    names, (graph,) = op_names(model), model.subgraphs
    return Counter(names[op.opcodeIndex] for op in graph.operators)


def canonical(content: bytes) -> bytes:
    """The file as it is delivered, with a name for each tensor."""
    canonicalize(model := opened(content))
    return packed(model)


def convolutions(int8: Int8) -> list[str]:
    return list(int8.found.weights)


@pytest.fixture(scope="module")
def plain() -> Int8:
    return int8_of(inverted_residuals())


@pytest.fixture(scope="module")
def kept(plain: Int8) -> tuple[str, ...]:
    """The first convolution, a depthwise one with the one behind it, and the last."""
    names = convolutions(plain)
    depthwise = next(twin.layer for twin in plain.twins if twin.step.is_depthwise)
    return names[0], depthwise, names[names.index(depthwise) + 1], names[-1]


@pytest.fixture(scope="module")
def wide(kept: tuple[str, ...]) -> Int8:
    return int8_of(inverted_residuals(), kept=kept)


@pytest.fixture(scope="module")
def files(wide: Int8, kept: tuple[str, ...], tmp_path_factory: Any) -> tuple[Runner, Runner]:
    folder: Path = tmp_path_factory.mktemp("kept")
    content = canonical(wide.tflite)
    (folder / "it.tflite").write_bytes(content)
    form = OnnxForm(graph_name="kept")
    (folder / "it.onnx").write_bytes(onnx_from_tflite(content, Precision.INT8, form, floats=len(kept)))
    tflite, onnx = (open_runner(folder / name) for name in ("it.tflite", "it.onnx"))
    return tflite, onnx


def test_only_these_layers_compute_in_floats_in_both_runtimes(
    files: tuple[Runner, Runner], kept: tuple[str, ...]
) -> None:
    for runner in files:
        kernels = kernels_of(runner)
        assert kernels.float_convs == len(kept)
        assert kernels.hybrid_convs == 0
        assert kernels.int8_convs > len(kept)


def test_a_float_layer_stands_between_two_conversions(plain: Int8, kept: tuple[str, ...]) -> None:
    content = with_float_layers(plain.tflite, plain.decided, kept)
    before, after = (ops_of(each) for each in (plain.tflite, content))
    assert after - before == Counter({"DEQUANTIZE": len(kept), "QUANTIZE": len(kept)})
    assert before - after == Counter()
    assert with_float_layers(plain.tflite, plain.decided, ()) == plain.tflite


def test_a_float_layer_holds_the_weights_that_were_decided(plain: Int8) -> None:
    name = convolutions(plain)[-1]
    content = with_float_layers(plain.tflite, plain.decided, [name])
    model = opened(content)
    (graph,) = model.subgraphs
    (op,) = [op for op in graph.operators if graph.tensors[op.outputs[0]].type == 0 and len(op.inputs) == 3]
    _, kernel, bias = (graph.tensors[index] for index in op.inputs)
    stored = [np.frombuffer(bytes(model.buffers[each.buffer].data), np.float32) for each in (kernel, bias)]
    decided = plain.decided[name]
    np.testing.assert_array_equal(stored[0].reshape(kernel.shape), decided.kernel.transpose(3, 0, 1, 2))
    np.testing.assert_array_equal(stored[1], decided.bias)


def test_files_answer_as_the_simulation_does(files: tuple[Runner, Runner], wide: Int8) -> None:
    images = pixels()
    answers = [Classifier(each).raw(each.prepare(images, PREPROCESS)).astype(np.int32) for each in files]
    scores = np.asarray(wide.quantized(PREPROCESS.dequantize(images)))
    simulated = np.rint(scores * 256).clip(0, 255)
    for found in answers:
        assert len({row.tobytes() for row in found}) > 16  # the answers depend on the image
        assert np.abs(found - simulated).max() <= 8
        assert (found.argmax(axis=1) == scores.argmax(axis=1)).mean() > 0.9
    assert np.abs(answers[0] - answers[1]).max() <= 4


def logits(twins: list[Twin], images: np.ndarray) -> np.ndarray:
    *_, (twin, steps) = run_in_integers(twins, PREPROCESS.steps(images))
    return np.asarray(steps * twin.units).reshape(len(images), -1)


def test_twins_give_the_logits_of_the_fake_quantized_network(wide: Int8) -> None:
    import tf_keras

    images = pixels()
    flat = next(layer for layer in wide.quantized.layers if "flat" in layer.name)
    network = tf_keras.Model(wide.quantized.input, flat.output)
    expected = np.asarray(network(PREPROCESS.dequantize(images)))
    found = logits(wide.twins, images)
    step = float(wide.twins[-1].units.max())
    assert np.abs(found - expected).max() <= 4 * step
    assert np.abs(found - expected).mean() < step


def test_float_layers_bring_the_answers_nearer_to_float(plain: Int8) -> None:
    none = Corrections(copies=False, equalization=False, rounding=False, bias=False, logits=False)
    rounded = int8_of(inverted_residuals(), none)
    whole = int8_of(inverted_residuals(), none, kept=convolutions(plain))
    images = pixels()
    expected = logits_in_float(plain, images)
    apart = [float(np.square(logits(each.twins, images) - expected).mean()) for each in (rounded, whole)]
    assert apart[1] < apart[0]


def logits_in_float(int8: Int8, images: np.ndarray) -> np.ndarray:
    from mbexport.calibration.examine.twins import run_in_float

    *_, (twin, steps) = run_in_float(int8.twins, PREPROCESS.steps(images))
    return np.asarray(steps * twin.units).reshape(len(images), -1)


def test_weights_that_are_kept_are_those_of_float(wide: Int8, plain: Int8, kept: tuple[str, ...]) -> None:
    for name, (kernel, _) in wide.found.weights.items():
        scales = wide.found.largest[name] / 127
        codes = kernel.reshape(-1, len(scales)) / scales
        is_whole = np.allclose(codes, np.rint(codes), atol=1e-3)
        assert is_whole is (name not in kept), name


@pytest.mark.parametrize("layout", Layout)
def test_a_number_of_float_layers_that_was_not_asked_for_is_refused(
    wide: Int8, kept: tuple[str, ...], layout: Layout
) -> None:
    content, form = canonical(wide.tflite), OnnxForm(graph_name="kept", layout=layout)
    with pytest.raises(StageError, match=f"must be int8 in all layers but 0, got float32 in {len(kept)}"):
        onnx_from_tflite(content, Precision.INT8, form)
    made = onnx.load_from_string(onnx_from_tflite(content, Precision.INT8, form, floats=len(kept)))
    assert Counter(node.op_type for node in made.graph.node)["Cast"] == len(kept)


def test_conversions_are_not_taken_for_float_arithmetic(files: tuple[Runner, Runner], kept: tuple[str, ...]) -> None:
    rows = [row for row in kernels_of(files[0]).rows if row.op == "DEQUANTIZE"]
    assert [(row.arithmetic, row.count) for row in rows] == [(Arithmetic.CONVERSION, len(kept))]


def test_another_network_is_refused(plain: Int8) -> None:
    with pytest.raises(StageError, match="convolutions"):
        with_float_layers(plain.tflite, dict(list(plain.decided.items())[1:]), [convolutions(plain)[-1]])


def test_nothing_of_the_integers_is_left_in_the_file(plain: Int8) -> None:
    whole = with_float_layers(plain.tflite, plain.decided, convolutions(plain))
    floats = 4 * sum(each.kernel.size + each.bias.size for each in plain.decided.values())
    model = opened(whole)
    stored = sum(len(each.data) for each in model.buffers if each.data is not None)
    assert floats <= stored < floats + 1024  # shapes, axes and the runtime's version
