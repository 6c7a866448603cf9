"""`mbexport predict`: probabilities by hand, labels from three sources, and files that cannot be used."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mbexport.cli import run
from mbexport.errors import DataError
from mbexport.models.data.open import open_data
from mbexport.models.preprocess import RAW
from mbexport.pipeline.predict_files import Question, predict_files

# The colour network with 3 classes: logits = mean colour @ [[-1, -.75, -.5], [-.25, 0, .25], [.5, .75, 1]].
RED = (math.exp(-2), math.exp(-1.5), math.exp(-1))  # of the colour (2, 0, 0)


@pytest.fixture
def network(colour_network, tmp_path) -> Path:
    return colour_network(tmp_path / "net.onnx", classes=3)


@pytest.fixture
def image(tmp_path):
    """The file of an image of one colour."""

    def make(name: str, colour: tuple[int, int, int]) -> Path:
        Image.new("RGB", (40, 50), colour).save(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def predict(network, image, capfd):
    """Predicts the class of a red image and a blue one: exit code, stdout, stderr."""

    def start(*arguments: object) -> tuple[int, str, str]:
        images = image("red.png", (2, 0, 0)), image("blue.png", (0, 0, 2))
        code = run(["predict", *map(str, (network, *images, "--preprocess", "raw", *arguments))])
        return code, *capfd.readouterr()

    return start


def test_probabilities_are_a_softmax_of_the_scores_the_likeliest_first(network, image):
    red = image("red.png", (2, 0, 0))
    found = predict_files(Question(file=network, images=(red,), top=2, normalization=RAW))
    assert (found["file"], found["runtime"]) == ("net.onnx", "onnxruntime")
    (entry,) = found["images"]
    assert entry["image"] == str(red)
    assert [(each["class"], each["label"]) for each in entry["top"]] == [(2, "2"), (1, "1")]
    assert [each["score"] for each in entry["top"]] == pytest.approx([RED[2] / sum(RED), RED[1] / sum(RED)], rel=1e-5)


def test_of_equal_scores_the_first_class_comes_first(network, image):
    black = image("black.png", (0, 0, 0))
    (entry,) = predict_files(Question(file=network, images=(black,), top=3, normalization=RAW))["images"]
    assert [each["class"] for each in entry["top"]] == [0, 1, 2]


def test_more_classes_than_there_are_is_all_of_them(network, image):
    (entry,) = predict_files(Question(file=network, images=(image("a.png", (1, 2, 3)),), top=9, normalization=RAW))[
        "images"
    ]
    assert len(entry["top"]) == 3
    assert sum(each["score"] for each in entry["top"]) == pytest.approx(1)


def test_the_screen_shows_each_image_and_its_classes(predict, tmp_path):
    (tmp_path / "classes.txt").write_text("red apple\nbrown bear\nblack cat\n")
    code, printed, errors = predict("--classes", tmp_path / "classes.txt", "--top", "2")
    assert (code, errors) == (0, "")
    lines = printed.splitlines()
    assert [line.strip() for line in lines[:3]] == [
        str(tmp_path / "red.png"),
        "50.65%  black cat",
        "30.72%  brown bear",
    ]
    assert lines[3] == str(tmp_path / "blue.png")


def test_json_holds_the_same(predict):
    code, printed, _ = predict("--json", "--top", "1")
    told = json.loads(printed)
    assert (code, told["schema"], len(told["images"])) == (0, 1, 2)
    assert [each["top"][0]["class"] for each in told["images"]] == [2, 2]


@pytest.mark.parametrize("names", [2, 4])
def test_another_number_of_classes_is_refused(predict, tmp_path, names):
    (tmp_path / "classes.txt").write_text("".join(f"c{i}\n" for i in range(names)))
    code, printed, errors = predict("--classes", tmp_path / "classes.txt")
    assert (code, printed) == (2, "")
    assert f"--classes must name 3 classes, one for each score of {tmp_path / 'net.onnx'}, got {names}" in errors
    assert ("--background" in errors) is (names == 2)


def test_a_background_is_left_out(predict, tmp_path):
    (tmp_path / "classes.txt").write_text("b\nc\n")
    code, printed, _ = predict("--classes", tmp_path / "classes.txt", "--background", "--json")
    assert code == 0
    assert {each["label"] for each in json.loads(printed)["images"][0]["top"]} == {"b", "c"}


def test_a_file_that_does_not_say_what_it_expects_is_refused(network, image, capfd):
    assert run(["predict", str(network), str(image("a.png", (1, 1, 1)))]) == 2
    assert "--preprocess" in capfd.readouterr().err


@pytest.mark.parametrize(("name", "said"), [("none.png", "no such file: "), ("text.png", "is not an image")])
def test_an_image_that_cannot_be_read_is_one_line_and_nothing_is_printed(predict, tmp_path, name, said):
    (tmp_path / "text.png").write_text("no picture")
    code, printed, errors = predict(tmp_path / name)
    assert (code, printed) == (2, "")
    assert errors.startswith("Error: ")
    assert errors.count("\n") == 1
    assert said in errors
    assert str(tmp_path / name) in errors


def test_a_file_that_is_no_artifact_is_refused_before_any_image(tmp_path, capfd):
    assert run(["predict", str(tmp_path / "none.tflite"), "none.png"]) == 2
    assert capfd.readouterr().err == f"Error: no such file: {tmp_path / 'none.tflite'}\n"


def test_images_are_cropped_as_asked(network, tmp_path):
    framed = Image.new("RGB", (64, 64), (200, 0, 0))
    framed.paste((0, 0, 0), (16, 16, 48, 48))
    framed.save(tmp_path / "framed.png")
    asked = {"file": network, "images": (tmp_path / "framed.png",), "top": 3, "normalization": RAW}
    whole, centre = (predict_files(Question(**asked, crop_fraction=part))["images"][0]["top"] for part in (1.0, 0.5))
    assert [each["score"] for each in centre] == pytest.approx([1 / 3] * 3)
    assert whole[0]["score"] > 0.9


def test_files_of_both_formats_give_the_digits_that_they_were_built_on(small_build, tmp_path):
    digits = open_data("digits").evaluation(0)
    images = []
    for index in range(40):
        digits.read(index).save(tmp_path / f"{index}.png")
        images.append(tmp_path / f"{index}.png")
    answers = []
    for file in sorted(small_build.glob("*_int8.*")):
        found = predict_files(Question(file=file, images=tuple(images), top=1, crop_fraction=1.0))
        answers.append([each["top"][0]["label"] for each in found["images"]])
    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert np.mean([int(label) == digits.labels[i] for i, label in enumerate(answers[0])]) > 0.8


def test_a_question_with_labels_of_another_length_is_refused(network, image):
    with pytest.raises(DataError, match="must name 3 classes"):
        predict_files(Question(file=network, images=(image("a.png", (1, 1, 1)),), top=1, labels=("x",)))
