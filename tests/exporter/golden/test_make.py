"""Golden vectors of artifacts made by hand, replayed by code that does not import mbexport."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tflite_by_hand import tflite_of

from mbexport.artifact import Precision
from mbexport.calibration.affine import Affine
from mbexport.errors import StageError
from mbexport.formats.matching import match
from mbexport.formats.registry import open_runner
from mbexport.golden.make import golden_files
from mbexport.golden.pictures import reduced
from mbexport.golden.vectors import golden_from_bytes
from mbexport.models.data.imageset import ImageSet
from mbexport.models.preprocess import CAFFE, MOBILENET, Preprocess
from mbexport.models.resolution import Resolution

PX = 2
CLASSES = PX * PX * 3
REPLAY = Path(__file__).parents[2] / "golden_replay.py"
LABELS = [f"class {number}" for number in range(CLASSES)]


def image_set(images, labels=None):
    return ImageSet(
        labels=np.array(labels or [0] * len(images), np.int64),
        names=tuple(str(i) for i in range(len(images))),
        read=lambda i: images[i],
    )


def photo(bright, *, size=(PX, PX)):
    """Dark, but for one number of one pixel: the class that is the place of this number."""
    pixels = np.zeros((PX * PX * 3,), np.uint8)
    pixels[bright] = 250
    pixels[(bright + 1) % CLASSES] = 60
    return Image.fromarray(pixels.reshape(PX, PX, 3)).resize(size, Image.Resampling.NEAREST)


@pytest.fixture
def subjects(tmp_path, colour_network):
    """A .tflite of bytes, one of floats, and an .onnx of floats that is fed blue first."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    affine = Affine(scale=(1 / 255,), zero_point=(0,))
    told = {
        "pixels": Preprocess(resolution=Resolution.square(PX), crop_fraction=1),
        "classes": CLASSES,
        "background": False,
    }
    onnx = colour_network(tmp_path / "net_fp32.onnx", classes=CLASSES, shape=(1, PX, PX, 3))
    return [
        match(open_runner(write("net_int8.tflite", tflite_of("uint8", affine=affine))), given=None, **told),
        match(open_runner(write("net_fp32.tflite", tflite_of("float32"))), given=MOBILENET, **told),
        match(open_runner(onnx), given=CAFFE, **told),
    ]


def made(subjects, images, **changed):
    told = {
        "stem": "net",
        "licence": None,
        "preprocess": Preprocess(resolution=Resolution.square(PX), crop_fraction=1),
        "labels": LABELS,
        "is_labelled": True,
        "seed": 7,
    }
    return golden_files(subjects=subjects, images=images, **{**told, **changed})


