"""Golden vectors of detectors made by hand, replayed by code that does not import mbexport."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from detector_by_hand import LABELS, OUTPUTS, PREPROCESS, PX, HandDetector, detector_tflite, image_of
from PIL import Image

from mbexport.errors import DataError, StageError
from mbexport.formats.registry import open_runner
from mbexport.golden.detection.make import detector_golden_files, in_pixels
from mbexport.golden.detection.vectors import detector_golden_from_bytes
from mbexport.models.data.imageset import ImageSet

REPLAY = Path(__file__).parents[3] / "golden_detection_replay.py"
CAT, DOG, TREE = 0, 1, 2
CERTAIN = [(CAT, 0.9), (DOG, 0.8), (TREE, 0.7)]


def image_set(images):
    return ImageSet(
        labels=np.zeros(len(images), np.int64),
        names=tuple(str(i) for i in range(len(images))),
        read=lambda i: images[i],
    )


def photo(rows, *, size=(PX, PX)):
    return Image.fromarray(image_of(rows)).resize(size, Image.Resampling.NEAREST)


@pytest.fixture
def detectors(tmp_path):
    """One that takes bytes, and one that takes floats and has its outputs in another order."""
    files = {"net_int8.tflite": detector_tflite(), "net_fp32.tflite": detector_tflite("float32", order=OUTPUTS[::-1])}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return [HandDetector(runner=open_runner(tmp_path / name)) for name in files]


def made(detectors, images, **changed):
    told = {"stem": "net", "licence": None, "preprocess": PREPROCESS, "labels": LABELS, "seed": 7}
    return detector_golden_files(detectors=detectors, images=image_set(images), **{**told, **changed})


def golden_of(files):
    return detector_golden_from_bytes(files["golden/golden.json"])


def written(files, folder):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def replayed(folder):
    """What the replay prints, in a process that cannot import us."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-I", str(REPLAY), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_vectors_are_replayed_by_a_stranger(detectors, tmp_path):
    photos = [photo(CERTAIN[place:], size=(17, 40)) for place in range(3)]
    files = made(detectors, photos)
    written(files, tmp_path)
    done = replayed(tmp_path)
    assert done.stdout == f"{2 * len(golden_of(files).cases)} answers as expected\n", done.stderr


@pytest.mark.parametrize("name", ["raw.rgb", "resized.rgb"])
def test_a_changed_byte_is_noticed(detectors, tmp_path, name):
    files = made(detectors, [photo(CERTAIN)])
    content = files[f"golden/case_0/{name}"]
    written({**files, f"golden/case_0/{name}": bytes([content[0] ^ 0x40]) + content[1:]}, tmp_path)
    assert "AssertionError" in replayed(tmp_path).stderr


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("class", lambda value: value + 1),
        ("score", lambda value: value - 0.05),
        ("box", lambda value: [value[1], value[0], value[3], value[2]]),
        ("pixels", lambda value: [each + 1 for each in value]),
    ],
)
def test_another_row_is_noticed(detectors, tmp_path, name, change):
    files = made(detectors, [photo([(CAT, 0.3), (DOG, 0.8)])])
    content = json.loads(files["golden/golden.json"])
    row = content["cases"][0]["expected"]["net_int8.tflite"]["rows"][0]
    row[name] = change(row[name])
    written({**files, "golden/golden.json": json.dumps(content).encode()}, tmp_path)
    assert "AssertionError" in replayed(tmp_path).stderr


