"""`--path` on the command line: one line and exit code 2 for what cannot be had, and what `inspect` says."""

import json
import os

import pytest
from fake_micro import write_package
from PIL import Image
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.cli import run

MICRO = "tflite-micro"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net_int8.tflite"
    path.write_bytes(tflite_of("uint8", affine=Affine(scale=(1 / 256,), zero_point=(0,))))
    return str(path)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    folder = write_package(tmp_path / "packages")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--path", "cuda"], "--path must be one of xnnpack, builtin, "),
        (["--path", "qnn-htp:v99"], "--path must be one of xnnpack, builtin, "),
        (["--path", "unoptimized"], "--path unoptimized executes .onnx files, got "),
        (["--path-images", "4"], "--path-images goes with --path NAME, got none"),
        (["--path", "builtin", "--path-images", "0"], "--path-images must be from 1 to 1000000, got 0"),
    ],
)
def test_what_verify_cannot_do_is_one_line(capsys, file, words, line):
    assert run(["verify", file, "--data", "digits", "--no-latency", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (error,) = shown.err.splitlines()
    assert error.startswith(f"Error: {line}")


def test_what_is_not_installed_is_one_line(capsys, file, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for command in (
        ["verify", file, "--data", "digits", "--path", MICRO],
        ["inspect", file, "--kernels", "--path", MICRO],
    ):
        assert run(command) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert error == (
            "Error: --path tflite-micro cannot be used here: the package tflite-micro is not installed; "
            "pip install 'mbexport[micro]'"
        )


def test_inspect_needs_kernels_and_the_right_format(capsys, file):
    assert run(["inspect", file, "--path", "builtin"]) == 2
    assert capsys.readouterr().err == "Error: --path goes with --kernels, got it alone\n"
    assert run(["inspect", file, "--kernels", "--path", "optimized"]) == 2
    assert "--path optimized executes .onnx files" in capsys.readouterr().err


def test_inspect_shows_what_each_path_takes(capfd, file, installed):
    words = ["inspect", file, "--kernels", "--path", "builtin", "--path", MICRO]
    assert run(["inspect", file, "--kernels"]) == 0
    usual = capfd.readouterr().out.splitlines()
    assert run(words) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[: len(usual)] == usual
    assert lines[len(usual) :] == [
        "builtin: the whole graph, 1 ops",
        "tflite-micro, in an arena of 5,120 bytes: the whole graph, 1 ops",
    ]
    assert run([*words, "--json"]) == 0
    shares = json.loads(capfd.readouterr().out)["shares"]
    assert [(share["path"], share["taken"], share["arena_bytes"]) for share in shares] == [
        ("builtin", 1, None),
        (MICRO, 1, 5120),
    ]


def test_paths_of_detectors_must_fit_their_files_too(capsys, file, tmp_path):
    boxes = tmp_path / "boxes"
    boxes.mkdir()
    Image.new("RGB", (8, 8)).save(boxes / "a.png")
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (boxes / "annotations.json").write_text(json.dumps(coco))
    assert run(["verify", file, "--data", str(boxes), "--path", "optimized"]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error == f"Error: --path optimized executes .onnx files, got {file}"
