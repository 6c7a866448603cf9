"""Real weights and real photos: minutes of work, run by `make test-all`."""

import json
from pathlib import Path

import numpy as np
import pytest

from mbexport.models.data.open import iter_pixels, open_data
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

pytestmark = pytest.mark.slow

WHOLE = Preprocess(resolution=Resolution.square(224), crop_fraction=1.0)


def plain_keras_top1(weights: Path, alpha: float, data: Path, classes: Path) -> float:
    """What tf_keras.applications gives for the same images: x / 127.5 - 1, its own network, its own loader."""
    import tf_keras

    network = tf_keras.applications.MobileNet(alpha=alpha, weights=None)
    network.load_weights(weights)
    images = open_data(str(data), classes_file=classes).evaluation(0)
    hits = done = 0
    for pixels in iter_pixels(images, WHOLE):
        inputs = tf_keras.applications.mobilenet.preprocess_input(pixels.astype(np.float32))
        hits += int((network.predict_on_batch(inputs).argmax(axis=1) == images.labels[done : done + len(pixels)]).sum())
        done += len(pixels)
    return hits / done


@pytest.mark.parametrize(
    ("alpha", "name", "agreement"),
    [(0.75, "mobilenet_7_5_224_tf.h5", 0.975), (0.25, "mobilenet_2_5_224_tf.h5", 0.94)],
)
def test_imagenet_weights_are_exported_as_good_as_keras_finds_them(
    cli, shared_data, tmp_path, *, alpha, name, agreement
):
    weights, imagenet = shared_data / "weights" / name, shared_data / "imagenet"
    classes = imagenet / "classes.txt"
    done = cli(
        *("export", "--weights", weights, "--alpha", alpha, "--resolution", 224, "--classes", classes),
        *("--calibration", imagenet / "calibration", "--data", imagenet / "eval", "--crop-fraction", 1, "--int8"),
        *("--gate", "top1_drop=0.01", "--gate", f"agreement={agreement}", "--out", tmp_path),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_bytes())
    expected = plain_keras_top1(weights, alpha, imagenet / "eval", classes)
    assert report["reference"]["top1"] == pytest.approx(expected, abs=0.002)
    fp32 = [entry for entry in report["artifacts"] if entry["precision"] == "fp32"]
    assert all(entry["top1"] == pytest.approx(expected, abs=0.002) for entry in fp32)
    assert len(report["artifacts"]) == 4
    assert report["pairs"][0]["agreement"] >= 0.995


def test_flowers_are_learned_from_imagenet_weights(cli, shared_data, tmp_path):
    weights = shared_data / "weights" / "mobilenet_2_5_224_tf.h5"
    done = cli(
        *("build", "--alpha", 0.25, "--weights", weights, "--resolution", 128, "--int8"),
        *("--data", shared_data / "flowers", "--out", tmp_path),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_bytes())
    float_top1 = report["reference"]["top1"]
    int8 = [entry["top1"] for entry in report["artifacts"] if entry["precision"] == "int8"]
    assert float_top1 >= 0.85
    assert all(abs(top1 - float_top1) <= 0.01 for top1 in int8)