def test_a_case_says_what_can_be_computed_by_hand(detectors):
    """Anchors lie side by side, 0.24 wide and 0.2 high; the first is centred at an eighth of both sides."""
    files = made(detectors, [photo([(TREE, 0.8), (CAT, 0.6)])], licence="MIT")
    golden = golden_of(files)
    (case,) = golden.cases
    assert (golden.stem, golden.classes, golden.licence, golden.least_score) == ("net", 3, "MIT", 0.3)
    assert (case.width, case.height) == (PX, PX)
    assert (
        files["golden/case_0/raw.rgb"] == files["golden/case_0/resized.rgb"] == image_of([(2, 0.8), (0, 0.6)]).tobytes()
    )
    assert case.sha256 == hashlib.sha256(files["golden/case_0/resized.rgb"]).hexdigest()
    for rows in case.expected.values():
        tree, cat = rows
        assert (tree.index, tree.label, cat.index, cat.label) == (TREE, "tree", CAT, "cat")
        assert (tree.score, cat.score) == (pytest.approx(0.8), pytest.approx(0.6))
        assert tree.box == pytest.approx((0.025, 0.005, 0.225, 0.245))
        assert tree.pixels == pytest.approx((0.005 * PX, 0.025 * PX, 0.245 * PX, 0.225 * PX))
        assert cat.box == pytest.approx((0.025, 0.255, 0.225, 0.495))
        assert tree.is_safe
        assert cat.is_safe
    bytes_, floats = golden.artifacts
    assert [each.name for each in floats.outputs] == list(OUTPUTS[::-1])
    assert (bytes_.input.mean, floats.input.mean) == ((), (127.5,) * 3)
    assert bytes_.outputs[0].shape == (1, 10, 4)


def test_pixels_are_those_of_a_photo_of_any_shape(detectors):
    (case,) = golden_of(made(detectors, [photo(CERTAIN, size=(36, 12))])).cases
    for row in case.expected["net_int8.tflite"]:
        ymin, xmin, ymax, xmax = row.box
        assert row.pixels == (xmin * 36, ymin * 12, xmax * 36, ymax * 12) == in_pixels(row.box, (36, 12))


def test_a_score_at_the_threshold_is_listed_and_not_safe(detectors):
    """The tolerance is 1/64: 0.31 may be found elsewhere or not, 0.25 is not."""
    (case,) = golden_of(made(detectors, [photo([(CAT, 0.8), (DOG, 0.31), (TREE, 0.25)])])).cases
    assert [(row.index, row.is_safe) for row in case.expected["net_int8.tflite"]] == [(CAT, True), (DOG, False)]


def test_photos_of_other_classes_come_first(detectors):
    photos = [photo([(CAT, 0.9)])] * 8 + [photo([(TREE, 0.6)])]
    cases = golden_of(made(detectors, photos)).cases
    found = [{row.index for row in case.expected["net_int8.tflite"]} for case in cases]
    assert len(found) == 3
    assert {CAT} in found
    assert {TREE} in found


def test_a_detector_that_is_never_certain_has_one_case_with_its_best_row(detectors):
    photos = [photo([(CAT, 0.12)]), photo([(DOG, 0.2)]), photo([(TREE, 0.16)])]
    (case,) = golden_of(made(detectors, photos)).cases
    (row,) = case.expected["net_fp32.tflite"]
    assert (row.index, row.is_safe) == (DOG, False)


def test_a_detector_that_finds_nothing_is_refused(detectors):
    with pytest.raises(StageError, match="in which every artifact finds something, got none among 2"):
        made(detectors, [photo([]), photo([(CAT, 0.05)])])
    with pytest.raises(StageError, match="at least one image, got none"):
        made(detectors, [])


def test_a_class_without_a_label_is_refused(detectors):
    with pytest.raises(DataError, match=r"net_int8\.tflite: it finds class 2, and there are 2 labels"):
        made(detectors, [photo([(TREE, 0.9)])], labels=LABELS[:2])


def test_codes_that_are_no_bytes_are_refused(detectors):
    with pytest.raises(DataError, match="must take bytes as they are"):
        made([replace(detectors[0], takes_bytes=False)], [photo(CERTAIN)])


def test_the_same_images_give_the_same_bytes_and_a_seed_other_ones(detectors):
    photos = [photo([(number % 3, 0.5 + number / 200)]) for number in range(60)]
    assert made(detectors, photos) == made(detectors, photos)
    assert made(detectors, photos) != made(detectors, photos, seed=8)


def test_the_example_of_the_page_runs(detectors, tmp_path):
    written(made(detectors, [photo(CERTAIN), photo(CERTAIN[1:])]), tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", (tmp_path / "golden" / "README.md").read_text(), re.S)
    for detector in detectors:
        chosen = example.replace('each["format"] == "tflite"', f'each["file"] == "{detector.name}"')
        done = subprocess.run([sys.executable, "-c", chosen], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    swapped = example.replace("in zip(box, row", "in zip(box[::-1], row")
    done = subprocess.run([sys.executable, "-c", swapped], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "AssertionError" in done.stderr
