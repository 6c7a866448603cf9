"""`mbexport predict` with a detector: boxes in the photo's own pixels, by hand, and what only classifiers have."""

import json
from pathlib import Path

import numpy as np
import pytest
from detector_by_hand import LABELS, MOST, PX, detector_tflite, image_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mbexport.cli import run
from mbexport.pipeline.predict_objects import box_px

SEEN = [(1, 0.8), (0, 0.2), (2, 0.4)]  # a dog, a cat that is hardly one, a tree: class and score, by place


@pytest.fixture
def network(tmp_path) -> Path:
    (tmp_path / "net.tflite").write_bytes(detector_tflite())
    return tmp_path / "net.tflite"


@pytest.fixture
def photo(tmp_path):
    """The file of an image with these objects; as large as the input, so that its bytes are fed as they are."""

    def make(name: str, rows) -> Path:
        Image.fromarray(image_of(rows)).save(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def predict(network, photo, capfd):
    """Predicts what is in a photo with three objects and in an empty one: exit code, stdout, stderr."""

    def start(*arguments: object) -> tuple[int, str, str]:
        images = photo("three.png", SEEN), photo("none.png", [])
        code = run(["predict", *map(str, (network, *images, *arguments))])
        return code, *capfd.readouterr()

    return start


def test_objects_are_shown_with_class_score_and_pixels(predict, tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(LABELS) + "\n")
    code, printed, errors = predict("--classes", tmp_path / "classes.txt")
    assert (code, errors) == (0, "")
    # The first anchor is 0.24 wide and 0.2 high around (1/8, 1/8), the third one half of the photo to the right.
    assert printed.splitlines() == [
        f"{tmp_path / 'three.png'} ({PX} x {PX} px)",
        "    80.00%  dog   left 0, top 0, right 1, bottom 1",
        "    40.00%  tree  left 3, top 0, right 4, bottom 1",
        f"{tmp_path / 'none.png'} ({PX} x {PX} px)",
        "  nothing with a score of at least 0.3 (--top K shows less certain ones)",
    ]


def test_json_holds_fractions_and_pixels(predict):
    code, printed, _ = predict("--json")
    told = json.loads(printed)
    assert (code, told["schema"], told["file"]) == (0, 1, "net.tflite")
    first, second = told["images"]
    assert (first["width_px"], first["height_px"], second["objects"]) == (PX, PX, [])
    dog, tree = first["objects"]
    assert (dog["class"], dog["label"], tree["class"]) == (1, "1", 2)  # without labels a class is its number
    assert dog["score"] == pytest.approx(0.8, abs=0.002)
    assert dog["box"] == pytest.approx([0.025, 0.005, 0.225, 0.245], abs=1e-3)
    expected = {"left": 0.03, "top": 0.15, "right": 1.47, "bottom": 1.35}
    assert dog["box_px"] == pytest.approx(expected, abs=0.01)


def test_top_shows_so_many_whatever_their_score(predict):
    _, printed, _ = predict("--top", "3", "--json")
    assert [each["class"] for each in json.loads(printed)["images"][0]["objects"]] == [1, 2, 0]
    _, printed, _ = predict("--top", "1", "--json")
    assert [each["class"] for each in json.loads(printed)["images"][0]["objects"]] == [1]


def test_a_photo_of_another_shape_is_stretched_and_its_boxes_are_its_own(network, tmp_path, capfd):
    large = Image.fromarray(image_of([(1, 1.0)])).resize((4 * PX, 2 * PX), Image.Resampling.NEAREST)
    large.save(tmp_path / "wide.png")
    assert run(["predict", str(network), str(tmp_path / "wide.png"), "--top", "1", "--json"]) == 0
    (entry,) = json.loads(capfd.readouterr().out)["images"]
    assert (entry["width_px"], entry["height_px"]) == (4 * PX, 2 * PX)
    (found,) = entry["objects"]
    top, left, bottom, right = found["box"]
    assert found["box_px"] == pytest.approx(
        {"left": left * 4 * PX, "top": top * 2 * PX, "right": right * 4 * PX, "bottom": bottom * 2 * PX}
    )


@pytest.mark.parametrize(
    ("options", "name"), [(("--crop-fraction", "0.5"), "--crop-fraction"), (("--background",), "--background")]
)
def test_options_of_classifiers_are_refused_in_one_line(predict, options, name):
    code, printed, errors = predict(*options)
    assert (code, printed) == (2, "")
    (line,) = errors.splitlines()
    assert line == f"Error: {name} is for classifiers, got it with a detector: drop {name}"


def test_a_class_without_a_name_is_its_number(predict, tmp_path):
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    _, printed, _ = predict("--classes", tmp_path / "classes.txt", "--json")
    assert [each["label"] for each in json.loads(printed)["images"][0]["objects"]] == ["dog", "2"]


@given(
    st.tuples(*[st.floats(0, 1, width=32)] * 4),
    st.integers(1, 5000),
    st.integers(1, 5000),
)
def test_pixels_of_a_box_are_its_fractions_of_the_photo(corners, width, height):
    found = box_px(np.array(corners, np.float32), (width, height))
    assert found["top"] / height == pytest.approx(corners[0], abs=1e-6)
    assert found["left"] / width == pytest.approx(corners[1], abs=1e-6)
    assert found["bottom"] / height == pytest.approx(corners[2], abs=1e-6)
    assert found["right"] / width == pytest.approx(corners[3], abs=1e-6)


def test_no_more_are_found_than_the_file_gives(predict):
    _, printed, _ = predict("--top", "1000", "--json")
    assert len(json.loads(printed)["images"][0]["objects"]) == 3 <= MOST
