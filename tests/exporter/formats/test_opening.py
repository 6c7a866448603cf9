"""What goes into an artifact and comes out of it, and which files are no artifact."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from tflite_by_hand import tflite_of

from mbexport.artifact import Layout, Precision
from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.classifier import Classifier
from mbexport.formats.matching import match
from mbexport.formats.registry import format_of, open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Source, Subject
from mbexport.models.facts import Output
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.models.resolution import Resolution

FLOAT, FLOAT16, INT32 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32
INT8, UINT8 = TensorProto.INT8, TensorProto.UINT8
PREPROCESS = Preprocess(resolution=Resolution.square(4))
IMAGE = (1, 4, 4, 3)
Edge = tuple[str, int, Sequence[int | str]]
Save = Callable[..., Path]


def edge(name: str, kind: int = FLOAT, shape: Sequence[int | str] = IMAGE) -> Edge:
    return name, kind, shape


SCORES = edge("scores", FLOAT, [1, 48])


def entry(save: Save, *, zero_point: object, scale: object = np.float32(1 / 127.5)) -> Runner:
    """A file that quantizes its float image first thing, and gives the codes' numbers flat as its scores."""
    steps = "QuantizeLinear image s z -> q; DequantizeLinear q s z -> d; Flatten d -> scores"
    return open_runner(save([edge("image")], [SCORES], steps, s=scale, z=zero_point))


def all_bytes() -> np.ndarray:
    """Six images (6, 4, 4, 3) that hold every byte."""
    return np.resize(np.arange(256, dtype=np.uint8), (6, 4, 4, 3))


def test_a_byte_input_takes_the_bytes(save):
    runner = open_runner(save([edge("image", UINT8)], [SCORES]))
    feed = runner.prepare(all_bytes(), PREPROCESS)
    assert feed.dtype == np.uint8
    assert np.array_equal(feed, all_bytes())


def test_an_int8_input_takes_the_bytes_minus_128(save):
    runner = open_runner(save([edge("image", INT8)], [SCORES]))
    feed = runner.prepare(np.array([0, 1, 127, 128, 255], np.uint8), PREPROCESS)
    assert feed.dtype == np.int8
    assert feed.tolist() == [-128, -127, -1, 0, 127]


def test_a_float_input_takes_normalized_numbers(save):
    runner = open_runner(save([edge("image")], [SCORES]))
    preprocess = Preprocess(resolution=Resolution.square(4), normalization=Normalization(mean=(51,), std=(102,)))
    feed = runner.prepare(np.array([0, 51, 255], np.uint8), preprocess)
    assert feed.dtype == np.float32
    assert feed.tolist() == [-0.5, 0, 2]


def test_a_float_input_of_another_order_takes_blue_first(save):
    runner = open_runner(save([edge("image")], [SCORES]))
    preprocess = Preprocess(
        resolution=Resolution.square(4), normalization=Normalization(mean=(1, 2, 3), std=(1,), is_bgr=True)
    )
    feed = runner.prepare(np.array([[10, 20, 30]], np.uint8), preprocess)
    assert feed.tolist() == [[29, 18, 7]]


@pytest.mark.parametrize("zero_point", [np.uint8(128), np.int8(0)])
def test_a_float_input_that_is_quantized_first_takes_what_the_codes_stand_for(save, zero_point):
    runner = entry(save, zero_point=zero_point)
    feed = runner.prepare(np.array([0, 128, 255], np.uint8), PREPROCESS)
    # Not -1, 0.0039 and 1, which a mean of 127.5 makes of them.
    assert feed == pytest.approx([-128 / 127.5, 0, 127 / 127.5])


@pytest.mark.parametrize("zero_point", [np.uint8(128), np.int8(0), np.uint8(0), np.int8(-128)])
def test_what_a_quantized_float_input_takes_lands_on_the_codes(save, zero_point):
    runner = entry(save, zero_point=zero_point)
    offset = int(zero_point) + (128 if zero_point.dtype == np.int8 else 0)
    feeds = runner.prepare(all_bytes(), PREPROCESS)
    # In the middle of a code, so that no runtime rounds to its neighbour.
    assert np.abs(feeds * 127.5 + offset - all_bytes()).max() < 1e-4
    seen = Classifier(runner).raw(feeds)
    assert np.array_equal(np.rint(seen * 127.5) + offset, all_bytes().reshape(6, 48))


