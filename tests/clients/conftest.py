"""What tests of clients share: environments of their own, and networks with the images that clients are shown."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clients.environments import HERE, ROOT, UnreachableError, node_with, python_with, run
from numpy.typing import NDArray
from PIL import Image

from mbexport.formats.classifier import Classifier
from mbexport.formats.matching import match_detector
from mbexport.formats.registry import open_runner
from mbexport.formats.subject import DetectorSubject
from mbexport.models.data.boxes.open import open_boxed
from mbexport.models.data.open import open_data, open_unlabelled
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.models.resolution import Resolution

IMAGES = 20
BROWSERS = ("chromium", "chromium-headless-shell", "google-chrome")
PICTURES = ROOT / "build" / "tests" / "report-page"  # where people can look at what was seen
EXIT_GATE_FAILED = 1  # of mbexport: the artifacts were made


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A finished build, and images as its own preprocessing makes them: uint8 (IMAGES, px, px, channels)."""

    folder: Path
    preprocess: Preprocess
    pixels: Pixels

    def file(self, kind: str) -> Path:
        """The artifact whose name ends in `kind`, such as `int8.onnx`."""
        (path,) = self.folder.glob(f"*_{kind}")
        return path

    def fed(self, kind: str) -> NDArray[Any]:
        """The input tensors (IMAGES, px, px, channels) of that artifact."""
        return open_runner(self.file(kind)).prepare(self.pixels, self.preprocess)

    def answers(self, kind: str) -> NDArray[Any]:
        """What that artifact answers to the images in our own runner: raw outputs (IMAGES, classes)."""
        runner = open_runner(self.file(kind))
        return Classifier(runner).raw(runner.prepare(self.pixels, self.preprocess))


def of_clients(make: Callable[[Path], Path], given: Path) -> Path:
    """The environment of `given`; the test is skipped, with the reason, where it cannot be had."""
    try:
        return make(given)
    except UnreachableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def client_python() -> Callable[[str], Path]:
    """The Python that has what `requirements-<name>.txt` pins."""
    return lambda name: of_clients(python_with, HERE / f"requirements-{name}.txt")


@pytest.fixture(scope="session")
def node_packages() -> Path:
    """The folder with the packages that `node/package-lock.json` pins."""
    return of_clients(node_with, HERE / "node")


@pytest.fixture(scope="session")
def browser() -> str:
    """A Chromium of this machine."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip(f"no browser: one of {', '.join(BROWSERS)} is needed")
    return found


@pytest.fixture
def show(browser, node_packages, tmp_path):
    """What is seen of a page, by layout, and the folder with a picture of each."""

    def shown(content: bytes, name: str):
        folder = PICTURES / name
        folder.mkdir(parents=True, exist_ok=True)
        path = tmp_path / "report.html"
        path.write_bytes(content)
        command = ["node", HERE / "node" / "report.mjs", path, browser, folder]
        return json.loads(run(command, is_ours=False, cwd=node_packages)), folder

    return shown


@pytest.fixture(scope="session")
def digits_network(small_build) -> Network:
    """The shared small network and digits that it was not trained on."""
    _, held_back = open_data("digits").split(0)
    preprocess = Preprocess(resolution=Resolution.square(32), channels=3, crop_fraction=1.0)
    return Network(folder=small_build, preprocess=preprocess, pixels=_spread(held_back, preprocess))


@pytest.fixture(scope="session")
def imagenet_network(cli, shared_data) -> Network:
    """Alpha 0.25 at 224 px with ImageNet weights, and photos. It is made once: later sessions find its stages done."""
    images = shared_data / "imagenet"
    out = ROOT / "build" / "tests" / "imagenet"
    options = ["--weights", shared_data / "weights" / "mobilenet_2_5_224_tf.h5", "--alpha", 0.25]
    options += ["--calibration", images / "calibration", "--data", images / "eval", "--classes", images / "classes.txt"]
    options += ["--crop-fraction", 1.0, "--int8", "--no-sensitivity"]
    # The cheapest correction that keeps the accuracy: it is others that are tested here.
    done = cli("export", *options, "--corrections", "bias", "--out", out)
    assert done.returncode in (0, EXIT_GATE_FAILED), done.stdout + done.stderr
    preprocess = Preprocess(resolution=Resolution.square(224), crop_fraction=1.0)
    photos = open_unlabelled(images / "eval").images
    return Network(folder=out, preprocess=preprocess, pixels=_spread(photos, preprocess))


@pytest.fixture(scope="session", params=["digits_network", "imagenet_network"])
def network(request) -> Network:
    """Each of both networks; the real one where the shared data is."""
    return request.getfixturevalue(request.param)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorNetwork:
    """A finished build of a detector, and photos that it was not trained on: as they are, and as it takes them.

    `pixels` are uint8 (photos, px, px, 3).
    """

    folder: Path
    labels: tuple[str, ...]
    preprocess: Preprocess
    photos: tuple[Image.Image, ...]
    pixels: Pixels

    def file(self, kind: str) -> Path:
        """The artifact whose name ends in `kind`, such as `int8.onnx`."""
        (path,) = self.folder.glob(f"*_{kind}")
        return path

    def subject(self, kind: str) -> DetectorSubject:
        """That artifact in our own runner."""
        return match_detector(open_runner(self.file(kind)), pixels=self.preprocess, given=None)


@pytest.fixture(scope="session")
def shapes_network(small_shapes) -> DetectorNetwork:
    """The shared small detector, and the 32 photos of its test part."""
    return _detector(small_shapes.build, small_shapes.photos, px=96)


@pytest.fixture(scope="session")
def cells_network(cli, shared_data) -> DetectorNetwork:
    """A detector of blood cells, and the 72 photos of its test part. It is made once, in minutes, as above."""
    photos, out = shared_data / "detect" / "bccd", ROOT / "build" / "tests" / "cells"
    if not photos.is_dir():
        pytest.skip("the photos of blood cells are missing: set MBEXPORT_SHARED_DATA to a folder with detect/bccd")
    options = ["--weights", shared_data / "weights" / "mobilenet_2_5_224_tf.h5", "--alpha", 0.25, "--resolution", 192]
    # A third of the usual epochs: it is others' runtimes that are tested here.
    options += ["--epochs", 30, "--int8", "--no-sensitivity", "--no-latency", "--max-bad", 0.01]
    done = cli("build", "--task", "detect", "--data", photos, *options, "--out", out)
    assert done.returncode in (0, EXIT_GATE_FAILED), done.stdout + done.stderr
    return _detector(out, photos, px=192)


@pytest.fixture(scope="session", params=["shapes_network", pytest.param("cells_network", marks=pytest.mark.slow)])
def detector_network(request) -> DetectorNetwork:
    """Each of both detectors; that of cells by the slow tests alone."""
    return request.getfixturevalue(request.param)


def _detector(folder: Path, data: Path, *, px: int) -> DetectorNetwork:
    opened = open_boxed(data)
    images = opened.evaluation(0).images
    preprocess = Preprocess(resolution=Resolution.square(px), crop_fraction=1.0, is_stretched=True)
    photos = tuple(images.read(index) for index in range(len(images)))
    return DetectorNetwork(
        folder=folder,
        labels=opened.class_names,
        preprocess=preprocess,
        photos=photos,
        pixels=np.stack([preprocess.pixels(photo) for photo in photos]),
    )


def _spread(images: Any, preprocess: Preprocess) -> Pixels:
    """IMAGES of `images`, evenly spread over them."""
    chosen = [index * len(images) // IMAGES for index in range(IMAGES)]
    return np.stack([preprocess.pixels(images.read(index)) for index in chosen])