def written(files, folder):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def replayed(folder):
    """What the replay prints, in a process that cannot import us."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-I", str(REPLAY), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_vectors_are_replayed_by_a_stranger(subjects, tmp_path):
    files = made(subjects, image_set([photo(i) for i in range(CLASSES)], list(range(CLASSES))))
    written(files, tmp_path)
    done = replayed(tmp_path)
    cases = len(golden_from_bytes(files["golden/golden.json"]).cases)
    assert done.stdout == f"{3 * cases} outputs as expected\n", done.stderr


@pytest.mark.parametrize("name", ["raw.rgb", "resized.rgb", "net_int8.tflite.out", "net_fp32.tflite.out"])
def test_a_changed_vector_is_noticed(subjects, tmp_path, name):
    files = made(subjects[:2], image_set([photo(1)]))
    content = files[f"golden/case_0/{name}"]
    written({**files, f"golden/case_0/{name}": bytes([content[0] ^ 0x40]) + content[1:-1] + b"\x7f"}, tmp_path)
    assert "AssertionError" in replayed(tmp_path).stderr


def test_a_case_says_what_can_be_computed_by_hand(subjects):
    """The .tflite files give their images as scores: the bytes, and (byte - 127.5) / 127.5."""
    files = made(subjects[:2], image_set([photo(4)], [4]), licence="MIT")
    golden = golden_from_bytes(files["golden/golden.json"])
    (case,) = golden.cases
    assert (golden.stem, golden.classes, golden.licence) == ("net", CLASSES, "MIT")
    assert (case.width, case.height, case.truth) == (PX, PX, 4)
    assert files["golden/case_0/raw.rgb"] == files["golden/case_0/resized.rgb"] == bytes([0] * 4 + [250, 60] + [0] * 6)
    assert files["golden/case_0/net_int8.tflite.out"] == files["golden/case_0/raw.rgb"]
    expected = case.expected["net_int8.tflite"]
    assert (expected.top, expected.label, expected.score) == (4, "class 4", pytest.approx(250 / 255))
    floats = np.frombuffer(files["golden/case_0/net_fp32.tflite.out"], "<f4")
    assert floats[4] == np.float32((250 - 127.5) / 127.5)
    bytes_, numbers = golden.artifacts
    assert (bytes_.input.mean, bytes_.input.dtype, bytes_.output.scale) == ((), "uint8", np.float32(1 / 255))
    assert (numbers.input.mean, numbers.input.std) == ((127.5,) * 3, (127.5,) * 3)
    assert (numbers.output.scale, numbers.output.zero_point) == (None, None)


def test_blue_first_is_said_with_its_means(subjects):
    golden = golden_from_bytes(made(subjects, image_set([photo(4)]))["golden/golden.json"])
    source = golden.artifacts[2].input
    assert (source.name, source.channel_order, source.mean) == ("image", "BGR", (103.939, 116.779, 123.68))


def test_cases_are_of_different_classes_that_were_seen_right(subjects):
    images = image_set([photo(i) for i in (0, 1, 2, 3, 4, 5)], [9, 1, 9, 3, 4, 9])
    golden = golden_from_bytes(made(subjects[:2], images)["golden/golden.json"])
    assert sorted(case.truth for case in golden.cases) == [1, 3, 4]
    assert all(each.top == case.truth for case in golden.cases for each in case.expected.values())


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_network_that_always_says_the_same_has_cases_too(subjects, count):
    images = image_set([photo(3)] * count)
    assert len(golden_from_bytes(made(subjects[:2], images)["golden/golden.json"]).cases) == min(count, 3)


def test_a_tie_makes_one_case(subjects):
    grey = Image.new("RGB", (PX, PX), (90, 90, 90))
    (case,) = golden_from_bytes(made(subjects[:2], image_set([grey] * 4))["golden/golden.json"]).cases
    assert {each.top for each in case.expected.values()} == {0}


def test_what_the_slowest_kernels_make_unsure_is_left_out(subjects, monkeypatch):
    """A spread of 60 codes makes a tolerance of 120, of which no lead (190 codes) is three times as much."""

    def widen_spread(given, pixels, *, kernels):
        return replace(given, spread=60 if kernels == slice(1, None) else 0)

    monkeypatch.setattr("mbexport.golden.make.widen_spread", widen_spread)
    images = image_set([photo(i) for i in range(3)])
    golden = golden_from_bytes(made(subjects[:1], images)["golden/golden.json"])
    assert (len(golden.cases), golden.artifacts[0].output.tolerance) == (1, 120)
    monkeypatch.undo()
    assert len(golden_from_bytes(made(subjects[:1], images)["golden/golden.json"]).cases) == 3


def test_without_labels_nothing_is_true(subjects):
    images = image_set([photo(3)], [5])
    (case,) = golden_from_bytes(made(subjects, images, is_labelled=False)["golden/golden.json"]).cases
    assert case.truth is None


def test_the_same_images_give_the_same_bytes_and_a_seed_other_ones(subjects):
    images = image_set([photo(i % CLASSES) for i in range(60)], [i % CLASSES for i in range(60)])
    assert made(subjects, images) == made(subjects, images)
    assert made(subjects, images) != made(subjects, images, seed=8)


def test_slow_artifacts_alone_are_no_reason_to_fail(subjects):
    subjects[0].runner.precision = Precision.INT16X8
    assert made(subjects[:1], image_set([photo(1)]))
    assert len(golden_from_bytes(made(subjects[:2], image_set([photo(1)]))["golden/golden.json"]).artifacts) == 2


def test_no_image_is_refused(subjects):
    with pytest.raises(StageError, match="at least one image, got none"):
        made(subjects, image_set([]))


def test_a_network_that_gives_no_numbers_is_refused(subjects, monkeypatch):
    nothing = np.full((1, CLASSES), np.nan, np.float32)
    monkeypatch.setattr(subjects[1].runner, "_invoke", lambda feed: nothing)
    with pytest.raises(StageError, match="every artifact gives finite numbers, got none among 2"):
        made(subjects[:2], image_set([photo(1), photo(2)]))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((8, 9), (8, 9)), ((320, 320), (320, 320)), ((4000, 3000), (320, 240)), ((9, 4000), (1, 320))],
)
def test_large_photos_are_reduced(size, expected):
    assert reduced(Image.new("RGB", size)).size == expected


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_the_longer_side_is_320_at_most(width, height):
    found = reduced(Image.new("RGB", (width, height))).size
    assert max(found) == min(320, max(width, height))
    assert min(found) >= 1


def test_a_reduced_photo_is_the_raw_one(subjects):
    files = made(subjects, image_set([photo(4, size=(640, 400))]))
    (case,) = json.loads(files["golden/golden.json"])["cases"]
    assert (case["width"], case["height"]) == (320, 200)
    assert files["golden/case_0/raw.rgb"] == photo(4, size=(640, 400)).resize((320, 200), 2).tobytes()


def test_the_example_of_the_page_runs(subjects, tmp_path):
    written(made(subjects[:2], image_set([photo(1), photo(5)])), tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", (tmp_path / "golden" / "README.md").read_text(), re.S)
    for name in (subject.name for subject in subjects[:2]):
        chosen = example.replace('each["format"] == "tflite"', f'each["file"] == "{name}"')
        done = subprocess.run([sys.executable, "-c", chosen], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
