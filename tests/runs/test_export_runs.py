"""Whole exports of trained Keras models that this tool did not build, in each form that a file can have."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbexport.artifact import Precision
from mbexport.models.data.open import iter_pixels, open_data
from mbexport.models.preprocess import UNIT, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.pipeline.build import run
from mbexport.pipeline.plan import BuildPlan, Foreign
from mbexport.progress import Silent
from mbexport.verification.gates import GATES

pytestmark = pytest.mark.run
GREY = Preprocess(resolution=Resolution.square(28), crop_fraction=1.0, channels=1, normalization=UNIT)
COLOUR = Preprocess(resolution=Resolution.square(28), crop_fraction=1.0, normalization=UNIT)
KERAS_3 = """
import sys, keras, numpy
layers = keras.layers
image = layers.Input((28, 28, 3))
x = layers.Rescaling(1 / 255)(image)
x = layers.BatchNormalization()(layers.Conv2D(16, 3, strides=2, padding="same", name="stem")(x))
x = layers.Activation("relu")(x)
for number, filters in enumerate((32, 48)):
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu6", name=f"depthwise_{number}")(x)
    x = layers.BatchNormalization()(layers.Conv2D(filters, 1, name=f"pointwise_{number}")(x))
    x = layers.Activation("relu6")(x)
x = layers.GlobalAveragePooling2D()(x)
model = keras.Model(image, layers.Dense(10, activation="softmax", name="head")(x))
stored = numpy.load(sys.argv[1])
model.set_weights([stored[name] for name in stored.files])
model.save(sys.argv[2])
"""


def trained(model: Any, preprocess: Preprocess, *, epochs: int = 8) -> Any:
    images = open_data("digits").split(0)[0]
    inputs = preprocess.normalize(np.concatenate(list(iter_pixels(images, preprocess))))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(inputs, images.labels, epochs=epochs, batch_size=16, verbose=0)
    return model


@pytest.fixture(scope="module")
def grey_model() -> Any:
    """Plain ReLU, SAME padding, batch normalization, one channel, a Dense head: nothing like our own network."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    x = image = layers.Input((28, 28, 1))
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for filters, stride in ((32, 1), (48, 2)):
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(x))
    return trained(tf_keras.Model(image, layers.Dense(10, activation="softmax")(x)), GREY)


@pytest.fixture(scope="module")
def keras_3_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .keras file as Keras 3 writes it, of a model that rescales its own input."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    x = image = layers.Input((28, 28, 3))
    x = layers.BatchNormalization(momentum=0.9)(layers.Conv2D(16, 3, strides=2, padding="same", name="stem")(x))
    x = layers.Activation("relu")(x)
    for number, filters in enumerate((32, 48)):
        x = layers.DepthwiseConv2D(3, padding="same", activation="relu6", name=f"depthwise_{number}")(x)
        x = layers.BatchNormalization(momentum=0.9)(layers.Conv2D(filters, 1, name=f"pointwise_{number}")(x))
        x = layers.Activation("relu6")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = trained(tf_keras.Model(image, layers.Dense(10, activation="softmax", name="head")(x)), COLOUR, epochs=16)
    folder = tmp_path_factory.mktemp("keras3")
    np.savez(folder / "weights.npz", *model.get_weights())
    arguments = [sys.executable, "-c", KERAS_3, folder / "weights.npz", folder / "model.keras"]
    subprocess.run(arguments, check=True, capture_output=True)
    return folder / "model.keras"


def exported(file: Path, out: Path, **options: Any) -> dict[str, Any]:
    """The report of an export with int8, verified on digits."""
    plan = BuildPlan(
        name=file.name.partition(".")[0],
        origin=Foreign(model=file),
        out=out,
        qat_epochs=0,
        precisions=(Precision.FP32, Precision.INT8),
        # A network of ten microseconds is no measure of speed.
        limits={"int8_speedup": 0},
        **options,
    )
    return run(plan, open_data("digits"), Silent()).report


def require_good(report: dict[str, Any], *, top1: float, convolutions: int) -> None:
    failed = [gate for gate in report["gates"] if not gate["passed"]]
    assert not failed
    assert report["reference"]["top1"] == pytest.approx(top1, abs=1e-9)
    assert [entry["kernels"]["int8_convs"] for entry in report["artifacts"]] == [0, 0, convolutions, convolutions]
    assert report["pairs"][0]["agreement"] >= 0.995


