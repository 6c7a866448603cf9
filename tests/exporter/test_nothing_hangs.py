"""A pipe or an endless device in the place of a file is one line and exit code 2, for every file that is read."""

import os
from pathlib import Path

import numpy as np
import pytest
from delivered_by_hand import contents_by_hand, deliver, with_proof
from keras_by_hand import write_keras
from PIL import Image

from mbexport.cli import run

KINDS = {"pipe": os.mkfifo, "endless": lambda place: Path(place).symlink_to("/dev/zero"), "folder": os.mkdir}
each_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def folder(tmp_path) -> Path:
    deliver(tmp_path / "net", with_proof(contents_by_hand()))
    return tmp_path / "net"


def one_line(capfd, *words: object) -> str:
    assert run([str(word) for word in words]) == 2
    out, errors = capfd.readouterr()
    assert (out, errors.count("\n"), errors[:7]) == ("", 1, "Error: ")
    return errors


@each_kind
@pytest.mark.parametrize("name", ["labels.txt", "manifest.json", "net_int8.tflite", "golden/golden.json"])
def test_bundle_reads_regular_files(folder, capfd, make, name):
    (folder / name).unlink()
    make(folder / name)
    assert name in one_line(capfd, "bundle", folder)


@each_kind
@pytest.mark.parametrize("name", ["labels.txt", "net_int8.tflite"])
def test_a_check_says_what_is_no_file(folder, capfd, make, name):
    (folder / name).unlink()
    make(folder / name)
    assert run(["bundle", "--check", str(folder)]) == 1
    assert name in capfd.readouterr().out


@each_kind
def test_the_manifest_of_a_rebuild_is_a_regular_file(folder, capfd, make):
    (folder / "manifest.json").unlink()
    make(folder / "manifest.json")
    for command in (["rebuild", "--check", folder / "manifest.json"], ["bundle", "--check", folder]):
        assert "manifest.json" in one_line(capfd, *command)


@pytest.fixture
def exported(stand_ins, tmp_path, monkeypatch, capfd) -> Path:
    """An export of a model with a file of classes, and what it read."""
    monkeypatch.chdir(tmp_path)
    write_keras(tmp_path / "net.keras")
    (tmp_path / "images").mkdir()
    Image.fromarray(np.full((9, 9, 3), 7, np.uint8)).save(tmp_path / "images" / "a.png")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    words = ["--model", "net.keras", "--calibration", "images", "--classes", "names.txt", "--format", "onnx"]
    assert run(["export", *words, "--out", "out"]) in (0, 1), capfd.readouterr().err
    capfd.readouterr()
    return tmp_path


@each_kind
@pytest.mark.parametrize("name", ["names.txt", "net.keras"])
def test_the_inputs_of_a_rebuild_are_regular_files(exported, capfd, make, name):
    (exported / name).unlink()
    make(exported / name)
    assert name in one_line(capfd, "rebuild", "--check", exported / "out" / "manifest.json")


@each_kind
@pytest.mark.parametrize("option", ["--ranges", "--classes", "--config", "--model", "--weights"])
def test_the_files_that_options_name_are_regular(tmp_path, monkeypatch, capfd, make, option):
    monkeypatch.chdir(tmp_path)
    write_keras(tmp_path / "net.keras")
    place = tmp_path / ("x.h5" if option in ("--model", "--weights") else "x")
    make(place)
    words = [] if option in ("--model", "--weights") else ["--model", "net.keras"]
    assert one_line(capfd, "export", *words, "--int8", "--data", "digits", option, place)
    assert not (tmp_path / "dist").exists()
