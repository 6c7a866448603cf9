"""Whole runs of parts of the benchmark of detectors: a peer's quantizer on a detector in small, judged beside float."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from small_ssd import LABELS, PREPROCESS, Precision, pixels, small_ssd, tail, tflite_of

from mbexport.formats.matching import match_detector
from mbexport.formats.registry import open_runner
from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.imageset import ImageSet
from mbexport.models.detection.boxes import Boxes

pytestmark = pytest.mark.run

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "tests" / "bench"
IMAGES = 6


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    """The modules of the benchmark, which are found beside its script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        names = ("peers.making", "peers.tails", "detection.judging", "detection.table")
        yield {name.rpartition(".")[2]: importlib.import_module(name) for name in names}


def boxed(path: Path) -> BoxedImages:
    """Images in which there is what the file finds in them."""
    found = match_detector(open_runner(path), pixels=PREPROCESS, given=None).detections(pixels(IMAGES))
    photos = [Image.fromarray(each) for each in pixels(IMAGES)]
    images = ImageSet(labels=np.zeros(IMAGES, np.int64), names=tuple(map(str, range(IMAGES))), read=photos.__getitem__)
    return BoxedImages(images=images, boxes=tuple(Boxes.of(each.corners, each.classes) for each in found))


def test_a_peers_detector_is_judged_beside_float(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    make, peer = bench["making"].Made, bench["making"].TFLITE_PTQ
    cores, files = tmp_path / "cores", tmp_path / "files"
    for folder in (cores, files):
        folder.mkdir()
    small_ssd().save(cores / "network.h5")
    np.save(cores / "calibration.npy", PREPROCESS.normalize(pixels()))
    reference = files / "0.25 float.tflite"
    reference.write_bytes(tflite_of(Precision.FP32))
    rows = [
        make(alpha=0.25, name="float", suffix="tflite", path=reference),
        bench["tails"].with_our_tail(bench["making"].made_by_peer(peer, 0.25, cores, cores), tail(), files),
        make(alpha=0.25, name="ours", suffix="onnx", reason="it broke"),
    ]
    assert rows[1].reason == ""

    photos = boxed(reference)
    own, peers, failed = judged = bench["judging"].judge(
        rows,
        photos,
        classes=len(LABELS),
        reference=reference,
        rounds=bench["judging"].Rounds(runs=3, warmup=1),
    )

    assert sum(map(len, photos.boxes)) > 10
    assert (own.answers.quality.precision.ap, own.answers.drop.ap) == (1, 0)
    assert own.answers.paired.kept.value == 1
    assert 0 < peers.answers.paired.kept.value <= 1
    assert peers.answers.drop.ap == 1 - peers.answers.quality.precision.ap
    assert 0 < peers.size_bytes < own.size_bytes
    assert (peers.ratio.ratio, peers.ratio.ci95) == (1, (1, 1))
    assert own.ratio.b == peers.made.path.name
    assert failed.made.reason == "it broke"
    assert len(bench["table"].markdown(judged).splitlines()) == 2 + len(rows)


@pytest.mark.parametrize("script", ["floats.py", "stored.py", "trained.py"])
def test_a_script_finds_its_modules_where_a_benchmark_starts_it(script):
    """It gets as far as to its arguments, of which there are none."""
    found = subprocess.run(
        [sys.executable, BENCH / "peers" / script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests")))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "ValueError: not enough values to unpack" in found.stderr