def test_scale_and_zero_point_may_be_vectors_of_one(save):
    # As legal as scalars, and what other exporters write.
    runner = entry(save, scale=np.float32([0.5]), zero_point=np.uint8([3]))
    assert runner.prepare(np.array([3, 5], np.uint8), PREPROCESS).tolist() == [0, 1]


@pytest.mark.parametrize("has_nodes", [False, True])
@pytest.mark.parametrize(
    ("steps", "zero_point"),
    [
        ("DequantizeLinear image s z -> d; Flatten d -> scores", 7),
        ("DequantizeLinear image s -> d; Flatten d -> scores", 0),
        ("Transpose image -> u; Transpose u -> t; DequantizeLinear t s z -> d; Flatten d -> scores", 7),
        ("QLinearConv image s z w one none s z -> q; DequantizeLinear q s z -> d; Flatten d -> scores", 7),
    ],
)
def test_quantizations_of_other_exporters_are_read(save, has_nodes, steps, zero_point):
    """Constants may be initializers or nodes, a zero point of 0 may be left out, a convolution may take the codes."""
    constants = {"s": np.float32(0.5), "z": np.uint8(7), "w": np.ones((3, 3, 1, 1), np.int8)}
    constants |= {"one": np.float32(1), "none": np.int8(0)}
    path = save([edge("image", UINT8, (1, 3, 4, 4))], [SCORES], steps, has_nodes=has_nodes, **constants)
    assert open_runner(path).input.affine == Affine(scale=(0.5,), zero_point=(zero_point,))


def test_a_scale_that_is_none_is_refused(save):
    steps = "DequantizeLinear image s z -> d; Flatten d -> scores"
    path = save([edge("image", UINT8)], [SCORES], steps, s=np.float32("nan"), z=np.uint8(0))
    with pytest.raises(DataError, match=r"tiny\.onnx: a scale must be positive and finite, got nan"):
        open_runner(path)


def test_codes_of_a_convolution_are_read_as_scores(save):
    steps = "QLinearConv image s z w s z t y -> scores"
    constants = {"s": np.float32(1), "z": np.uint8(0), "w": np.ones((5, 3, 4, 4), np.uint8)}
    constants |= {"t": np.float32(0.25), "y": np.uint8(9)}
    path = save([edge("image", UINT8, (1, 3, 4, 4))], [edge("scores", UINT8, (1, 5, 1, 1))], steps, **constants)
    classifier = Classifier(open_runner(path))
    # 48 bytes of 2: 96 / 0.25 + 9 is beyond 255, which stands for (255 - 9) / 4.
    assert classifier.scores(classifier.invoke(np.full((1, 3, 4, 4), 2, np.uint8))).tolist() == [[61.5] * 5]


@pytest.mark.parametrize("kind", [FLOAT16, INT32])
def test_an_input_of_another_type_is_refused(save, kind):
    runner = open_runner(save([edge("image", kind)], [SCORES]))
    with pytest.raises(DataError, match="must be uint8, int8 or float32"):
        runner.prepare(all_bytes(), PREPROCESS)


@pytest.mark.parametrize(
    ("kind", "zero_point", "raw", "expected"),
    [
        (UINT8, np.uint8(0), [0, 128, 255], [0, 0.5, 255 / 256]),
        (INT8, np.int8(-128), [-128, 0, 127], [0, 0.5, 255 / 256]),
        (UINT8, np.uint8(64), [0, 64, 255], [-0.25, 0, 191 / 256]),
    ],
)
def test_scores_are_what_the_output_codes_stand_for(save, kind, zero_point, raw, expected):
    steps = "QuantizeLinear real s z -> scores"
    constants = {"real": np.zeros((1, 3), np.float32), "s": np.float32(1 / 256), "z": zero_point}
    classifier = Classifier(open_runner(save([edge("image")], [edge("scores", kind, [1, 3])], steps, **constants)))
    found = classifier.scores(np.array([raw], zero_point.dtype))
    assert found.dtype == np.float32
    assert found.tolist() == [expected]


