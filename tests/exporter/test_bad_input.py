"""Input that cannot be used: one line, exit code 2, nothing written; and unusual images that can."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from keras_by_hand import write_keras
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from mbexport.models.data.open import find_unreadable, open_data

STEM = "mobilenet_v1_0.25_32"
DIGITS = ("--data", "digits")
UNIT_DIGITS = (*DIGITS, "--preprocess", "unit")


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two classes of three photos each."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.jpg", quality=90)
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--alpha 0", "alpha must be in (0, 1], got 0"),
        ("--alpha 1.5", "alpha must be in (0, 1], got 1.5"),
        ("--alpha nan", "alpha must be in (0, 1], got nan"),
        ("--resolution 100", "resolution must be a multiple of 32 from 32 to 1024, got 100"),
        ("--rho nan", "got nan"),
        ("--rho 1 --resolution 224", "give --resolution or --rho, not both, got 224 and 1"),
        ("--epochs 0", "--epochs must be at least 1, got 0"),
        ("--qat-epochs -1", "--qat-epochs must be at least 0, got -1"),
        ("--calibration-samples 0", "--calibration-samples must be at least 1, got 0"),
        ("--seed -1", "--seed must be from 0 to 2147483647, got -1"),
        ("--threads 0", "--threads must be from 1 to 256, got 0"),
        ("--crop-fraction 0", "crop fraction must be in (0, 1], got 0"),
        ("--crop-fraction nan", "crop fraction must be in (0, 1], got nan"),
        ("--gate foo=1", "got foo"),
        ("--gate top1_drop=x", "--gate must be NAME=VALUE with a number, got top1_drop=x"),
        ("--gate top1_drop", "--gate must be NAME=VALUE with a number, got top1_drop"),
        ("--gate top1_drop=nan", "the limit of gate top1_drop must be a number of at least 0, got nan"),
        (
            "--data nowhere",
            "--data must be digits, tfds:NAME, wds:DIR, tfrecord:DIR or a folder with one sub-folder a class, "
            "got nowhere",
        ),
        ("--calibration nowhere", "--calibration must be a folder of images, got nowhere"),
        (f"--classes {__file__} --data digits", "--classes goes with a folder of images or shards, got --data digits"),
        ("--classes labels.txt --data digits", "no such file or folder: labels.txt (--classes)"),
        ("--config nowhere.toml", "the config file nowhere.toml cannot be read"),
    ],
)
def test_build_refuses_an_illegal_option(refused, arguments, said):
    assert said in refused("build", "--out", "out", *arguments.split())


def test_build_refuses_a_folder_without_classes(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "must hold at least 2 sub-folders" in refused("build", "--out", "out", "--data", tmp_path / "empty")


def test_build_refuses_one_class_only(refused, tmp_path):
    (tmp_path / "lonely" / "cat").mkdir(parents=True)
    assert "one class only (cat)" in refused("build", "--out", "out", "--data", tmp_path / "lonely")


def test_build_refuses_classes_without_images(refused, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "bare" / name).mkdir(parents=True)
    said = refused("build", "--out", "out", "--data", tmp_path / "bare")
    assert "class cat must hold an image that can be read, got nothing in" in said


def test_build_refuses_text_called_jpg(refused, photos):
    (photos / "dog" / "note.jpg").write_text("this is no picture")
    said = refused("build", "--out", "out", "--data", photos)
    assert f"{photos / 'dog' / 'note.jpg'} is not an image that can be read" in said


@pytest.mark.parametrize("kept", [0.1, 0.9])
def test_build_refuses_a_truncated_jpeg(refused, photos, kept):
    victim = photos / "cat" / "1.jpg"
    os.truncate(victim, int(victim.stat().st_size * kept))
    assert str(victim) in refused("build", "--out", "out", "--data", photos)


def test_build_counts_the_images_that_cannot_be_read(refused, photos):
    for name in ("0.jpg", "1.jpg", "2.jpg"):
        (photos / "dog" / name).write_bytes(b"")
    said = refused("build", "--out", "out", "--data", photos)
    assert "3 of 6 images (50.00%) cannot be read, at most 1.00% may be (--max-bad); first: " in said


def test_build_refuses_a_link_that_leads_nowhere(refused, photos):
    (photos / "dog" / "gone.jpg").symlink_to("no-such-file.jpg")
    assert "gone.jpg" in refused("build", "--out", "out", "--data", photos)


def test_build_refuses_a_folder_called_jpg(refused, photos):
    (photos / "dog" / "folder.jpg").mkdir()
    assert "folder.jpg" in refused("build", "--out", "out", "--data", photos)


@pytest.mark.parametrize("below", ["report", "report/out"])
def test_build_refuses_to_write_below_a_regular_file(refused, tmp_path, below):
    (tmp_path / "report").write_text("precious")
    assert "must be a folder that can be written to" in refused("build", "--out", tmp_path / below)
    assert (tmp_path / "report").read_text() == "precious"


@pytest.mark.parametrize(
    ("content", "said"), [("alpha = ", "cannot be read"), ("colour = 1", "must hold options of build, got colour")]
)
def test_build_refuses_a_broken_config(refused, tmp_path, content, said):
    (tmp_path / "options.toml").write_text(content)
    assert said in refused("build", "--out", "out", "--config", tmp_path / "options.toml")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.tflite", None, "no such file: "),
        ("missing.onnx", None, "no such file: "),
        ("model.h5", b"", "it must be a Keras .h5, a .keras or a SavedModel folder"),
        ("model", b"", "must end in .tflite or .onnx"),
        ("garbage.tflite", b"garbage" * 50, "is not a .tflite file that can be loaded"),
        ("empty.tflite", b"", "is not a .tflite file that can be loaded"),
        ("garbage.onnx", b"garbage" * 50, "is not an .onnx file that can be loaded"),
        ("empty.onnx", b"", "is not an .onnx file that can be loaded"),
    ],
)
def test_verify_refuses_what_is_no_artifact(refused, tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert said in refused("verify", tmp_path / name, *DIGITS, "--out", "out")


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_verify_refuses_a_truncated_tflite(refused, small_build, tmp_path, kept):
    content = (small_build / f"{STEM}_fp32.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(content[: int(len(content) * kept)])
    assert "can be loaded" in refused("verify", tmp_path / "cut.tflite", *DIGITS, "--out", "out")


@pytest.mark.parametrize("gate", ["agreement=0.9", "top1_drop=0.02", "fp32_error=1", "score_error=0.1"])
def test_verify_refuses_a_gate_that_compares_where_there_is_nothing_to_compare_with(
    refused, colour_network, tmp_path, gate
):
    network = colour_network(tmp_path / "network.onnx")
    said = refused("verify", network, *UNIT_DIGITS, "--gate", "top1=0.5", "--gate", gate, "--out", "out")
    name = gate.partition("=")[0]
    assert said.endswith(
        f"--gate {name} must have a network to compare with, got the labels alone: give --reference FILE, or an fp32 "
        "file among several\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--data nowhere", "got nowhere"),
        ("--data digits --reference nowhere.onnx", "no such file or folder: nowhere.onnx (--reference)"),
        ("--data digits --gate foo=1", "got foo"),
        ("--data digits --crop-fraction 2", "crop fraction must be in (0, 1], got 2"),
        ("--data digits --threads 0", "--threads must be from 1 to 256, got 0"),
        ("--data digits --seed -1", "seed"),
    ],
)
def test_verify_refuses_an_illegal_option(refused, small_build, arguments, said):
    assert said in refused("verify", small_build / f"{STEM}_fp32.onnx", "--out", "out", *arguments.split())


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ({"classes": 9}, "got 9 scores for 10 classes"),
        ({"shape": (1, 32, 64, 5)}, "(n, channels, height, width) with 1 to 4 channels, got (1, 32, 64, 5)"),
        ({"outputs": 2}, "expected one input and one output, got 1 and 2"),
    ],
)
def test_verify_refuses_a_network_of_another_shape(refused, colour_network, tmp_path, kind, said):
    assert said in refused("verify", colour_network(tmp_path / "other.onnx", **kind), *UNIT_DIGITS, "--out", "out")


@pytest.mark.parametrize(("sides", "said"), [((64, 64), "64"), ((32, 64), "32x64")])
def test_verify_refuses_a_reference_of_another_resolution(refused, colour_network, tmp_path, sides, said):
    network = colour_network(tmp_path / "network.onnx")
    reference = colour_network(tmp_path / "reference.onnx", shape=(1, *sides, 3))
    assert f"got 32 px beside {said} px" in refused("verify", network, "--reference", reference, *UNIT_DIGITS)


def test_verify_refuses_a_reference_with_other_classes(refused, colour_network, tmp_path):
    network, reference = (
        colour_network(tmp_path / "network.onnx"),
        colour_network(tmp_path / "reference.onnx", classes=12),
    )
    assert "class" in refused("verify", network, "--reference", reference, *UNIT_DIGITS)


def write_failing_onnx(path: Path) -> Path:
    """A network that loads, and reads beyond the end of its table as soon as it sees a picture."""
    table = numpy_helper.from_array(np.zeros((2, 10), np.float32), "table")
    far, one = (numpy_helper.from_array(np.array(v, np.float32), n) for v, n in ((1e6, "far"), (1, "one")))
    row = numpy_helper.from_array(np.array([1], np.int64), "row")
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["brightest"], keepdims=0),
        helper.make_node("Abs", ["brightest"], ["some"]),
        helper.make_node("Add", ["some", "one"], ["more"]),
        helper.make_node("Mul", ["more", "far"], ["beyond"]),
        helper.make_node("Cast", ["beyond"], ["index"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["index", "row"], ["indices"]),
        helper.make_node("Gather", ["table", "indices"], ["scores"]),
    ]
    source, target = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", (1, 32, 32, 3)), ("scores", (1, 10)))
    )
    graph = helper.make_graph(nodes, "failing", [source], [target], [table, far, one, row])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("command", [["verify", *DIGITS], ["bench", "--runs", "2"]], ids=lambda words: words[0])
def test_artifact_that_loads_but_does_not_run_is_refused(refused, tmp_path, command):
    path = write_failing_onnx(tmp_path / "failing.onnx")
    assert str(path) in refused(*command, path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("missing.tflite", "no such file: missing.tflite"),
        ("missing.tflite --runs 0", "--runs must be from 2 to 1000000, got 0"),
        ("missing.tflite --warmup -1", "--warmup must be from 0 to 1000000, got -1"),
        ("missing.tflite --threads 0", "--threads must be from 1 to 256, got 0"),
        ("missing.tflite --batch 0", "--batch must be from 1 to 1024, got 0"),
    ],
)
def test_bench_refuses_bad_input(refused, arguments, said):
    assert said in refused("bench", *arguments.split())


def test_inspect_refuses_what_is_no_artifact(refused, tmp_path):
    (tmp_path / "garbage.onnx").write_bytes(b"garbage")
    assert "is not an .onnx file" in refused("inspect", tmp_path / "garbage.onnx")


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "I;16"])
def test_images_of_every_common_kind_are_legal(photos, mode):
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    grey = Image.fromarray((pixels >> 8).astype(np.uint8))
    image = Image.fromarray(pixels) if mode == "I;16" else grey.convert("RGB").convert(mode)
    assert image.mode == mode
    image.save(photos / "cat" / ("odd.jpg" if mode == "CMYK" else "odd.png"))
    images = open_data(str(photos)).evaluation(0)
    assert len(images) == 7
    assert find_unreadable(images) == {}


# ---- photos that are not read, and folders that are no classes


def test_class_of_photos_that_are_not_read_is_refused_by_every_command(refused, colour_network, photos, tmp_path):
    for file in (photos / "dog").iterdir():
        file.rename(file.with_suffix(".heic")).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    network, model = colour_network(tmp_path / "net.onnx", classes=2), write_keras(tmp_path / "net.keras")
    said = "class dog must hold an image that can be read, got 3 .heic in"
    for command in (("build",), ("export", "--model", model), ("verify", network)):
        assert said in refused(*command, "--data", photos)
        (tmp_path / "here").rmdir()


@pytest.mark.parametrize("out", ["photos/out", "photos", "photos/dog"])
@pytest.mark.parametrize("command", ["build", "build --dry-run", "verify net_fp32.onnx --preprocess unit"])
def test_output_among_the_classes_is_refused(cli, colour_network, photos, command, out):
    colour_network(photos.parent / "net_fp32.onnx", classes=2)
    done = cli(*command.split(), "--data", photos, "--out", out, cwd=photos.parent)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr == (
        f"Error: output folder {out} must not lie in {photos}, whose sub-folders are classes: give another --out\n"
    )
    assert {path.name for path in photos.iterdir()} == {"cat", "dog"}
    assert len(list((photos / "dog").iterdir())) == 3


@pytest.mark.parametrize("scores", [1001, 965, 3])
def test_verify_refuses_a_network_of_more_classes_than_there_are_folders(
    refused, colour_network, photos, tmp_path, scores
):
    network = colour_network(tmp_path / "net_fp32.onnx", classes=scores)
    words = ("verify", network, "--data", photos, "--preprocess", "unit")
    if scores == 3:
        assert "must give a score for each of 2 classes, got 3: --background leaves out the first" in refused(*words)
    else:
        assert f"got {scores} scores for 2 classes: --classes names the classes in the order" in refused(*words)
