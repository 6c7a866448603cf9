"""The web bundle's JavaScript makes the same bytes, tensors, scores and boxes as Python does."""

import json

import numpy as np
import pytest
from detector_photos import detector_model
from golden_by_hand import app_model_by_hand
from hypothesis import example, given, settings
from hypothesis import strategies as st
from node_programs import Modules, base64_of, bytes_of, needs_node, rgba_of, size_of
from PIL import Image

from mbexport.bundles.web.bundle import web_files
from mbexport.models.data.decode import read_image
from mbexport.models.preprocess import CAFFE, MOBILENET, Normalization, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.transparency import over_white

pytestmark = needs_node

CASES = 300
PHOTOS_STEP = 20
WHOLE = Preprocess(resolution=Resolution.square(256), crop_fraction=1.0)


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    running = Modules(web_files(app_model_by_hand()), tmp_path_factory.mktemp("web"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    running = Modules(web_files(detector_model()), tmp_path_factory.mktemp("web"))
    yield running
    running.close()


def resized(modules, image, preprocess):
    return bytes_of(modules.ask("resized", **rgba_of(image), preprocess=size_of(preprocess)))


@st.composite
def images(draw):
    """Noise of any small size; lines and single pixels too."""
    width, height = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    seed = draw(st.integers(0, 2**32 - 1))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8))


# 3/7 of 7 is a whole number only after rounding; 0.5 of 1, 3 and 5 are halves, which go to the even neighbour.
FRACTIONS = st.one_of(st.sampled_from([1.0, 0.875, 0.5, 3 / 7, 1e-9]), st.floats(0.01, 1.0))
SIDES = st.integers(1, 40)
RESOLUTIONS = st.one_of(st.builds(Resolution.square, SIDES), st.builds(Resolution, height_px=SIDES, width_px=SIDES))


def preprocess_of(resolution, fraction, *, channels=3, is_stretched=False):
    return Preprocess(
        resolution=resolution,
        crop_fraction=1.0 if is_stretched else fraction,
        channels=channels,
        normalization=MOBILENET if channels == 3 else Normalization(mean=(0.0,), std=(1.0,)),
        is_stretched=is_stretched,
    )


PREPROCESSES = st.builds(
    preprocess_of, RESOLUTIONS, FRACTIONS, channels=st.sampled_from([1, 3]), is_stretched=st.booleans()
)


def test_a_row_by_hand(modules):
    """Of 4 pixels two: each is made of three, weighted 3, 3, 1 and 1, 3, 3 of 7: (3·0 + 3·70 + 140) / 7 = 50."""
    image = Image.fromarray(np.array([[[0] * 3, [70] * 3, [140] * 3, [210] * 3]], np.uint8))
    preprocess = Preprocess(resolution=Resolution(height_px=1, width_px=2), crop_fraction=1.0, is_stretched=True)
    assert resized(modules, image, preprocess) == bytes([50, 50, 50, 160, 160, 160])


@settings(max_examples=CASES)
@given(images(), PREPROCESSES)
@example(Image.new("RGBA", (1, 1), (9, 8, 7, 255)), preprocess_of(Resolution.square(1), 1.0))
@example(Image.new("RGBA", (1, 70), (9, 8, 7, 1)), preprocess_of(Resolution.square(40), 0.5, channels=1))
@example(Image.new("RGBA", (5, 3), (250, 8, 7, 128)), preprocess_of(Resolution.square(32), 0.5))
@example(Image.new("RGBA", (70, 5), (250, 8, 7, 128)), preprocess_of(Resolution(height_px=64, width_px=96), 0.5))
def test_images_are_resized_to_the_byte(modules, image, preprocess):
    assert resized(modules, image, preprocess) == preprocess.pixels(over_white(image)).tobytes()


def test_every_shade_of_every_transparency_lies_on_white(modules):
    shades, alphas = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    image = Image.fromarray(np.stack([shades, shades[::-1], 255 - shades, alphas], axis=-1))
    assert resized(modules, image, WHOLE) == over_white(image).tobytes()


def test_every_grey_is_that_of_pillow(modules):
    pixels = np.random.default_rng(7).integers(0, 256, (256, 256, 3), np.uint8)
    preprocess = Preprocess(resolution=Resolution.square(256), crop_fraction=1.0, channels=1)
    assert resized(modules, Image.fromarray(pixels), preprocess) == Image.fromarray(pixels).convert("L").tobytes()


@pytest.mark.parametrize("size", [96, 224, "96x128", "160x64"])
def test_real_photos_are_resized_to_the_byte(modules, shared_data, size):
    preprocess = Preprocess(resolution=Resolution.parse(size))
    files = sorted((shared_data / "imagenet").rglob("*.jpg"))
    assert len(files) > 500
    for file in files[::PHOTOS_STEP]:
        photo = read_image(file)
        assert resized(modules, photo, preprocess) == preprocess.pixels(photo).tobytes(), file.name