def keras_top1(model: Any, preprocess: Preprocess) -> float:
    """What the original gives by itself, on the images that the export is verified on."""
    images = open_data("digits").evaluation(0)
    inputs = preprocess.normalize(np.concatenate(list(iter_pixels(images, preprocess))))
    return float((model.predict(inputs, verbose=0).argmax(axis=1) == images.labels).mean())


@pytest.mark.parametrize("form", ["whole.h5", "v3.keras", "saved_model"])
def test_grey_plain_relu_same_padding_dense_head(grey_model, tmp_path, form):
    file = tmp_path / form
    grey_model.save(file, **({"save_format": "tf"} if form == "saved_model" else {}))
    report = exported(file, tmp_path / "out", normalization=UNIT)
    top1 = keras_top1(grey_model, GREY)
    assert top1 > 0.8
    require_good(report, top1=top1, convolutions=6)
    assert report["model"]["channels"] == 1
    assert report["model"]["output"] == "softmax"
    assert (report["data"]["mean"], report["data"]["std"]) == (0, 255)


def test_keras_3_file_that_rescales_its_input_needs_no_option(keras_3_file, tmp_path):
    report = exported(keras_3_file, tmp_path / "out")
    assert report["reference"]["top1"] > 0.8
    require_good(report, top1=report["reference"]["top1"], convolutions=6)
    assert (report["data"]["mean"], report["data"]["std"]) == (0, pytest.approx(255))


def test_through_the_command_line_on_a_folder_of_images_with_and_without_labels(cli, keras_3_file, tmp_path):
    images = open_data("digits").evaluation(0)
    photos = tmp_path / "photos"
    for index in range(120):
        folder = photos / str(images.labels[index])
        folder.mkdir(parents=True, exist_ok=True)
        images.read(index).resize((28, 28)).save(folder / f"{index}.png")
    # What 120 images can lose by rounding, and what ten microseconds are, is not what is asked here.
    common = ("export", "--model", keras_3_file, "--int8", "--crop-fraction", 1, "--gate", "int8_speedup=0")
    labelled = cli(
        *common, "--calibration", photos, "--data", photos, "--gate", "top1_drop=0.1", "--out", tmp_path / "a"
    )
    assert labelled.returncode == 0, labelled.stdout + labelled.stderr
    assert "reference: top-1" in labelled.stdout
    alone = cli(*common, "--calibration", photos, "--out", tmp_path / "b")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert "no labels" in alone.stdout
    report = json.loads((tmp_path / "b" / "report.json").read_bytes())
    assert report["reference"]["top1"] is None
    judged = {gate["name"] for gate in report["gates"]}
    with_labels = {"classes", "above_chance", "top1", "top1_drop"}
    assert judged == set(GATES) - with_labels - {"npu_agreement"}  # that is of files that --npu compiles
    assert (tmp_path / "b" / "labels.txt").read_text().split() == [str(number) for number in range(10)]
    again = cli(*common, "--calibration", photos, "--out", tmp_path / "b")
    assert again.stderr.count("reused") == 14  # all, and the hashes of the images


def test_wrong_normalization_is_warned_of_and_the_right_one_named(cli, grey_model, tmp_path):
    grey_model.save(tmp_path / "grey.h5")
    done = cli("export", "--model", tmp_path / "grey.h5", "--data", "digits", "--out", tmp_path / "out")
    assert "WARNING" in done.stderr
    assert "--preprocess unit" in done.stderr


def test_lambda_layer_is_refused_and_nothing_is_left_behind(cli, tmp_path):
    import tf_keras

    layers = tf_keras.layers
    image = layers.Input((28, 28, 3))
    x = layers.Conv2D(4, 3, padding="same")(layers.Lambda(lambda x: x / 255.0, name="rescale")(image))
    model = tf_keras.Model(image, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    model.save(tmp_path / "lambda.h5")
    done = cli("export", "--model", tmp_path / "lambda.h5", "--data", "digits", "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "Lambda" in done.stderr
    assert "rescale" in done.stderr
    assert "--trust" in done.stderr
    assert not (tmp_path / "out").exists()
    trusted = cli("export", "--model", tmp_path / "lambda.h5", "--data", "digits", "--trust", "--out", tmp_path / "out")
    assert trusted.returncode in (0, 1), trusted.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_bytes())
    assert report["data"]["std"] == pytest.approx(255)
    shutil.rmtree(tmp_path / "out")
