"""A detector's files as they are exported: their ends, their integers, and that all answer as the network does."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto
from small_ssd import LABELS, PREPROCESS, SIDES, conversion, made, onnx_of, pixels, small_ssd, tail, tflite_of

from mbexport.artifact import OPSETS, Io, Layout, Precision
from mbexport.errors import StageError
from mbexport.formats.contents import detection_tail_of, network_alone, stored_labels
from mbexport.formats.detection_tail import OUTPUTS
from mbexport.formats.kernels import Arithmetic
from mbexport.formats.matching import match_detector
from mbexport.formats.onnx.convert import onnx_file
from mbexport.formats.onnx.runner import session_options
from mbexport.formats.registry import format_of, kernels_of, open_runner
from mbexport.formats.tflite.convert import fp32_tflite, int8_tflite, tflite_file
from mbexport.models.detection.boxes import Detections
from mbexport.models.detection.postprocess import detect, detect_batch

pytestmark = pytest.mark.run

HEADS = {name for number in range(len(SIDES)) for name in (f"boxes_{number}", f"classes_{number}")}
TFLITE = (Precision.FP32, Precision.FP16, Precision.INT8, Precision.DYNAMIC, Precision.INT16X8)
ONNX = (Precision.FP32, Precision.FP16, Precision.INT8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("detector")


def saved(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def paths(folder) -> dict[str, Path]:
    files = {f"{each}.tflite": tflite_of(each) for each in TFLITE} | {f"{each}.onnx": onnx_of(each) for each in ONNX}
    return {name: saved(folder, name, content) for name, content in files.items()}


def detections(path: Path) -> tuple[Detections, ...]:
    return match_detector(open_runner(path), pixels=PREPROCESS, given=None).detections(pixels())


@pytest.fixture(scope="module")
def found(paths) -> dict[str, tuple[Detections, ...]]:
    return {name: detections(path) for name, path in paths.items()}


@pytest.fixture(scope="module")
def expected() -> tuple[Detections, ...]:
    """What the Keras network finds."""
    outputs = small_ssd().predict_on_batch(PREPROCESS.normalize(pixels()))
    return detect_batch(outputs, tail().anchors, tail().code_scales, tail().settings)


def alike(one: Detections, other: Detections, *, within: float = 0) -> bool:
    """Whether both have the same objects in the same order, scores within 1e-4."""
    return (
        one.classes.tolist() == other.classes.tolist()
        and np.abs(one.corners - other.corners).max(initial=0) <= within
        and np.abs(one.scores - other.scores).max(initial=0) <= 1e-4
    )


def share_paired(ones: tuple[Detections, ...], others: tuple[Detections, ...]) -> float:
    """The share of the objects of `ones` that `others` have too: of that class, corners within 3 %."""
    hits = [
        bool(((b.classes == cls) & (np.abs(b.corners - box).max(axis=1) < 0.03)).any()) if len(b) else False
        for a, b in zip(ones, others, strict=True)
        for cls, box in zip(a.classes, a.corners, strict=True)
    ]
    return float(np.mean(hits))


def test_the_network_finds_some_objects_of_each_class_and_not_too_many(expected):
    counts = [len(each) for each in expected]
    assert {int(cls) for each in expected for cls in each.classes} == {0, 1, 2}
    assert min(counts) < 5
    assert 5 < max(counts) < tail().settings.max_detections


@pytest.mark.parametrize("name", ["fp32.tflite", "fp32.onnx"])
def test_a_float_file_finds_what_the_network_finds(found, expected, name):
    assert all(alike(a, b, within=1e-5) for a, b in zip(found[name], expected, strict=True))


def test_the_int8_twins_find_the_same_boxes(found):
    pairs = list(zip(found["int8.tflite"], found["int8.onnx"], strict=True))
    assert all(alike(a, b) for a, b in pairs)
    assert sum(len(a) for a, _ in pairs) > 50


@pytest.mark.parametrize("name", ["fp16.tflite", "fp16.onnx", "int8.tflite", "dynamic.tflite", "int16x8.tflite"])
def test_a_reduced_file_finds_nearly_what_the_network_finds(found, expected, name):
    assert share_paired(expected, found[name]) > (0.95 if name.startswith("fp16") else 0.6)
    assert share_paired(found[name], expected) > (0.95 if name.startswith("fp16") else 0.6)


def test_every_file_has_the_four_outputs_in_order(paths):
    most = tail().settings.max_detections
    shapes = [(1, most, 4), (1, most), (1, most), (1,)]
    for path in paths.values():
        outputs = open_runner(path).outputs
        assert [(each.name, each.shape, each.dtype) for each in outputs] == [
            (name, shape, "float32") for name, shape in zip(OUTPUTS, shapes, strict=True)
        ]


def test_an_int8_file_takes_bytes_and_computes_in_integers(paths):
    for name in ("int8.tflite", "int8.onnx"):
        runner = open_runner(paths[name])
        kernels = kernels_of(runner)
        assert (runner.input.dtype, runner.precision) == ("uint8", Precision.INT8)
        assert (kernels.int8_convs, kernels.float_convs) == (27, 0)


def test_every_file_passes_its_own_format_s_check_and_holds_the_labels(paths):
    for path in paths.values():
        format_of(path).check(path)
        assert stored_labels(open_runner(path)) == LABELS


@pytest.mark.parametrize("io", [Io.INT8, Io.FLOAT32])
def test_each_type_of_input_finds_the_same(folder, found, io):
    path = saved(folder, f"{io}_input.tflite", tflite_file(conversion(Precision.INT8, io=io)))
    runner = open_runner(path)
    assert runner.input.dtype == io.value
    assert all(alike(a, b) for a, b in zip(detections(path), found["int8.tflite"], strict=True))


@pytest.mark.parametrize(("layout", "opset"), [(Layout.NCHW, 17), (Layout.NHWC, OPSETS[0]), (Layout.NHWC, OPSETS[-1])])
@pytest.mark.parametrize("precision", ONNX)
def test_each_form_of_an_onnx_finds_the_same(folder, found, precision, layout, opset):
    path = saved(folder, f"{precision}_{layout}_{opset}.onnx", onnx_of(precision, layout=layout, opset=opset))
    assert open_runner(path).layout is layout
    pairs = zip(detections(path), found[f"{precision}.onnx"], strict=True)
    assert all(alike(a, b, within=1e-5) for a, b in pairs)


def test_the_anchors_are_stored_once_and_as_floats(paths):
    stored = tail().anchors.tobytes()
    for path in paths.values():
        assert path.read_bytes().count(stored) == 1
    model = onnx.load(paths["int8.onnx"])
    assert [each.data_type for each in model.graph.initializer if tuple(each.dims) == (96, 4)] == [TensorProto.FLOAT]


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_converting_again_gives_the_same_bytes(precision):
    again = tflite_file(conversion(precision))
    twin = onnx_file(conversion(precision, source=again))
    pairs = ((again, tflite_of(precision)), (twin, onnx_of(precision)))
    assert [hashlib.sha256(a).hexdigest() for a, _ in pairs] == [hashlib.sha256(b).hexdigest() for _, b in pairs]


@pytest.mark.parametrize("name", ["fp32.tflite", "int8.tflite", "fp32.onnx", "fp16.onnx", "int8.onnx"])
def test_what_is_behind_the_network_can_be_taken_off_again(folder, paths, found, name):
    runner = open_runner(paths[name])
    assert detection_tail_of(runner).settings == tail().settings
    assert np.array_equal(detection_tail_of(runner).anchors, tail().anchors)
    alone = open_runner(saved(folder, f"alone_{name}", network_alone(runner)))
    places = {output.name: place for place, output in enumerate(alone.outputs)}
    assert set(places) == HEADS
    preprocess = match_detector(runner, pixels=PREPROCESS, given=None).preprocess
    for image, objects in zip(alone.prepare(pixels(), preprocess), found[name], strict=True):
        outputs = alone.invoke(image[None])
        heads = [outputs[places[each]] for head in tail().heads for each in head]
        (again,) = detect_batch(heads, tail().anchors, tail().code_scales, tail().settings)
        assert alike(again, objects)


@pytest.mark.parametrize("content", [lambda: fp32_tflite(made(Precision.FP32).model), lambda: integers(Io.UINT8)])
def test_the_signature_names_all_twelve_outputs_of_a_network(content):
    interpreter = Interpreter(model_content=content())
    (ends,) = interpreter.get_signature_list().values()
    assert set(ends["outputs"]) == HEADS


def integers(io: Io) -> bytes:
    return int8_tflite(made(Precision.INT8).model, io)


def test_each_of_twelve_outputs_has_a_scale_of_its_own():
    interpreter = Interpreter(model_content=integers(Io.INT8))
    details = interpreter.get_output_details()
    assert {each["dtype"] for each in details} == {np.int8}
    assert len({float(each["quantization_parameters"]["scales"][0]) for each in details}) == len(HEADS)


@pytest.mark.parametrize("batch", [None, 2])
def test_several_images_at_a_time_are_refused(batch):
    with pytest.raises(StageError, match="a detector must take one image at a time, got a batch of"):
        tflite_file(conversion(Precision.FP32, batch=batch))


@pytest.mark.parametrize(("precision", "dtype"), [(Precision.FP32, "float32"), (Precision.INT8, "uint8")])
def test_a_raw_file_gives_codes_and_scores_for_apps_to_decode(folder, found, precision, dtype):
    path = saved(folder, f"{precision}_raw.tflite", tflite_file(conversion(precision, is_raw=True)))
    runner = open_runner(path)
    format_of(path).check(path)
    assert [(each.name, each.shape, each.dtype) for each in runner.outputs] == [
        ("location", (1, 96, 4), dtype),
        ("score", (1, 96, 3), dtype),
    ]
    assert stored_labels(runner) == LABELS
    if precision is Precision.INT8:  # no delegate of integers has to hand anything back
        assert {row.arithmetic for row in kernels_of(runner).rows} == {Arithmetic.INTEGER}
    answers = []
    for image in runner.prepare(pixels(), PREPROCESS):
        codes, scores = runner.invoke(image[None])
        real = [
            spec.affine.dequantize(raw) if spec.affine else raw
            for spec, raw in zip(runner.outputs, (codes, scores), strict=True)
        ]
        answers.append(detect(real[0][0], real[1][0], tail().anchors, tail().code_scales, tail().settings))
    assert match_detector(runner, pixels=PREPROCESS, given=None).is_raw
    least = np.float32(tail().settings.score_threshold)  # what is read of the file alone has the usual thresholds
    certain = [each.take(each.scores >= least) for each in detections(path)]
    most = tail().settings.max_detections
    assert all(alike(a, b.take(np.arange(min(most, len(b))))) for a, b in zip(answers, certain, strict=True))
    assert share_paired(found[f"{precision}.tflite"], tuple(answers)) > (0.99 if dtype == "float32" else 0.85)


def test_an_onnx_says_that_it_detects(paths):
    found = open_runner(paths["fp32.onnx"]).metadata()
    assert (found["output"], found["detection.score_threshold"]) == ("detections", "0.3")
    assert (found["detection.iou_threshold"], found["detection.max_detections"]) == ("0.6", "20")
    session = onnxruntime.InferenceSession(str(paths["fp32.onnx"]), session_options())
    assert [each.name for each in session.get_outputs()] == list(OUTPUTS)
