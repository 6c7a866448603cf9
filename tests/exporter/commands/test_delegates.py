"""`inspect --delegates` on the command line: the table, what is not installed, and what is refused in one line."""

import json

import pytest
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.cli import run


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net_int8.tflite"
    path.write_bytes(tflite_of("uint8", affine=Affine(scale=(1 / 256,), zero_point=(0,))))
    return str(path)


@pytest.fixture(autouse=True)
def without_a_gpu(monkeypatch):
    monkeypatch.setattr("mbexport.formats.tflite.paths._webgpu_missing", lambda: "there is none")
    monkeypatch.setattr("mbexport.formats.tflite.vulkan.missing_device", lambda: "there is none")


def test_the_table_says_of_each_delegate_what_is_known_and_how(capfd, file):
    assert run(["inspect", file, "--delegates"]) == 0
    shown, errors = capfd.readouterr()
    lines = shown.splitlines()
    assert errors == ""
    assert lines[0] == "net_int8.tflite: 1 ops"
    assert lines[1].split("  ")[0] == "delegate"
    rows = {line[:18].strip(): " ".join(line[18:].split()) for line in lines[2:9] if line[:18].strip()}
    assert rows["XNNPACK"] == "measured 1 of 1 none: the whole graph"
    assert rows["GPU"].startswith("not measured - --path webgpu cannot be used here: there is none; install a Vulkan")
    assert rows["Edge TPU"] == "list 1 of 1 none: the whole graph"
    assert rows["Core ML EP"] == "- - executes .onnx files"
    assert any(line.startswith("list of Edge TPU: Coral, ") for line in lines)


def test_as_json_sources_and_reasons_are_there(capfd, file):
    assert run(["inspect", file, "--delegates", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert (facts["file"], facts["format"], facts["ops"]) == ("net_int8.tflite", "tflite", 1)
    entries = {entry["name"]: entry for entry in facts["delegates"]}
    assert list(entries) == ["xnnpack", "gpu", "edgetpu", "nnapi", "coreml", "qnn-htp"]
    assert entries["xnnpack"]["measured"]["path"] == "xnnpack"
    assert entries["gpu"]["measured"] is None
    assert entries["gpu"]["published"]["as_of"].startswith("TensorFlow, commit ")
    assert entries["qnn-htp"]["published"] is entries["qnn-htp"]["measured"] is None


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--kernels"], "--kernels and --delegates are tables of their own; give one, got 2"),
        (["--sensitivity"], "--sensitivity and --delegates are tables of their own; give one, got 2"),
        (["--path", "builtin"], "--path goes with --kernels, got it alone"),
    ],
)
def test_other_tables_do_not_go_with_it(capsys, file, words, line):
    assert run(["inspect", file, "--delegates", *words]) == 2
    assert capsys.readouterr().err == f"Error: {line}\n"


def test_a_keras_file_has_no_delegates(capsys, tmp_path):
    path = tmp_path / "net.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    assert run(["inspect", str(path), "--delegates"]) == 2
    assert "Error: --delegates takes a .tflite or .onnx file, got " in capsys.readouterr().err
