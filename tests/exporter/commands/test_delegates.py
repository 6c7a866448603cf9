"""`inspect --delegates` on the command line: the table, what is not installed, and what is refused in one line."""

import json

import pytest
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.cli import run
from mbexport.errors import DataError
from mbexport.formats.kernel_path import Share


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net_int8.tflite"
    path.write_bytes(tflite_of("uint8", affine=Affine(scale=(1 / 256,), zero_point=(0,))))
    return str(path)


@pytest.fixture(autouse=True)
def without_a_gpu(monkeypatch):
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


def test_where_a_measurement_and_the_list_differ_both_are_shown(capfd, monkeypatch, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_of("uint8", codes="int8", affine=Affine(scale=(1 / 256,), zero_point=(0,))))
    shares = {
        "xnnpack": Share(taken=3, total=3),
        "webgpu": Share(taken=2, total=3, left=(("RESHAPE", 1),), device="a GPU"),
    }
    monkeypatch.setattr("mbexport.formats.tflite.vulkan.missing_device", lambda: None)
    monkeypatch.setattr("mbexport.formats.delegates.fitness._measured", lambda _file, name: shares[name])
    assert run(["inspect", str(path), "--delegates"]) == 0
    lines = [" ".join(line.split()) for line in capfd.readouterr().out.splitlines()]
    start = lines.index("GPU measured 2 of 3 1 RESHAPE: left to the CPU; the runtime gives no reason")
    assert lines[start + 1 : start + 6] == [
        "list 1 of 3 1 QUANTIZE: not in the list",
        "1 DEQUANTIZE: the input must be constant",
        "difference QUANTIZE: taken when measured, not by the list",
        "difference RESHAPE: taken by the list, not when measured",
        "difference DEQUANTIZE: taken when measured, not by the list",
    ]
    assert "measured of GPU: --path webgpu on a GPU" in lines


def test_a_measurement_that_fails_has_its_reason_in_the_row(capfd, file, monkeypatch):
    def fail(_file, name):
        raise DataError(f"{name} crashed")

    monkeypatch.setattr("mbexport.formats.delegates.fitness._measured", fail)
    assert run(["inspect", file, "--delegates"]) == 0
    lines = [" ".join(line.split()) for line in capfd.readouterr().out.splitlines()]
    assert "XNNPACK not measured - xnnpack crashed" in lines
    assert "Edge TPU list 1 of 1 none: the whole graph" in lines


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
