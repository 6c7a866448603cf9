"""Weights that were trained elsewhere: found in Keras' cache, fetched, or refused with a word on what they fit."""

import io
import json
import sys
from pathlib import Path

import h5py
import pytest

from mbexport.cli import run
from mbexport.errors import StageError
from mbexport.models.resolution import Resolution

pytestmark = pytest.mark.run

NAME = "mobilenet_2_5_128_tf.h5"  # tf_keras.applications.mobilenet spells alpha 0.25 so
_CONTENT = io.BytesIO()
h5py.File(_CONTENT, "w").close()
EMPTY = _CONTENT.getvalue()  # a sound file that holds no weights
IMAGENET = ("export", "--weights", "imagenet", "--alpha", "0.25", "--resolution", "128", "--data", "digits")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def started(capfd, monkeypatch):
    """Runs the command line with a stdout that writes to descriptor 1, as everywhere but in pytest."""

    def start(words) -> tuple[int, str, str]:
        with open(1, "w", closefd=False, encoding="utf-8") as stream, monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", stream)
            code = run(words)
        return code, *capfd.readouterr()

    return start


@pytest.fixture
def keras_home(tmp_path, monkeypatch) -> Path:
    """An empty cache; what Keras fetches comes from the folder `server`."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    (tmp_path / "server").mkdir()
    monkeypatch.setattr("tf_keras.src.applications.mobilenet.BASE_WEIGHT_PATH", (tmp_path / "server").as_uri() + "/")
    return tmp_path / "home"


@pytest.fixture
def stopped(monkeypatch):
    """The plans that were run, none of which gets further than that."""
    caught = []

    def stop(plan, _data, _progress, **_named):
        caught.append(plan)
        raise StageError("this is as far as the test goes")

    monkeypatch.setattr("mbexport.pipeline.build.run", stop)
    return caught


@pytest.mark.parametrize("command", [IMAGENET, ("build", *IMAGENET[1:])], ids=lambda words: words[0])
def test_weights_that_cannot_be_fetched_are_refused_naming_file_and_place(keras_home, here, started, command):
    code, printed, errors = started([*command, "--out", "out"])
    assert (code, printed) == (2, "")
    assert errors.startswith(f"Error: the ImageNet weights are not at {keras_home / 'models' / NAME} and cannot be ")
    assert errors.endswith(f": put {NAME} there, or pass --weights FILE\n")
    assert errors.count("\n") == 1
    assert list(here.iterdir()) == []
    assert not (keras_home / "models" / NAME).exists()


def test_cache_that_cannot_be_made_is_refused_and_no_other_place_is_taken(keras_home, here, started):
    (keras_home.parent / "server" / NAME).write_bytes(b"published")
    keras_home.write_text("a file where the folder should be")
    code, printed, errors = started([*IMAGENET, "--out", "out"])
    assert (code, printed) == (2, "")
    assert f"not at {keras_home / 'models' / NAME} and cannot be downloaded" in errors
    assert list(here.iterdir()) == []


def test_weights_in_the_cache_are_used_without_loading_tensorflow(keras_home, stopped, started, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_keras", None)  # to import it is an error
    (keras_home / "models").mkdir(parents=True)
    (keras_home / "models" / NAME).write_bytes(EMPTY)
    assert started(IMAGENET)[0] == 3
    assert stopped[0].origin.weights == keras_home / "models" / NAME


def test_weights_are_fetched_into_the_cache_once(keras_home, stopped, started):
    published = keras_home.parent / "server" / NAME
    published.write_bytes(EMPTY)
    for _ in range(2):
        code, printed, errors = started(IMAGENET)
        assert (code, printed) == (3, ""), errors  # Keras' progress bar is no result
        published.unlink(missing_ok=True)
    assert [plan.origin.weights for plan in stopped] == [keras_home / "models" / NAME] * 2
    assert (keras_home / "models" / NAME).read_bytes() == EMPTY


def test_imagenet_export_without_labels_has_a_thousand_classes(keras_home, stopped, started, monkeypatch, tmp_path):
    (keras_home / "models").mkdir(parents=True)
    (keras_home / "models" / NAME).write_bytes(EMPTY)
    monkeypatch.setattr("mbexport.models.keras_import.weights.stored_weights", lambda _path: {})
    assert started([*IMAGENET[:-2], "--calibration", str(tmp_path)])[0] == 3
    assert stopped[0].origin.spec.classes == 1000


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """Weights of a network of alpha 0.25 with seven classes, as Keras stores them."""
    from mbexport.models.mobilenet_v1.network import build
    from mbexport.models.mobilenet_v1.spec import ModelSpec

    path = tmp_path_factory.mktemp("stored") / "seven.weights.h5"
    build(ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=7)).save_weights(path)
    return path


# The stem has int(32 * alpha) filters: 16 at alpha 0.5, 8 in the file; the head 10 classes for digits.
MISFITS = [
    ("export", "0.5", "conv1/kernel must have shape (3, 3, 3, 16), got (3, 3, 3, 8)"),
    ("export", "0.25", "conv_preds/kernel must have shape (1, 1, 256, 10), got (1, 1, 256, 7)"),
    ("build", "0.5", "conv1/kernel must have shape (3, 3, 3, 16), got (3, 3, 3, 8)"),
]


@pytest.mark.parametrize("case", MISFITS, ids=lambda case: " ".join(case[:2]))
def test_weights_of_another_network_are_refused_with_a_guess(stored, here, capfd, case):
    command, alpha, said = case
    (here / "old").mkdir()
    (here / "old" / "notes.txt").write_text("precious")
    for out in ("new", "old"):
        words = ["--weights", str(stored), "--alpha", alpha, "--resolution", "32", "--data", "digits", "--out", out]
        assert run([command, *words]) == 2
        shown = capfd.readouterr()
        assert shown.out == ""
        assert shown.err == f"Error: the weights {stored} do not fit: {said}; it looks like alpha 0.25 with 7 classes\n"
    assert [path.name for path in here.iterdir()] == ["old"]
    assert (here / "old" / "notes.txt").read_text() == "precious"
    assert not list((here / "old" / ".mbexport").glob("stages/*/record.json"))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x89HDF\r\n\x1a\ncut off", b"PK\x03\x04cut off"])
def test_weights_that_are_no_keras_file_are_refused(here, capfd, content):
    (here / "w.h5").write_bytes(content)
    words = ["--weights", "w.h5", "--alpha", "0.25", "--resolution", "32", "--data", "digits", "--out", "out"]
    assert run(["export", *words]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Error: ")
    assert "w.h5" in shown.err
    assert shown.err.count("\n") == 1
    assert [path.name for path in here.iterdir()] == ["w.h5"]


def test_folder_of_an_earlier_build_is_whole_after_a_misfit(stored, here, capfd):
    (here / "out" / ".mbexport" / "stages" / "weights").mkdir(parents=True)
    record = {"key": "of another run", "seconds": 1.0, "files": {}}
    (here / "out" / ".mbexport" / "stages" / "weights" / "record.json").write_text(json.dumps(record))
    words = ["--weights", str(stored), "--alpha", "0.5", "--resolution", "32", "--data", "digits", "--out", "out"]
    assert run(["export", *words]) == 2
    assert "do not fit" in capfd.readouterr().err
    kept = json.loads((here / "out" / ".mbexport" / "stages" / "weights" / "record.json").read_text())
    assert kept == record
