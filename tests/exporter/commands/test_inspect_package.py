"""`inspect` of a Core ML package: what lies in it, and one line for damage and for options that need a runtime."""

import json

import numpy as np
import pytest
from coreml_by_hand import LABELS, files_by_hand

from mbexport.cli import run

CODES = np.full((2, 3, 1, 1), 3, np.int8), np.ones(2, np.float16)


@pytest.fixture
def folder(tmp_path):
    def written(**changed):
        place = tmp_path / "net_w8.mlpackage"
        for name, content in files_by_hand(**changed).items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        return str(place)

    return written


def test_the_lines(capsys, folder):
    assert run(["inspect", folder(codes=CODES, specification=7)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("net_w8.mlpackage: 8-bit weights, float16 mlpackage, ")
    assert [line for line in lines if line.startswith(("reads", "input", "output", "labels", "weights", "ops"))] == [
        "reads    iOS 16 and later (specification 7)",
        "input    image, 2 x 2 px, RGB",
        "output   classLabel, classLabel_probs",
        "labels   2: cat, dog",
        "weights  1 of 1 convolutions in 8 bits",
        "ops      not run: Core ML needs macOS or iOS",
    ]
    assert "    1 x conv" in lines


def test_as_json(capsys, folder):
    assert run(["inspect", folder(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["precision"], found["system"], found["labels"]) == ("float16", "iOS 15", list(LABELS))
    assert found["ops"] == {"add": 1, "cast": 2, "classify": 1, "conv": 1, "mul": 1, "reduce_mean": 1, "softmax": 1}
    assert found["metadata"]["mbexport.name"] == "net"


@pytest.mark.parametrize("words", [["--kernels"], ["--sensitivity"], ["--delegates"], ["--target", "ethos-u55-256"]])
def test_tables_of_what_runs_here_are_refused(capsys, folder, words):
    place = folder()
    assert run(["inspect", place, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"Error: {words[0]} is for files that run here, got the Core ML package {place}"


def test_a_damaged_package_is_one_line(capsys, folder, tmp_path):
    place = folder()
    (tmp_path / "net_w8.mlpackage" / "Data/com.apple.CoreML/model.mlmodel").write_bytes(b"\xff\xff")
    assert run(["inspect", place]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"Error: {place} is not an .mlpackage that can be read: its specification is damaged"


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_commands_that_run_files_say_what_can_be_done(capsys, folder, command):
    place = folder()
    assert run([command, place, *(["--data", "digits"] if command == "verify" else [])]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == (
        f"Error: {place} is a Core ML package, which runs on macOS and iOS alone; `mbexport inspect` shows it"
    )