@pytest.mark.parametrize(
    ("width", "height", "size", "got"),
    [
        (2, 1, 4, "4 of Uint8Array for 2 x 1"),
        (0, 0, 0, "0 of Uint8Array for 0 x 0"),
        (1.5, 2, 12, "12 of Uint8Array for 1.5 x 2"),
    ],
)
def test_an_image_with_too_few_pixels_is_refused(modules, width, height, size, got):
    with pytest.raises(ValueError, match=rf"^TypeError: .* width \* height \* 4 bytes of RGBA.*, got {got}$"):
        modules.ask("resized", rgba=base64_of(bytes(size)), width=width, height=height, preprocess=size_of(WHOLE))


NORMALIZATIONS = [MOBILENET, CAFFE, Normalization(mean=(0.1, 0.2, 0.3), std=(58.395, 57.12, 57.375))]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_floats_are_those_of_numpy(modules, normalization):
    """Every byte in every channel, in blue's order where the network has it."""
    pixels = np.stack([np.arange(256), np.arange(256)[::-1], np.arange(256) ^ 85], axis=-1).astype(np.uint8)
    preprocess = Preprocess(resolution=Resolution.square(4), normalization=normalization)
    told = {"type": "float32", "isBlueFirst": normalization.is_bgr}
    told |= {"mean": normalization.mean, "std": normalization.std}
    filled = modules.ask("tensor", pixels=base64_of(pixels), input=told, channels=3)
    assert bytes_of(filled) == preprocess.normalize(pixels).tobytes()


def test_codes_are_bytes_and_bytes_less_128(modules):
    pixels = np.arange(255, dtype=np.uint8)
    for dtype, wanted in (("uint8", pixels), ("int8", (pixels.astype(np.int16) - 128).astype(np.int8))):
        told = {"type": dtype, "isBlueFirst": False, "mean": [], "std": []}
        filled = modules.ask("tensor", pixels=base64_of(pixels), input=told, channels=3)
        assert bytes_of(filled) == wanted.tobytes()


def codes_of(dtype):
    limits = None if dtype == "float32" else np.iinfo(dtype)
    values = st.floats(-30, 30, width=32) if limits is None else st.integers(limits.min, limits.max)
    return st.lists(values, min_size=1, max_size=30).map(lambda each: np.array(each, dtype))


@settings(max_examples=CASES)
@given(st.sampled_from(["uint8", "int8", "float32"]).flatmap(codes_of), st.booleans(), st.integers(-128, 255))
@example(np.array([7, 200, 200, 7], np.uint8), False, 0)
def test_outputs_are_read_as_numpy_does(modules, codes, are_logits, zero_point):
    scale = None if codes.dtype == np.float32 else 0.1234567891234567
    output = {"scale": scale, "zeroPoint": zero_point, "areLogits": are_logits}
    labels = [f"class {index}" for index in range(len(codes))]
    scores = codes.astype(np.float64)
    if scale is not None:
        scores = scale * (scores - zero_point)
    if are_logits:
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
    got = modules.ask("best", codes=base64_of(codes), type=codes.dtype.name, output=output, labels=labels)
    order = np.argsort(-scores, kind="stable")
    assert [each["index"] for each in got] == list(order)
    assert [each["label"] for each in got] == [labels[index] for index in order]
    np.testing.assert_allclose([each["score"] for each in got], scores[order], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(("values", "labels", "message"), [([np.nan], ["a"], "finite"), ([1], ["a", "b"], "2 for 1")])
def test_an_answer_that_is_none_is_an_error(modules, values, labels, message):
    output = {"scale": None, "zeroPoint": 0, "areLogits": False}
    with pytest.raises(ValueError, match=message):
        modules.ask("best", codes=base64_of(np.array(values, np.float32)), type="float32", output=output, labels=labels)


def objects(detector, most, *, count, scores, classes, corners, labels=("a", "b", "c")):
    """What the detector's module makes of rows by hand; those that do not count are noise."""
    rng = np.random.default_rng(3)
    noise = {"score": rng.random(most), "location": rng.random((most, 4)), "category": np.full(most, 99.0)}
    for name, values in (("score", scores), ("location", corners), ("category", classes)):
        noise[name][: len(values)] = values
    outputs = {name: base64_of(each.astype(np.float32)) for name, each in noise.items()}
    outputs["number of detections"] = base64_of(np.array([count], np.float32))
    return detector.ask("objects", outputs=outputs, labels=labels, size={"width": 200, "height": 100})


def test_rows_are_boxes_in_pixels_by_hand(detector):
    most = detector.ask("texts")["settings"]["output"]["most"]
    rows = {"scores": [0.75, np.nan], "classes": [2, 0], "corners": [[0.25, 0.5, 0.75, 1.0], [0, 0, 1, 1]]}
    assert objects(detector, most, count=2, **rows) == [
        {"index": 2, "label": "c", "score": 0.75, "left": 100, "top": 25, "right": 200, "bottom": 75}
    ]
    with pytest.raises(ValueError, match="classes must be below 1, got 2"):
        objects(detector, most, count=1, **rows, labels=("a",))
    for count in (-1, most + 1, 0.5):
        with pytest.raises(ValueError, match=f"must find from 0 to {most} objects, got {count}"):
            objects(detector, most, count=count, **rows)
    with pytest.raises(ValueError, match=f"output score of {most} float32, got none"):
        detector.ask("objects", outputs=json.loads("{}"), labels=["a"], size={"width": 1, "height": 1})
