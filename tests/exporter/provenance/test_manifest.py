"""manifest.json by hand, and that it records all options."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifest_by_hand import ABC, manifest_by_hand

import mbexport
from mbexport.commands import build, export, rebuild
from mbexport.commands.options import PATH, Option
from mbexport.commands.recipe import context_of, recipe_of, recorded
from mbexport.errors import DataError, OptionError
from mbexport.fingerprint import library_versions, path_hash, tool_fingerprint
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.deliver import inputs_of
from mbexport.pipeline.plan import Foreign, Trained
from mbexport.provenance.git import Git
from mbexport.provenance.manifest import FileFacts, Input, Recipe, Tool, input_at, is_inside, recorded_name

SPEC = ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=2)
# They cannot change a byte of what is made: `test_reproducible.py` varies them.
ASIDE = {
    "cache",
    "config",
    "dry-run",
    "force",
    "gate",
    "latency",
    "log-dir",
    "out",
    "resume",
    "sensitivity",
    "sign",
    "status",
    "strict",
    "summary",
    "threads",
}
MAKERS = (build.command, export.command)


def test_file_by_hand():
    assert json.loads(manifest_by_hand().to_bytes()) == {
        "schema": 2,
        "tool": {
            "name": "mbexport",
            "version": "1.0",
            "code": "c0de",
            "libraries": {"numpy": "2.1"},
            "environment": {"cores": "2"},
        },
        "command": "build",
        "options": {"alpha": 0.5, "data": "photos"},
        "inputs": {"data": {"name": "photos", "fingerprint": ABC}},
        "git": None,
        "verdict": None,
        "files": {
            "labels.txt": {"sha256": hashlib.sha256().hexdigest(), "size_bytes": 0},
            "net.onnx": {"sha256": ABC, "size_bytes": 3},
        },
    }


def test_what_schema_2_added_by_hand():
    told = json.loads(
        manifest_by_hand(
            files={"report.json": FileFacts.of(b"", repeats=False), "ios/net.onnx": FileFacts.of(b"abc")},
            git=Git(commit="c0de" * 10, dirty=True),
            verdict={"passed": True, "strict": False, "gates": {"agreement": "undecided"}},
        ).to_bytes()
    )
    assert told["files"] == {
        "ios/net.onnx": {"sha256": ABC, "size_bytes": 3},
        "report.json": {"sha256": hashlib.sha256().hexdigest(), "size_bytes": 0, "repeats": False},
    }
    assert told["git"] == {"commit": "c0de" * 10, "dirty": True}
    assert told["verdict"] == {"passed": True, "strict": False, "gates": {"agreement": "undecided"}}


OUTSIDE = ["", "/etc/passwd", "../net", "a/../net", "a//net", "a/", "./net", ".", "..", "a\\net", "a\nb", "a\0", "\x7f"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_file_is_listed_that_could_lie_elsewhere(name):
    assert not is_inside(name)
    with pytest.raises(DataError, match=r"files must have relative paths without '..', .* and control characters, got"):
        manifest_by_hand(files={name: FileFacts.of(b"")}).to_bytes()


@pytest.mark.parametrize("name", ["net.onnx", "a/b/c", "...", "a/..b", "maße.txt", "two words", "C:x", ".hidden/x"])
def test_files_may_lie_in_folders(name):
    assert is_inside(name)


def test_order_of_files_is_that_of_their_names():
    files = {name: FileFacts.of(b"") for name in ("b", "a")}
    turned = dict(reversed(files.items()))
    assert manifest_by_hand(files=files).to_bytes() == manifest_by_hand(files=turned).to_bytes()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("photos", "photos"),
        ("data/photos", "data/photos"),
        ("../photos", "../photos"),
        ("/data/photos", "photos"),
        ("/data/photos/", "photos"),
        ("/data/photos/.", "photos"),
        ("tfds:mnist", "tfds:mnist"),
        ("wds:shards/", "wds:shards/"),
        ("wds:/data/shards/", "wds:shards"),
        ("tfrecord:/data/records", "tfrecord:records"),
    ],
)
def test_no_absolute_path_is_written_down(value, expected):
    assert recorded_name(value) == expected


def test_one_file_has_its_sha256_and_a_folder_a_fingerprint(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "w.h5").write_bytes(b"abc")
    file = tmp_path / "model" / "w.h5"
    assert input_at("model/w.h5", file) == Input(name="model/w.h5", is_file=True, digest=ABC)
    assert input_at("model", tmp_path / "model") == Input(
        name="model", is_file=False, digest=path_hash(tmp_path / "model")
    )
    with pytest.raises(DataError, match=r"nothing.h5 cannot be read: No such file or directory$"):
        input_at("nothing.h5", tmp_path / "nothing.h5")


def test_weights_are_those_that_were_found_and_none_are_no_input(tmp_path):
    (tmp_path / "cached.h5").write_bytes(b"abc")
    recipe = Recipe(command="build", options={"weights": "imagenet", "data": "digits"}, inputs=("weights", "data"))
    data = Input(name="digits", is_file=False, digest="d")
    found = inputs_of(recipe, Trained(spec=SPEC, epochs=1, weights=tmp_path / "cached.h5"), {"data": "d"})
    assert found == {"weights": Input(name="imagenet", is_file=True, digest=ABC), "data": data}
    assert inputs_of(recipe, Trained(spec=SPEC, epochs=1), {"data": "d"}) == {"data": data}


def test_every_other_input_is_the_file_that_its_option_names(tmp_path):
    (tmp_path / "net.keras").write_bytes(b"abc")
    recipe = Recipe(command="export", options={"model": str(tmp_path / "net.keras")}, inputs=("model",))
    found = inputs_of(recipe, Foreign(model=tmp_path / "net.keras"), {})
    assert found == {"model": Input(name="net.keras", is_file=True, digest=ABC)}


def test_tool_is_the_one_that_runs():
    versions = Tool.here().versions
    assert versions["mbexport"] == mbexport.__version__
    assert {name: versions[name] for name in library_versions()} == library_versions()
    assert Tool.here().code == tool_fingerprint()


@pytest.mark.parametrize("command", MAKERS)
def test_every_option_is_recorded_unless_it_is_known_to_change_no_byte(command):
    ours = {each.long_name for each in command.params if isinstance(each, Option)}
    assert len(ours) == len(command.params)  # an option of click's own would be forgotten
    assert {each.long_name for each in recorded(command)} == ours - ASIDE


@pytest.mark.parametrize("command", MAKERS)
def test_every_recorded_path_is_an_input_and_rebuild_takes_each(command):
    paths = {each.long_name for each in recorded(command) if each.type is PATH}
    inputs = {each.long_name for each in recorded(command) if each.is_input}
    assert paths <= inputs
    assert inputs <= {each.long_name for each in rebuild.command.params if isinstance(each, Option)}


def test_values_are_recorded_whoever_gave_them(tmp_path, monkeypatch):
    (tmp_path / "options.toml").write_text('io = "int8"\nprecision = ["int8"]')
    monkeypatch.setenv("MBEXPORT_BUILD_SEED", "7")
    words = ["--alpha", "0.5", "--config", str(tmp_path / "options.toml"), "--classes", "/data/c.txt", "--out", "here"]
    context = build.command.make_context("build", words, auto_envvar_prefix="MBEXPORT_BUILD")
    recipe = recipe_of(context)
    assert recipe.command == "build"
    assert recipe.inputs == ("data", "weights", "classes")
    told = {name: recipe.options[name] for name in ("alpha", "io", "precision", "seed", "conv", "classes", "epochs")}
    assert told == {
        "alpha": 0.5,
        "io": "int8",
        "precision": ["int8"],
        "seed": 7,
        "conv": "separable",
        "classes": "/data/c.txt",
        "epochs": None,
    }


WORDS = (
    *(("--alpha", "0.3"), ("--shallow",), ("--conv", "standard"), ("--weights", "w.h5"), ("--data", "photos")),
    *(("--int8",), ("--precision", "int8"), ("--format", "onnx"), ("--format", "tflite"), ("--mean", "1/3")),
    *(("--crop-fraction", "0.1"), ("--io", "float32"), ("--seed", "3"), ("--rho", "0.5"), ("--max-bad", "3%")),
    *(
        ("--corrections", "bias"),
        ("--keep", "float:conv1"),
        ("--keep", "auto:2"),
        ("--qat-steps", "5"),
        ("--classes", "c.txt"),
        ("--calibration", "/tmp/x"),
    ),
)


@given(st.lists(st.sampled_from(WORDS), unique=True))
def test_what_is_recorded_asks_for_the_same_again(words):
    first = build.command.make_context("build", [word for given in words for word in given])
    options = json.loads(json.dumps(recipe_of(first).options))
    assert context_of(build.command, options, source=Path("manifest.json")).params == first.params


def test_what_is_recorded_is_all_that_speaks(monkeypatch):
    monkeypatch.setenv("MBEXPORT_BUILD_ALPHA", "0.75")
    monkeypatch.setenv("NONE_ALPHA", "0.75")
    assert context_of(build.command, {"alpha": None}, source=Path("m")).params["alpha"] == 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alphas": 1}, "m.json must hold options of build, got alphas: another version made it"),
        ({"out": "/etc"}, "m.json must hold options of build, got out"),
        ({"epochs": 1.5}, "m.json: epochs must be a whole number, got 1.5"),
        ({"shallow": 1}, "m.json: shallow must be true or false, got 1"),
    ],
)
def test_options_of_another_version_are_refused(options, said):
    with pytest.raises((DataError, OptionError), match=said):
        context_of(build.command, options, source=Path("m.json"))
