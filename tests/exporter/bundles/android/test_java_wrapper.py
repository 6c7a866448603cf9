"""The wrapper's Java makes the same bytes, tensors and scores as Python does."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from golden_by_hand import app_model_by_hand
from hypothesis import example, given, settings
from hypothesis import strategies as st
from java_programs import Replies, needs_java, program, written
from PIL import Image

from mbexport.artifact import Layout, TensorSpec
from mbexport.bundles.android import wrapper
from mbexport.bundles.android.assets import LABELS, SETTINGS, asset_files
from mbexport.bundles.android.runtimes import LITERT_2
from mbexport.escaping.source import properties
from mbexport.formats.runner import Runner
from mbexport.models.preprocess import CAFFE, MOBILENET, Normalization, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.task import Task
from mbexport.models.transparency import over_white

pytestmark = needs_java

CASES = 300
PHOTOS_STEP = 20


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    classes = written(wrapper.classes(wrapper.PACKAGE, Task.CLASSIFY, LITERT_2), tmp_path_factory.mktemp("classes"))
    replies = Replies(written(program("Questions.java", "Replies.java", classes=classes), classes))
    yield replies
    replies.close()


def assets_of(app):
    return asset_files(app, package=wrapper.PACKAGE, runtime=LITERT_2)


def tell(java, *, preprocess=None, source=None, target=None, labels=None):
    """Gives the wrapper the settings of a model by hand, with these changes."""
    app = app_model_by_hand()
    artifact = replace(
        app.artifact,
        input=replace(app.artifact.input, **(source or {})),
        output=replace(app.artifact.output, **(target or {})),
    )
    labels = labels or app.labels
    golden = replace(
        app.golden, preprocess=preprocess or app.golden.preprocess, classes=len(labels), artifacts=(artifact,)
    )
    files = assets_of(replace(app, artifact=artifact, golden=golden, labels=labels))
    java.ask("settings", files[SETTINGS], files[LABELS])


def resized(java, image):
    """What Java makes of an image as Bitmap.getPixels would give it."""
    rgba = np.asarray(image.convert("RGBA"), np.uint32)
    argb = rgba[..., 3] << 24 | rgba[..., 0] << 16 | rgba[..., 1] << 8 | rgba[..., 2]
    return java.ask("resized", struct.pack(">ii", *image.size), argb.astype(">u4").tobytes())


@st.composite
def images(draw, mode="RGBA"):
    """Noise of any small size; lines and single pixels too."""
    width, height = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    seed = draw(st.integers(0, 2**32 - 1))
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    return Image.fromarray(pixels).convert(mode)


# 3/7 of 7 is a whole number only after rounding; 0.5 of 1, 3 and 5 are halves, which go to the even neighbour.
FRACTIONS = st.one_of(st.sampled_from([1.0, 0.875, 0.5, 3 / 7, 1e-9]), st.floats(0.01, 1.0))

SIDES = st.integers(1, 40)
RESOLUTIONS = st.one_of(st.builds(Resolution.square, SIDES), st.builds(Resolution, height_px=SIDES, width_px=SIDES))


@settings(max_examples=CASES)
@given(images(), RESOLUTIONS, FRACTIONS, st.sampled_from([1, 3]))
@example(Image.new("RGBA", (1, 1), (9, 8, 7, 255)), Resolution.square(1), 1.0, 3)
@example(Image.new("RGBA", (1, 70), (9, 8, 7, 1)), Resolution.square(40), 0.5, 1)
@example(Image.new("RGBA", (5, 3), (250, 8, 7, 128)), Resolution.square(32), 0.5, 3)
@example(Image.new("RGBA", (70, 5), (250, 8, 7, 128)), Resolution(height_px=64, width_px=96), 0.5, 3)  # 2.5 rows: 2
def test_images_are_resized_to_the_byte(java, image, resolution, fraction, channels):
    normalization = MOBILENET if channels == 3 else Normalization(mean=(0.0,), std=(1.0,))
    preprocess = Preprocess(
        resolution=resolution, crop_fraction=fraction, channels=channels, normalization=normalization
    )
    tell(java, preprocess=preprocess)
    assert resized(java, image) == preprocess.pixels(over_white(image)).tobytes()


def test_every_shade_of_every_transparency_lies_on_white(java):
    shades, alphas = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    image = Image.fromarray(np.stack([shades, shades[::-1], 255 - shades, alphas], axis=-1))
    preprocess = Preprocess(resolution=Resolution.square(256), crop_fraction=1.0)
    tell(java, preprocess=preprocess)
    assert resized(java, image) == over_white(image).tobytes()


def test_every_grey_is_that_of_pillow(java):
    pixels = np.random.default_rng(7).integers(0, 256, (256, 256, 3), np.uint8)
    tell(java, preprocess=Preprocess(resolution=Resolution.square(256), crop_fraction=1.0, channels=1))
    assert resized(java, Image.fromarray(pixels)) == Image.fromarray(pixels).convert("L").tobytes()


@pytest.mark.parametrize("size", [96, 224, "96x128", "160x64"])
def test_real_photos_are_resized_to_the_byte(java, shared_data, size):
    preprocess = Preprocess(resolution=Resolution.parse(size))
    tell(java, preprocess=preprocess)
    files = sorted((shared_data / "imagenet").rglob("*.jpg"))
    assert len(files) > 500
    for file in files[::PHOTOS_STEP]:
        with Image.open(file) as image:
            photo = image.convert("RGB")
        assert resized(java, photo) == preprocess.pixels(photo).tobytes(), file.name


def test_an_image_with_too_few_pixels_is_refused(java):
    tell(java)
    with pytest.raises(ValueError, match=r"must have width \* height pixels, got 1 for 2 x 1"):
        java.ask("resized", struct.pack(">ii", 2, 1), bytes(4))


class Prepared(Runner):
    """A runner of no model: how Python fills an input."""

    def __init__(self, tmp_path, dtype, channels):
        self.input = TensorSpec(name="image", dtype=dtype, shape=(1, 4, 4, channels))
        self.path = tmp_path

    metadata = _invoke = None


NORMALIZATIONS = [MOBILENET, CAFFE, Normalization(mean=(0.1, 0.2, 0.3), std=(58.395, 57.12, 57.375))]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize(("dtype", "size"), [("uint8", 1), ("int8", 1), ("float32", 4)])
def test_tensors_are_filled_as_the_verified_ones(java, tmp_path, dtype, size, normalization):
    Prepared.__abstractmethods__ = frozenset()
    runner = Prepared(tmp_path, dtype, 3)
    preprocess = Preprocess(resolution=Resolution.square(4), normalization=normalization)
    pixels = np.random.default_rng(3).integers(0, 256, (1, 4, 4, 3), np.uint8)
    mean, std = (each * 3 if len(each) == 1 else each for each in (normalization.mean, normalization.std))
    order = "BGR" if normalization.is_bgr else "RGB"
    numbers = {"mean": mean, "std": std} if dtype == "float32" else {}
    tell(java, preprocess=preprocess, source={"dtype": dtype, "channel_order": order, **numbers})
    filled = java.ask("tensor", pixels.tobytes(), struct.pack(">i", pixels.size * size))
    assert runner.layout is Layout.NHWC
    assert filled == runner.prepare(pixels, preprocess).tobytes()


def best(java, codes):
    """Java's classes and scores, best first."""
    reply = java.ask("best", codes.tobytes())
    return [struct.unpack_from(">id", reply, at) for at in range(0, len(reply), 12)]


