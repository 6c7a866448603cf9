"""Benchmark other architectures: TFLite's and onnxruntime's quantizers beside ours, on networks that are trained here.

Run by `make bench-architectures`. Every row of a network is made from the same float network and calibrated on the
same images; the files of a network are timed interleaved, on one thread.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.environments import run
from peers.making import BASELINES, ORT_STATIC, SUFFIXES, TFLITE_PTQ, Made, made_by_command, made_by_peer
from quality.judging import Answers, Rounds, Row, float_answers, judge
from quality.table import markdown
from shared import ROOT, shared_data

from mbexport.errors import EXIT_BAD_INPUT, EXIT_GATE_FAILED
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

WORK: Final = ROOT / "build" / "bench-architectures"
ROUNDS: Final = Rounds(runs=300, warmup=20)
QUICK_ROUNDS: Final = Rounds(runs=30, warmup=5)
QUICK_EPOCHS: Final = 1

PEERS: Final = (ORT_STATIC, TFLITE_PTQ)
OURS: Final = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network and its task. `weights` is a file of the shared data that it starts from, None for random ones.

    `data` is a folder of the shared data, or a data set by name. `zooms` and mirroring make copies of the test images.
    """

    title: str
    arch: str
    alpha: float
    resolution_px: int
    data: str
    zooms: tuple[float, ...]
    is_mirrored: bool
    weights: str | None = None

    @property
    def folder(self) -> Path:
        """Where everything of the network lies."""
        return WORK / f"{self.arch}-{self.alpha:g}-{self.resolution_px}"

    @property
    def options(self) -> tuple[object, ...]:
        """Of `mbexport` for this network."""
        return ("--arch", self.arch, "--alpha", self.alpha, "--resolution", self.resolution_px)


DIGITS_ZOOMS: Final = (1.05, 1.1, 1.15, 1.2, 1.25)  # six times 360 images
PHOTO_ZOOMS: Final = (1.1, 1.2, 1.3)  # eight times 250, half of them mirrored
NETWORKS: Final = (
    Network(
        title="MobileNet v2 0.35 at 224 px, ImageNet backbone, flowers",
        arch="mobilenet_v2",
        alpha=0.35,
        resolution_px=224,
        data="flowers",
        zooms=PHOTO_ZOOMS,
        is_mirrored=True,
        weights="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5",
    ),
    Network(
        title="MobileNet v2 1.0 at 64 px, digits",
        arch="mobilenet_v2",
        alpha=1.0,
        resolution_px=64,
        data="digits",
        zooms=DIGITS_ZOOMS,
        is_mirrored=False,
    ),
    Network(
        title="MobileNet v3-small 1.0 at 64 px, digits",
        arch="mobilenet_v3_small",
        alpha=1.0,
        resolution_px=64,
        data="digits",
        zooms=DIGITS_ZOOMS,
        is_mirrored=False,
    ),
)


def main() -> int:
    """Make, measure, print and write everything; the exit code is 2 without the shared data."""
    given = _arguments()
    shared = shared_data()
    if shared is None:
        return EXIT_BAD_INPUT
    wanted = [each for each in NETWORKS if not given.only or any(text in each.title for text in given.only)]
    parts = []
    for network in wanted:
        rows = _judged(network, _made(network, shared, given), QUICK_ROUNDS if given.quick else ROUNDS)
        parts.append(f"### {network.title}\n\n{markdown(float_answers(network.folder), rows)}")
    text = "\n".join(parts)
    print(text)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(f"{text}\n", "utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="v2 and v3, ours and others' files side by side; takes about an hour.")
    parser.add_argument("--only", action="append", metavar="TEXT", help="only networks with TEXT in their titles")
    parser.add_argument("--quick", action="store_true", help="one epoch and few rounds: to try everything")
    parser.add_argument("--reuse", action="store_true", help="take the networks that an earlier run trained")
    parser.add_argument("--out", type=Path, default=WORK / "table.md", metavar="FILE", help="the tables, as Markdown")
    return parser.parse_args()


def _made(network: Network, shared: Path, given: argparse.Namespace) -> list[Made]:
    """Every row of the table of one network."""
    folder, data = network.folder, shared / network.data if (shared / network.data).is_dir() else network.data
    if not (given.reuse and (folder / "network.h5").exists()):
        _say(f"{network.title}: float")
        _train(network, data, shared, is_quick=given.quick)
    rows = [
        Made(alpha=network.alpha, name="float", suffix=suffix, path=folder / f"fp32.{suffix}") for suffix in SUFFIXES
    ]
    for peer in PEERS:
        _say(f"{network.title}: {peer.name}")
        rows.append(made_by_peer(peer, network.alpha, folder, folder))
    _say(f"{network.title}: {OURS}")
    return [*rows, *_made_by_us(network, data)]


def _train(network: Network, data: object, shared: Path, *, is_quick: bool) -> None:
    """Train the float network, and write it in all forms that quantizers take."""
    shutil.rmtree(network.folder, ignore_errors=True)
    network.folder.mkdir(parents=True)
    built = network.folder / "trained"
    command = [sys.executable, "-m", "mbexport", "build", *network.options, "--data", data, "--out", built]
    if network.weights:
        command += ["--weights", shared / "weights" / network.weights]
    if is_quick:
        command += ["--epochs", QUICK_EPOCHS]
    run(command, allowed=(0, EXIT_GATE_FAILED))
    zooms = ",".join(map(str, network.zooms))
    script = Path(__file__).parent / "peers" / "trained.py"
    run([sys.executable, script, built, data, zooms, int(network.is_mirrored), network.folder])


def _made_by_us(network: Network, data: object) -> list[Made]:
    """What `mbexport export` makes of the same weights: a .tflite and the .onnx of the same integers."""
    out = network.folder / OURS
    command = [sys.executable, "-m", "mbexport", "export", *network.options, "--weights", network.folder / "network.h5"]
    command += ["--data", data, "--precision", "int8", "--no-resume", "--force", "--out", out]
    return made_by_command(command, out, OURS, network.alpha, network.folder)


def _judged(network: Network, rows: Sequence[Made], rounds: Rounds) -> list[Row[Answers]]:
    preprocess = Preprocess(resolution=Resolution.square(network.resolution_px))
    return judge(rows, {network.alpha: network.folder}, preprocess, rounds, BASELINES)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
