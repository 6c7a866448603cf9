"""The detector's Java makes the same bytes and rows as Python does, and tells what a device finds wrongly."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from detector_golden_by_hand import row
from detector_photos import DETECTOR, detector_model
from hypothesis import example, given, settings
from hypothesis import strategies as st
from java_programs import Replies, needs_java, program, written
from PIL import Image

from mbexport.bundles.android import wrapper
from mbexport.bundles.android.assets import LABELS, SETTINGS, asset_files
from mbexport.bundles.android.runtimes import LITERT_2
from mbexport.models.preprocess import MOBILENET, Normalization, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.task import Task
from mbexport.models.transparency import over_white

pytestmark = needs_java

CASES = 300
PHOTOS_STEP = 20


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    classes = written(wrapper.classes(wrapper.PACKAGE, Task.DETECT, LITERT_2), tmp_path_factory.mktemp("classes"))
    replies = Replies(
        written(program("Questions.java", "DetectorReplies.java", classes=classes), classes), "DetectorReplies"
    )
    yield replies
    replies.close()


def tell(java, app):
    """Gives the wrapper the settings of a model."""
    files = asset_files(app, package=wrapper.PACKAGE, runtime=LITERT_2)
    java.ask("settings", files[SETTINGS], files[LABELS])


def shown_by(preprocess):
    """A detector whose photos become its input in that way."""
    app = detector_model()
    return replace(app, golden=replace(app.golden, preprocess=preprocess))


def resized(java, image):
    """What Java makes of an image as Bitmap.getPixels would give it."""
    rgba = np.asarray(image.convert("RGBA"), np.uint32)
    argb = rgba[..., 3] << 24 | rgba[..., 0] << 16 | rgba[..., 1] << 8 | rgba[..., 2]
    return java.ask("resized", struct.pack(">ii", *image.size), argb.astype(">u4").tobytes())


@st.composite
def images(draw):
    """Noise of any small size; lines and single pixels too."""
    width, height = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    seed = draw(st.integers(0, 2**32 - 1))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8))


SIDES = st.integers(1, 40)
RESOLUTIONS = st.one_of(st.builds(Resolution.square, SIDES), st.builds(Resolution, height_px=SIDES, width_px=SIDES))


@settings(max_examples=CASES)
@given(images(), RESOLUTIONS, st.sampled_from([1, 3]))
@example(Image.new("RGBA", (1, 1), (9, 8, 7, 255)), Resolution.square(40), 3)
@example(Image.new("RGBA", (1, 70), (9, 8, 7, 1)), Resolution.square(40), 1)
@example(Image.new("RGBA", (70, 5), (250, 8, 7, 128)), Resolution(height_px=64, width_px=96), 3)
def test_whole_images_are_resized_to_the_byte(java, image, resolution, channels):
    normalization = MOBILENET if channels == 3 else Normalization(mean=(0.0,), std=(1.0,))
    preprocess = Preprocess(
        resolution=resolution, crop_fraction=1.0, channels=channels, normalization=normalization, is_stretched=True
    )
    tell(java, shown_by(preprocess))
    assert resized(java, image) == preprocess.pixels(over_white(image)).tobytes()


@pytest.mark.parametrize("size", [192, 300, "160x224"])
def test_real_photos_are_resized_to_the_byte(java, shared_data, size):
    preprocess = Preprocess(resolution=Resolution.parse(size), crop_fraction=1.0, is_stretched=True)
    tell(java, shown_by(preprocess))
    files = sorted((shared_data / "detect" / "bccd").rglob("*.jpg"))
    assert len(files) > 300
    for file in files[::PHOTOS_STEP]:
        with Image.open(file) as image:
            photo = image.convert("RGB")
        assert resized(java, photo) == preprocess.pixels(photo).tobytes(), file.name


def outputs(corners, classes, scores, count=None):
    """The four outputs as they lie in memory, with so many rows that count."""
    number = np.array([len(scores) if count is None else count], "<f4")
    values = (corners, classes, scores)
    return [*(np.asarray(each, "<f4").tobytes() for each in values), number.tobytes()]


def detections(java, given_, *, size=(1, 1), least=0.0):
    """Java's rows: class, score, left, top, right, bottom."""
    reply = java.ask("detections", *given_, struct.pack(">ii", *size), struct.pack(">d", least))
    return [struct.unpack_from(">iddddd", reply, at) for at in range(0, len(reply), 44)]


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.floats(0, 1, width=32), st.tuples(*[st.floats(0, 1, width=32)] * 4)), max_size=10
)