OUTPUTS = st.sampled_from(["uint8", "int8", "float32"]).flatmap(
    lambda dtype: st.tuples(
        st.just(dtype),
        st.lists(
            st.floats(-30, 30, width=32)
            if dtype == "float32"
            else st.integers(np.iinfo(dtype).min, np.iinfo(dtype).max),
            min_size=1,
            max_size=30,
        ),
    )
)


@settings(max_examples=CASES)
@given(OUTPUTS, st.sampled_from(["softmax", "sigmoid", "logits"]), st.integers(-128, 255))
@example(("uint8", [7, 200, 200, 7]), "softmax", 0)
def test_outputs_are_read_as_numpy_does(java, output, kind, zero_point):
    dtype, values = output
    codes = np.array(values, dtype)
    affine = {} if dtype == "float32" else {"scale": 0.1234567891234567, "zero_point": zero_point}
    target = {"dtype": dtype, "kind": kind, "scale": None, "zero_point": None, **affine}
    tell(java, target=target, labels=tuple(f"class {i}" for i in range(len(codes))))
    scores = codes.astype(np.float64)
    if affine:
        scores = affine["scale"] * (scores - zero_point)
    if kind == "logits":
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
    got = best(java, codes)
    assert [index for index, _ in got] == list(np.argsort(-codes.astype(np.float64), kind="stable"))
    np.testing.assert_allclose([score for _, score in got], np.sort(scores)[::-1], rtol=1e-12, atol=1e-300)


def test_great_logits_are_no_overflow(java):
    tell(java, target={"dtype": "float32", "kind": "logits", "scale": None, "zero_point": None})
    (first, high), (second, low), (third, none) = best(java, np.array([1000, 0, 999], np.float32))
    assert [first, second, third] == [0, 2, 1]
    assert [high, low, none] == [pytest.approx(1 / (1 + np.exp(-1))), pytest.approx(1 / (1 + np.e)), 0.0]


@given(st.text())
@example("a\tb\\c:d=e#!\f\r\n é 🐈  ")
def test_any_name_survives_a_properties_file(java, text):
    text = text.encode("utf-16", "replace").decode("utf-16")  # half a pair is no text
    assert java.ask("property", properties({"name": text})).decode() == text


def test_labels_of_another_model_are_refused(java):
    files = assets_of(app_model_by_hand())
    with pytest.raises(ValueError, match=r"labels.txt must have 3 lines, got 2"):
        java.ask("settings", files[SETTINGS], b"cat\ndog\n")


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        (b"model=", b"modle=", "settings.properties must have model, got none"),
        (
            b"crop_fraction=0.875",
            b"crop_fraction=most",
            "settings.properties: crop_fraction must be a number, got most",
        ),
    ],
)
def test_settings_that_were_edited_are_refused(java, was, becomes, message):
    files = assets_of(app_model_by_hand())
    assert was in files[SETTINGS]
    with pytest.raises(ValueError, match=f"^{message}$"):
        java.ask("settings", files[SETTINGS].replace(was, becomes), files[LABELS])