def test_float_scores_are_left_as_they_are(save):
    classifier = Classifier(open_runner(save([edge("image")], [SCORES])))
    raw = np.float32([[0.1, 0.9]])
    assert np.array_equal(classifier.scores(raw), raw)


NO_IMAGES = [(1, 5, 4, 5), (1, 8, 8, 16), (0, 4, 4, 3), (1, 4, 4, 0), (1, 4, 4)]


@pytest.mark.parametrize("shape", [*NO_IMAGES, (1, 1, 4, 4, 3)])
def test_an_input_that_is_no_image_is_refused(save, shape):
    path = save([edge("image", FLOAT, shape)], [SCORES])
    legal = r"\(n, height, width, channels\) or \(n, channels, height, width\) with 1 to 4 channels"
    with pytest.raises(DataError, match=rf"input must have shape {legal}, got \(.*\)$"):
        open_runner(path)


@pytest.mark.parametrize(
    ("shape", "layout", "resolution", "channels"),
    [
        ((1, 5, 8, 3), Layout.NHWC, "5x8", 3),
        ((1, 3, 5, 8), Layout.NCHW, "5x8", 3),
        ((1, 8, 5, 1), Layout.NHWC, "8x5", 1),
        ((1, 2, 8, 8), Layout.NCHW, 8, 2),
        ((1, 8, 8, 4), Layout.NHWC, 8, 4),
        ((1, 4, 4, 4), Layout.NHWC, 4, 4),  # channels last, if that can be
    ],
)
def test_inputs_of_any_shape_and_up_to_four_channels(save, shape, layout, resolution, channels):
    runner = open_runner(save([edge("image", FLOAT, shape)], [SCORES]))
    assert (runner.layout, runner.resolution.json, runner.channels) == (layout, resolution, channels)


@pytest.mark.parametrize("shape", [(1, 48, 1, 1), (1, 1, 1, 48)])
def test_classes_in_one_pixel_are_a_row_of_scores(save, shape):
    path = save(
        [edge("image")],
        [edge("scores", FLOAT, shape)],
        "Add zeros one -> scores",
        zeros=np.arange(48, dtype=np.float32).reshape(shape),
        one=np.float32(1),
    )
    classifier = Classifier(open_runner(path))
    raw = classifier.invoke(np.zeros(IMAGE, np.float32))
    assert (classifier.output.shape, classifier.classes) == ((1, 48), 48)
    assert raw.tolist() == [list(range(1, 49))]


@pytest.mark.parametrize("shape", [(48,), (1, 1, 48), (2, 48), (1, 1, 48, 1), (1, 2, 1, 24), (1, 1, 1, 1)])
def test_an_output_that_is_no_row_of_scores_is_refused(save, shape):
    runner = open_runner(save([edge("image")], [edge("scores", FLOAT, shape)]))
    with pytest.raises(DataError, match=r"output must have shape \(1, classes\), got \(.*\)$"):
        Classifier(runner)
    with pytest.raises(DataError, match=r"output must have shape \(1, classes\), got \(.*\)$"):
        Subject(runner=runner, preprocess=PREPROCESS, kind=Output.SOFTMAX, source=Source.OPTION)


def test_two_inputs_are_refused(save):
    with pytest.raises(DataError, match="expected one input, which takes images, got 2"):
        open_runner(save([edge("image"), edge("other")], [SCORES]))


