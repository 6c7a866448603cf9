"""Runs on shards: epochs and verdicts are those of a folder of the same images, and TensorFlow's files are read."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from shards_by_hand import slim_records, write

from mbexport.models.data.open import open_data
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.stream import training_batches

COUNT, PER_SHARD = 150, 40
STEM = "mobilenet_v1_0.25_32"


@pytest.fixture(scope="module")
def digits() -> list[tuple[int, bytes]]:
    """(label, PNG) of digits, in the order in which a folder of them is read."""
    images = open_data("digits").evaluation(0)
    found = []
    for i in range(COUNT):
        content = io.BytesIO()
        images.read(i).save(content, "PNG")
        found.append((int(images.labels[i]), content.getvalue()))
    return sorted(found, key=lambda pair: pair[0])


@pytest.fixture(scope="module")
def places(digits: list[tuple[int, bytes]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """--data for the same images as a folder, as tar shards, as TFRecord files of TensorFlow's own writer."""
    root = tmp_path_factory.mktemp("digits")
    write(root / "folder", {f"{label}/{i:03d}.png": image for i, (label, image) in enumerate(digits)})
    (root / "wds").mkdir()
    (root / "tfrecord").mkdir()
    for start in range(0, COUNT, PER_SHARD):
        part = list(enumerate(digits))[start : start + PER_SHARD]
        with tarfile.open(root / "wds" / f"{start:03d}.tar", "w") as tar:
            for i, (label, image) in part:
                for name, blob in ((f"{i:03d}.png", image), (f"{i:03d}.cls", str(label).encode())):
                    info = tarfile.TarInfo(name)
                    info.size = len(blob)
                    tar.addfile(info, io.BytesIO(blob))
        with tf.io.TFRecordWriter(str(root / "tfrecord" / f"digits.tfrecord-{start:05d}-of-00160")) as writer:
            for _, pair in part:
                writer.write(example_of(*pair))
    return {"folder": str(root / "folder"), **{kind: f"{kind}:{root / kind}" for kind in ("wds", "tfrecord")}}


def example_of(label: int, image: bytes) -> bytes:
    """A tf.train.Example as TensorFlow serializes it, with more features than are read."""
    features = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "image/height": tf.train.Feature(int64_list=tf.train.Int64List(value=[8])),
        "image/object/bbox/xmin": tf.train.Feature(float_list=tf.train.FloatList(value=[0.25, 0.5])),
        "image/format": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"png"])),
        "image/object/bbox/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[])),
    }
    serialized: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return serialized


def epochs(data: str) -> list[tuple[Any, Any]]:
    """The batches of two epochs of training on the data's training split."""
    preprocess = Preprocess(resolution=Resolution.square(32))
    batches = training_batches(
        open_data(data).split(3)[0], preprocess, batch=16, seed=5, epochs=range(2), augmentation=None, store=None
    )
    return [(pixels.numpy(), labels.numpy()) for pixels, labels in batches]


@pytest.mark.parametrize("kind", ["wds", "tfrecord"])
def test_epochs_are_shuffled_as_those_of_a_folder(places: dict[str, str], kind: str) -> None:
    found, wanted = epochs(places[kind]), epochs(places["folder"])
    assert len(found) == len(wanted) == 2 * (112 // 16)
    for (pixels, labels), (others, numbers) in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(labels, numbers)
        np.testing.assert_array_equal(pixels, others)


def test_our_records_are_those_that_tensorflow_reads(digits: list[tuple[int, bytes]], tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(slim_records(*digits[:5]))  # what the other tests write by hand
    found = []
    for content in tf.data.TFRecordDataset(str(tmp_path / "a.tfrecord")).as_numpy_iterator():
        feature = tf.train.Example.FromString(content).features.feature
        found.append((feature["image/class/label"].int64_list.value[0], feature["image/encoded"].bytes_list.value[0]))
    assert found == digits[:5]


@pytest.mark.parametrize("kind", ["wds", "tfrecord"])
def test_verify_finds_what_it_finds_on_a_folder(cli: Any, small_build: Path, places: dict[str, str], kind: str) -> None:
    files = [small_build / f"{STEM}_{precision}.tflite" for precision in ("fp32", "int8")]
    reports = {}
    for name in ("folder", kind):
        done = cli("verify", *files, "--data", places[name], "--no-latency", "--json")
        assert done.returncode in (0, 1), done.stderr
        reports[name] = json.loads(done.stdout)
    assert reports[kind]["data"]["name"] == f"{kind}:{kind}"
    for found, wanted in zip(reports[kind]["artifacts"], reports["folder"]["artifacts"], strict=True):
        for key in ("samples", "top1", "agreement", "score_error", "distinct_outputs"):
            assert found[key] == wanted[key]


@pytest.mark.parametrize("kind", ["wds", "tfrecord"])
def test_build_and_export_plan_a_run_on_shards(cli: Any, small_build: Path, places: dict[str, str], kind: str) -> None:
    options = ("--data", places[kind], "--alpha", "0.25", "--dry-run")
    done = cli("build", *options, "--resolution", "32", "--int8", "--out", small_build.parent / "planned")
    assert (done.returncode, "10 classes" in done.stdout) == (0, True), done.stdout + done.stderr


def test_shards_that_are_damaged_end_a_run_in_one_line(cli: Any, small_build: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar")
    done = cli("verify", small_build / f"{STEM}_int8.tflite", "--data", f"wds:{tmp_path}")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].endswith("at byte 0 it must have the empty block that ends a tar")
