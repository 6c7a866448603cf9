"""Benchmark detectors: what TFLite's and onnxruntime's quantizers and ours keep of one float detector.

Run by `make bench-detection`. The network is trained here on photos of blood cells; every row is made of it and
calibrated on the photos that it was trained on. Each file has the same tail behind its network. All are judged on
other photos, and timed interleaved, on one thread.
"""

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from clients.environments import run
from detection.judging import judge
from detection.table import markdown
from peers.making import (
    HERE,
    ORT_STATIC,
    SUFFIXES,
    TFLITE_PTQ,
    Made,
    Ours,
    made_by_command,
    made_by_peer,
)
from peers.tails import with_our_tail
from quality.judging import Rounds
from shared import ROOT, shared_data

from mbexport.calibration.samples import balanced_samples
from mbexport.errors import EXIT_BAD_INPUT, EXIT_GATE_FAILED
from mbexport.formats.onnx.detection_core import without_detection_tail
from mbexport.formats.tflite.detection_core import detection_tail_of
from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.boxes.data_set import open_boxed_data
from mbexport.models.data.open import DataSet, ImageSet, iter_pixels
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.pipeline.plan import CALIBRATION_SAMPLES

WORK: Final = ROOT / "build" / "bench-detection"
ALPHA: Final = 0.25
RESOLUTION_PX: Final = 192
WEIGHTS: Final = "mobilenet_2_5_224_tf.h5"
ROUNDS: Final = Rounds(runs=1000, warmup=50)
QUICK_ROUNDS: Final = Rounds(runs=30, warmup=5)
QUICK_EPOCHS: Final = 10  # with fewer nothing is found
# As `mbexport` does if nobody says otherwise: boxes that cannot be used, and how images are drawn.
MAX_BAD: Final = 0.01
SEED: Final = 0

FLOAT: Final = "float"
PEERS: Final = (TFLITE_PTQ, ORT_STATIC)
DISTILLED: Final = ("--qat-epochs", "2")
OURS: Final = (
    Ours(name="ours, plain", options=("--corrections", "none")),
    Ours(name="ours, plain, distilled", options=("--corrections", "none", *DISTILLED)),
    Ours(name="ours, corrected", options=()),
    Ours(name="ours, distilled", options=DISTILLED),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The photos, and how `mbexport build` makes the detector of them."""

    folder: Path
    data: DataSet
    weights: Path
    is_quick: bool

    def command(self, out: Path, *options: object) -> list[object]:
        """`mbexport build` into the folder `out`: the network is what these have in common."""
        command: list[object] = [sys.executable, "-m", "mbexport", "build", "--task", "detect", "--data", self.folder]
        command += ["--alpha", ALPHA, "--resolution", RESOLUTION_PX, "--weights", self.weights, "--out", out]
        command += ["--no-sensitivity", "--no-latency", "--cache", "none"]
        return [*command, *(("--epochs", QUICK_EPOCHS) if self.is_quick else ()), *options]

    @property
    def photos(self) -> tuple[ImageSet, BoxedImages]:
        """Those to train and to calibrate on, and those to judge with, with their objects."""
        train, test = self.data.split(SEED)
        assert self.data.objects is not None
        return train, BoxedImages(images=test, boxes=self.data.objects(test.names))


def main() -> int:
    """Make, measure, print and write everything; the exit code is 2 without the shared data."""
    given = _arguments()
    shared = shared_data()
    if shared is None:
        return EXIT_BAD_INPUT
    folder = shared / "detect" / "bccd"
    task = Task(
        folder=folder,
        data=open_boxed_data(str(folder), max_bad=MAX_BAD),
        weights=shared / "weights" / WEIGHTS,
        is_quick=given.quick,
    )
    text = _table(task, _made(task, reuse=given.reuse))
    print(text)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(f"{text}\n", "utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Detectors, ours and others' side by side; takes half an hour.")
    parser.add_argument("--quick", action="store_true", help="few epochs and rounds: to try everything")
    parser.add_argument("--reuse", action="store_true", help="take the network that an earlier run trained")
    parser.add_argument("--out", type=Path, default=WORK / "table.md", metavar="FILE", help="the table, as Markdown")
    return parser.parse_args()


def _made(task: Task, *, reuse: bool) -> list[Made]:
    """Every row of the table, all of one network."""
    trained, cores, files = WORK / "trained", WORK / "cores", WORK / "files"
    for old in (cores, files, *(() if reuse else (trained,))):
        shutil.rmtree(old, ignore_errors=True)  # what an earlier run left must not pass for a result of this one
    _say(FLOAT)
    run(task.command(trained, "--int8"), allowed=(0, EXIT_GATE_FAILED))
    for empty in (cores, files):
        empty.mkdir()
    rows = [_float_row(trained, files, suffix) for suffix in SUFFIXES]
    floats = {row.suffix: row.path.read_bytes() for row in rows if row.path}
    _write_given(task.photos[0], trained, floats["onnx"], cores)
    tail = detection_tail_of(floats["tflite"])
    assert tail is not None
    for peer in PEERS:
        _say(peer.name)
        rows.append(with_our_tail(made_by_peer(peer, ALPHA, cores, cores), tail, files))
    for ours in OURS:
        _say(ours.name)
        rows += _made_by_us(ours, task, trained, files)
    return rows


def _float_row(trained: Path, files: Path, suffix: str) -> Made:
    path = files / f"{ALPHA:g} {FLOAT}.{suffix}"
    shutil.copyfile(next(trained.glob(f"*_fp32.{suffix}")), path)
    return Made(alpha=ALPHA, name=FLOAT, suffix=suffix, path=path)


def _write_given(train: ImageSet, trained: Path, whole: bytes, cores: Path) -> None:
    """What peers are given, as `floats.py` writes it, of the network without its tail: it ends in the heads."""
    run([sys.executable, HERE / "stored.py", trained, cores])
    (cores / "fp32.onnx").write_bytes(without_detection_tail(whole))
    chosen = train.subset(balanced_samples(train.labels, CALIBRATION_SAMPLES, seed=SEED))
    pixels = Preprocess(resolution=Resolution.square(RESOLUTION_PX), crop_fraction=1.0, is_stretched=True)
    np.save(cores / "calibration.npy", pixels.normalize(np.concatenate(list(iter_pixels(chosen, pixels)))))


def _made_by_us(ours: Ours, task: Task, trained: Path, files: Path) -> list[Made]:
    """What `mbexport build` makes with `ours` of the network that lies there trained."""
    out = WORK / ours.name
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(trained / ".mbexport", out / ".mbexport")
    command = task.command(out, "--precision", "int8", *ours.options)
    return made_by_command(command, out, ours.name, ALPHA, files)


def _table(task: Task, rows: list[Made]) -> str:
    train, test = task.photos
    objects = sum(int((~each.is_difficult).sum()) for each in test.boxes)
    head = (
        f"SSD on MobileNet v1 {ALPHA:g} at {RESOLUTION_PX} px, {len(train)} photos to train and calibrate on, "
        f"{len(test)} others with {objects} objects to judge with. p50: of one photo on one thread, the tail with it, "
        "all files interleaved.\n\n"
    )
    reference = next(row.path for row in rows if row.path is not None)
    rounds = QUICK_ROUNDS if task.is_quick else ROUNDS
    judged = judge(rows, test, classes=len(task.data.class_names), reference=reference, rounds=rounds)
    return head + markdown(judged)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