@pytest.fixture
def detector(save):
    """A network with two outputs that are no scores: boxes (1, 8, 4) and their number (1,)."""
    sizes = {
        "starts": np.int64([0, 0]),
        "ends": np.int64([1, 32]),
        "boxes_shape": np.int64([1, 8, 4]),
        "one": np.int64([1]),
    }
    return save(
        [edge("image")],
        [edge("boxes", FLOAT, (1, 8, 4)), edge("number", FLOAT, (1,))],
        "Flatten image -> flat; Slice flat starts ends -> part; Reshape part boxes_shape -> boxes; "
        "ReduceMean flat -> mean; Reshape mean one -> number",
        **sizes,
    )


def test_a_runner_gives_any_number_of_outputs_of_any_shape(detector):
    runner = open_runner(detector)
    assert [(output.name, output.shape) for output in runner.outputs] == [("boxes", (1, 8, 4)), ("number", (1,))]
    boxes, number = runner.invoke(np.full(IMAGE, 0.5, np.float32))
    assert (boxes.shape, boxes.ravel().tolist(), number.ravel().tolist()) == ((1, 8, 4), [0.5] * 32, [0.5])


def test_classification_refuses_two_outputs_in_one_line(detector):
    runner = open_runner(detector)
    with pytest.raises(DataError, match=r"\.onnx: expected one input and one output, got 1 and 2$"):
        Classifier(runner)
    with pytest.raises(DataError, match=r"\.onnx: expected one input and one output, got 1 and 2$"):
        match(runner, pixels=PREPROCESS, given=PREPROCESS.normalization, classes=48, background=False)


def test_an_open_batch_counts_as_one(save):
    runner = open_runner(save([edge("image", FLOAT, ("batch", 4, 4, 3))], [SCORES]))
    assert (runner.input.shape, runner.resolution.json, Classifier(runner).classes) == (IMAGE, 4, 48)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_are_told_apart(save, channels):
    runner = open_runner(save([edge("image", FLOAT, (1, 4, 4, channels))], [SCORES]))
    assert (runner.resolution.json, runner.channels) == (4, channels)


def test_an_open_resolution_is_refused(save):
    # Taken for one pixel, every image would shrink to a dot without a word.
    path = save([edge("image", FLOAT, (1, "height", "width", 3))], [SCORES])
    with pytest.raises(DataError, match=r"must have one size, got the open one \(1, -1, -1, 3\)"):
        open_runner(path)


@pytest.mark.parametrize("name", ["image.png", "model", "model.onnx.zip", "tflite", "model.pb"])
def test_another_ending_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"1")
    with pytest.raises(DataError, match=r"must end in \.tflite or \.onnx, or be a Keras"):
        format_of(tmp_path / name)


@pytest.mark.parametrize("ending", [".tflite", ".onnx"])
def test_a_file_that_is_not_there_is_refused(tmp_path, ending):
    (tmp_path / f"folder{ending}").mkdir()
    for name in ("missing", "folder"):
        with pytest.raises(DataError, match="no such file"):
            open_runner(tmp_path / f"{name}{ending}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("A.TFLITE", "tflite"), ("b.Onnx", "onnx")),
        *(("c.keras", "keras"), ("d.H5", "keras"), ("e.hdf5", "keras")),
    ],
)
def test_the_ending_may_be_in_capitals(tmp_path, name, expected):
    (tmp_path / name).write_bytes(b"1")
    assert format_of(tmp_path / name).name == expected


