"""The reference of an export is the user's own model, and an import that is not it ends the run."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from contexts import context, record
from PIL import Image

from mbexport.cli import run
from mbexport.models.data.imageset import ImageSet
from mbexport.models.preprocess import UNIT
from mbexport.pipeline.plan import BuildPlan, Foreign
from mbexport.pipeline.stage_files import AGREEMENT, INPUT, NETWORK, WEIGHTS

pytestmark = [pytest.mark.run, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")]
PX = 16


@pytest.fixture(scope="module")
def model() -> Any:
    from tf_keras import Sequential, initializers, layers, utils

    utils.set_random_seed(0)
    return Sequential(
        [
            layers.Input((PX, PX, 3)),
            layers.Rescaling(2.0, offset=-1.0),  # of numbers from 0 to 1
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="stem"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax", kernel_initializer=initializers.RandomNormal(stddev=2), name="head"),
        ]
    )


@pytest.fixture(scope="module")
def file(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("model") / "net.h5"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for index in range(12):
        Image.fromarray(rng.integers(0, 256, (PX, PX, 3), np.uint8)).save(folder / f"{index:02}.png")
    return folder


def images() -> ImageSet:
    rng = np.random.default_rng(1)
    pictures = [Image.fromarray(rng.integers(0, 256, (PX, PX, 3), np.uint8)) for _ in range(6)]
    names = tuple(map(str, range(6)))
    return ImageSet(labels=np.zeros(6, np.int64), names=names, read=lambda i: pictures[i])


def imported(file: Path, folder: Path, **given: Any) -> Any:
    """A run whose network has been imported."""
    from mbexport.pipeline.stages.train import import_network

    plan = BuildPlan(name="net", origin=Foreign(model=file), out=Path("out"), normalization=UNIT, **given)
    sets = SimpleNamespace(test=images(), contents=dict, fingerprints=("", ""))
    for name, content in import_network(context(plan, images=sets)).items():
        (folder / name).write_bytes(content)
    return context(plan, images=sets, records={"import": record(folder, NETWORK, WEIGHTS, INPUT)})


@pytest.mark.parametrize("logits", [False, True])
def test_artifacts_are_held_against_what_keras_computes(model: Any, file: Path, tmp_path: Path, logits: bool) -> None:
    """Also where the import were wrong: the stored weights of the network are not asked."""
    from mbexport.pipeline.networks import reference_scores

    run_ = imported(file, tmp_path, logits=logits)
    (tmp_path / WEIGHTS).unlink()
    pixels = np.random.default_rng(2).integers(0, 256, (5, PX, PX, 3), np.uint8)
    found = reference_scores(run_)(pixels)
    if logits:
        assert not np.allclose(found.sum(axis=1), 1)
        found = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, np.asarray(model(pixels / np.float32(255))), atol=1e-5)


def test_distance_is_told_with_the_library(file: Path, tmp_path: Path) -> None:
    from mbexport.pipeline.stages.check_import import check_import

    told = json.loads(check_import(imported(file, tmp_path))[AGREEMENT])
    assert told["images"] == 6 + 4  # and noise
    assert told["difference"] < 1e-6
    assert told["library"].startswith("tf_keras 2.")


def test_import_that_differs_ends_the_run_and_names_the_layer(
    file: Path, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the importer read another bias of dense layers."""
    from mbexport.models.keras_import import layers

    plain = layers.CONVERTERS["Dense"]
    shifted = np.float32([0.1, 0, 0])
    wrong = {"Dense": lambda call, weights: plain(call, [weights[0], weights[1] + shifted])}
    monkeypatch.setattr(layers, "CONVERTERS", {**layers.CONVERTERS, **wrong})
    words = ["--model", file, "--calibration", photos, "--preprocess", "unit", "--crop-fraction", 1, "--int8"]
    assert run(["export", *map(str, words), "--out", str(tmp_path / "out")]) == 3
    said = capfd.readouterr().err.splitlines()[-1]
    assert "is not the model that tf_keras 2." in said
    assert "at first behind layer head (Dense)" in said
    assert not list((tmp_path / "out").glob("*.tflite"))


@pytest.mark.parametrize(
    ("name", "content"),
    [("net.tflite", b"\x20\0\0\0TFL3"), ("net.lite", b"\x1c\0\0\0TFL3"), ("net.onnx", b"\x08\x08")],
)
def test_finished_file_as_a_model_is_told_to_be_one(
    tmp_path: Path, photos: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    words = ["--model", str(tmp_path / name), "--calibration", str(photos), "--out", str(tmp_path / "out")]
    assert run(["export", *words]) == 2
    assert "which is exported already: `mbexport verify` takes it" in capfd.readouterr().err
