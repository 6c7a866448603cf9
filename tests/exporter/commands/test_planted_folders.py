"""Somebody hands over an output folder or a cache in which things were planted: the next command is not theirs."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from delivered_by_hand import contents_by_hand, deliver, with_proof
from keras_by_hand import write_keras
from PIL import Image

from mbexport.cli import run
from mbexport.pipeline.stage_files import MEASURED, NETWORK

PRECIOUS = b"precious"
WORDS = ["export", "--model", "net.keras", "--data", "photos", "--format", "onnx", "--out", "out"]


@pytest.fixture
def home(tmp_path) -> Path:
    """Somebody's own folder, with a file x in it, beside the output folder."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "x").write_bytes(PRECIOUS)
    return tmp_path / "home"


@pytest.fixture
def exported(stand_ins, home, monkeypatch, capfd) -> Path:
    """The folder of an export that failed a gate; the current folder is its parent."""
    here = home.parent
    for name, least in (("dark", 0), ("light", 150)):
        (here / "photos" / name).mkdir(parents=True)
        for i in range(40):
            Image.fromarray(np.full((2, 2, 3), least + i, np.uint8)).save(here / "photos" / name / f"{i:02}.png")
    write_keras(here / "net.keras")
    monkeypatch.chdir(here)
    assert run([*WORDS, "--gate", "agreement=1.01"]) == 1, capfd.readouterr().err
    capfd.readouterr()
    return here / "out"


@pytest.fixture
def folder(home) -> Path:
    """A finished folder without a cache, as an archive brings it."""
    deliver(home.parent / "net", with_proof(contents_by_hand()))
    shutil.rmtree(home.parent / "net" / ".mbexport")
    return home.parent / "net"


def replace_in_cache(out: Path, stage: str, name: str, content: bytes) -> None:
    """Puts other bytes in the place of a stage's file, and their hash into its record."""
    place = out / ".mbexport" / "stages" / stage
    (place / name).write_bytes(content)
    record = json.loads((place / "record.json").read_bytes())
    record["files"][name] = hashlib.sha256(content).hexdigest()
    (place / "record.json").write_text(json.dumps(record))


def line(capfd, *words: object) -> str:
    assert run([str(word) for word in words]) == 2
    out, errors = capfd.readouterr()
    assert (out, errors.count("\n")) == ("", 1)
    return errors


def test_a_planted_network_is_made_again_and_runs_nothing(exported, home, capfd):
    place = exported / ".mbexport" / "stages" / "import" / NETWORK
    command = {"function": "system", "module": "os", "arguments": {"command": f"touch {home / 'ran'}"}}
    evil = {"class_name": "Functional", "config": {"layers": [{"class_name": "Lambda", "config": command}]}}
    facts = {**json.loads(place.read_bytes()), "architecture": json.dumps(evil)}
    replace_in_cache(exported, "import", NETWORK, json.dumps(facts).encode())
    assert run([*WORDS, "--gate", "agreement=1.01"]) == 1
    assert "import         done in" in capfd.readouterr().err
    assert [path.name for path in home.iterdir()] == ["x"]


def test_a_verdict_in_a_planted_cache_does_not_count(exported, capfd):
    measured = (exported / ".mbexport" / "stages" / "verify" / MEASURED).read_bytes()
    replace_in_cache(exported, "verify", MEASURED, measured.replace(b'"agreement": ', b'"agreement": 9'))
    assert run([*WORDS, "--gate", "agreement=1.01"]) == 1
    assert "verify         done in" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["../home/x", "{home}/x"])
def test_a_planted_list_deletes_nothing_elsewhere(folder, home, name):
    (folder / ".mbexport").mkdir()
    names = [name.format(home=home), *json.loads((folder / "manifest.json").read_bytes())["files"]]
    (folder / ".mbexport" / "published.json").write_text(json.dumps(names))
    assert run(["bundle", "--check", str(folder)]) == 0
    assert run(["bundle", str(folder), "--out", str(folder)]) in (0, 2)
    assert (home / "x").read_bytes() == PRECIOUS


@pytest.mark.parametrize("name", [".mbexport", ".mbexport/tmp", ".mbexport/stages", "golden"])
def test_a_planted_link_is_named_and_nothing_behind_it_is_touched(exported, home, capfd, name):
    shutil.rmtree(exported / name)
    (exported / name).symlink_to(home)
    assert f"out/{name} is a link" in line(capfd, *WORDS, "--force")
    assert [(path.name, path.read_bytes()) for path in home.iterdir()] == [("x", PRECIOUS)]


@pytest.mark.parametrize("name", ["labels.txt", "report.json", "manifest.json"])
def test_a_users_own_files_are_kept(stand_ins, exported, capfd, name):
    (exported / name).write_bytes(PRECIOUS)
    stand_ins.tried_on.clear()
    for words in (WORDS, [*WORDS, "--dry-run"]):
        assert f"out/{name} is not as a run of mbexport left it" in line(capfd, *words)
    assert (exported / name).read_bytes() == PRECIOUS
    assert stand_ins.tried_on == []  # it is said before any work
    assert run([*WORDS, "--force"]) in (0, 1)
    assert (exported / name).read_bytes() != PRECIOUS


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["verify", "a.onnx", "--data", "digits"], "out"),
        (["bench", "a.onnx"], "out"),
        (["rebuild", "--check", "m"], "keep"),
    ],
)
def test_force_without_a_folder_is_not_ignored(capfd, words, option):
    assert f"--force goes with --{option}; give --{option} DIR, or drop --force" in line(capfd, *words, "--force")


def test_a_finished_folder_stays_sound(folder, colour_network, capfd):
    network = colour_network(folder.parent / "colours.onnx", classes=10)
    for words in (["verify", network, "--data", "digits"], ["bench", network]):
        assert "holds what a run delivered" in line(capfd, *words, "--out", folder, "--force")
    assert run(["bundle", "--check", str(folder)]) == 0