@pytest.mark.parametrize("ending", [".tflite", ".onnx"])
@pytest.mark.parametrize("content", ["", "garbage", "\x1c\0\0\0TFL3" + "\1" * 200, "first half"])
def test_what_is_no_artifact_is_refused_in_one_line(small_build, tmp_path, ending, content):
    whole = next(small_build.glob(f"*_int8{ending}")).read_bytes()
    cut = {"first half": whole[: len(whole) // 2]}
    path = tmp_path / f"broken{ending}"
    path.write_bytes(cut.get(content, content.encode("latin-1")))
    with pytest.raises(DataError) as caught:
        open_runner(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["model.lite", "model", "model.tflite.1", "model.onnx", "model.h5", "model.bin"])
def test_a_tflite_is_one_under_any_name(tmp_path, name):
    (tmp_path / name).write_bytes(tflite_of("float32"))
    runner = open_runner(tmp_path / name)
    assert (runner.runtime, format_of(runner.path).name, runner.name) == ("litert", "tflite", name)


@pytest.mark.parametrize("name", ["model", "model.tflite", "model.pb", "model.keras"])
def test_an_onnx_is_one_under_any_name(save, tmp_path, name):
    path = save([edge("image")], [SCORES]).rename(tmp_path / name)
    assert (open_runner(path).runtime, format_of(path).name) == ("onnxruntime", "onnx")


@pytest.mark.parametrize(
    "head", [b"\x89HDF\r\n\x1a\n", b"PK\3\4" + bytes(26) + b"metadata.json{}", b"PK\3\4" + bytes(26) + b"config.json{}"]
)
def test_a_keras_file_is_one_under_any_name(tmp_path, head):
    for name in ("model", "model.tflite", "model.onnx"):
        (tmp_path / name).write_bytes(head)
        assert format_of(tmp_path / name).name == "keras"


@pytest.mark.parametrize(
    "content", [b"", b"\x08", b"\x08\x01\x12", b"PK\3\4" + bytes(26) + b"a.txt", b"TFL3", b"\x89HDF"]
)
def test_what_only_resembles_a_format_is_not_recognized(tmp_path, content):
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(DataError, match=r"must end in \.tflite or \.onnx, or be a Keras"):
        format_of(tmp_path / "model")
    (tmp_path / "model.onnx").write_bytes(content)
    assert format_of(tmp_path / "model.onnx").name == "onnx"


def test_only_regular_files_are_read_to_recognize_them(tmp_path):
    os.mkfifo(tmp_path / "pipe.tflite")
    for path in (tmp_path / "pipe.tflite", Path("/dev/zero")):
        with pytest.raises(DataError):
            format_of(path)


@pytest.mark.parametrize("ending", [".tflite", ".onnx"])
def test_a_build_is_read_back_as_what_it_is(small_build, ending):
    int8, fp32 = (open_runner(next(small_build.glob(f"*_{kind}{ending}"))) for kind in ("int8", "fp32"))
    assert (int8.precision, fp32.precision) == (Precision.INT8, Precision.FP32)
    assert (int8.input.dtype, fp32.input.dtype) == ("uint8", "float32")
    assert {(runner.resolution.json, Classifier(runner).classes) for runner in (int8, fp32)} == {(32, 10)}
    assert (int8.input.affine.zero_point, int8.outputs[0].affine.scale) == ((128,), (1 / 256,))
    assert fp32.input.affine is fp32.outputs[0].affine is None


@pytest.mark.parametrize("kind", ["int8", "fp32"])
def test_the_number_of_threads_does_not_change_an_answer(small_build, kind):
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    for path in small_build.glob(f"*_{kind}.*"):
        one, two = (open_runner(path, threads=threads) for threads in (1, 2))
        feed = one.prepare(pixels, Preprocess(resolution=Resolution.square(32)))
        np.testing.assert_allclose(two.invoke(feed), one.invoke(feed), atol=1e-6)


def test_no_thread_of_onnxruntime_spins_on_after_a_run(save):
    """It would slow down whichever artifact is timed next."""
    options = open_runner(save([edge("image")], [SCORES]), threads=2)._session.get_session_options()

    assert options.get_session_config_entry("session.force_spinning_stop") == "1"


def test_channels_first_are_seen_and_fed(save):
    first = open_runner(save([edge("image", FLOAT, (1, 3, 4, 4))], [SCORES]))
    assert (first.layout, first.resolution.json, first.channels) == (Layout.NCHW, 4, 3)
    pixels = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    last = open_runner(save([edge("image", FLOAT, (1, 4, 4, 3))], [SCORES]))
    preprocess = Preprocess(resolution=Resolution.square(4))
    turned = last.prepare(pixels, preprocess).transpose(0, 3, 1, 2)
    assert np.array_equal(first.prepare(pixels, preprocess), turned)