@settings(max_examples=CASES)
@given(ROWS, st.integers(0, 10), st.tuples(st.integers(1, 5000), st.integers(1, 5000)), st.floats(0, 1))
def test_rows_are_those_that_count_and_are_certain_in_pixels_of_the_photo(java, rows, behind, size, least):
    tell(java, detector_model())
    width, height = size
    classes, scores, corners = ([each[at] for each in rows] for at in range(3))
    given_ = outputs(
        [*corners, *[(1, 1, 1, 1)] * behind], [*classes, *[7] * behind], [*scores, *[1] * behind], len(rows)
    )
    expected = [
        (cls, np.float32(score), *np.float64([xmin * width, ymin * height, xmax * width, ymax * height]))
        for cls, score, (ymin, xmin, ymax, xmax) in rows
        if score >= least
    ]
    assert detections(java, given_, size=size, least=least) == expected


def test_a_score_that_is_no_number_is_no_answer(java):
    tell(java, detector_model())
    given_ = outputs([(0, 0, 1, 1)] * 2, [0, 1], [np.nan, 0.5])
    assert [index for index, *_ in detections(java, given_)] == [1]


@pytest.mark.parametrize("count", [2, -1, 0.5, np.nan])
def test_a_number_of_rows_that_there_are_not_is_refused(java, count):
    tell(java, detector_model())
    with pytest.raises(ValueError, match="the model must find from 0 to 1 objects, got "):
        detections(java, outputs([(0, 0, 1, 1)], [0], [0.5], count))


@pytest.mark.parametrize("index", [3, -1, 0.5])
def test_a_class_without_a_label_is_refused(java, index):
    tell(java, detector_model())
    with pytest.raises(ValueError, match=f"the model's classes must be below 3, got {index}"):
        detections(java, outputs([(0, 0, 1, 1)], [index], [0.5]))


BOX = (0.0, 0.0, 0.5, 0.5)
ASIDE = (0.5, 0.5, 1.0, 1.0)


@pytest.mark.parametrize(
    ("found", "faults"),
    [
        ([(2, 0.75, BOX), (1, 0.3125, BOX)], []),
        ([(2, 0.65, (0.02, 0.0, 0.5, 0.48))], []),  # the other row is not safe
        ([(2, 0.75, BOX), (1, 0.42, ASIDE)], []),  # it may be below 0.3 elsewhere
        ([(2, 0.75, BOX), (1, 0.43, ASIDE)], ["dog with a score of 0.43 must not be found"]),
        ([(2, 0.75, BOX), (1, 0.9, BOX)], []),  # where one was, if with another score
        ([(2, 0.62, BOX)], ["tree with a score of 0.75 must be found, got none within the tolerance"]),
        (
            [(2, 0.75, (0.0, 0.0, 0.5, 0.54))],
            ["tree with a score of 0.75 must be found, got none within the tolerance"],
        ),
        (
            [(1, 0.75, ASIDE)],
            [
                "tree with a score of 0.75 must be found, got none within the tolerance",
                "dog with a score of 0.75 must not be found",
            ],
        ),
        ([], ["tree with a score of 0.75 must be found, got none within the tolerance"]),
    ],
)
def test_what_another_device_finds_is_held_against_the_golden_rows(java, found, faults):
    """The tolerance of int8 is 1/8 of a score and 1/32 of a side; a tree is safe, a dog near the threshold is not."""
    app = detector_model()
    case = replace(app.golden.cases[0], expected={DETECTOR: (row(2, 0.75), row(1, 0.3125, is_safe=False))})
    tolerance = replace(app.artifact.tolerance, score=1 / 8, corner=1 / 32)
    golden = replace(app.golden, cases=(case,))
    tell(java, replace(app, golden=golden, artifact=replace(app.artifact, tolerance=tolerance)))
    classes, scores, corners = ([each[at] for each in found] for at in range(3))
    told = java.ask("faults", *outputs(corners, classes, scores)).decode()
    rounded = [line.replace(f"{float(np.float32(0.43))}", "0.43") for line in told.splitlines()]
    assert rounded == [f"case_0: {fault}" for fault in faults]


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        (b"least_score=0.3", b"lost_score=0.3", "settings.properties must have least_score, got none"),
        (
            b"tolerance.corner=",
            b"tolerance.corner=x",
            "settings.properties: tolerance.corner must be a number, got x.*",
        ),
    ],
)
def test_settings_that_were_edited_are_refused(java, was, becomes, message):
    files = asset_files(detector_model(), package=wrapper.PACKAGE, runtime=LITERT_2)
    assert was in files[SETTINGS]
    with pytest.raises(ValueError, match=f"^{message}$"):
        java.ask("settings", files[SETTINGS].replace(was, becomes), files[LABELS])
