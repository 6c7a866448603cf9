"""Benchmark calibration: seconds, memory, and how near to float the integers answer, by the number of images.

Run by `make bench-calibration`. Each row is a process of its own, `calibrating/measured.py`; all answer the same 2,000
images: the 500 of `imagenet/eval`, mirrored, zoomed in by an eighth, and both. Seconds of all cores say something on a
busy machine, too. `--beside FOLDER`, the OUT of an earlier run, compares each row with the same one there. MobileNet v2
has random weights, since no others are at hand: what it costs is what a trained one costs.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
from calibrating.divergence import Divergence, compared
from calibrating.variants import EVALUATED, varied
from shared import ROOT, shared_data

from mbexport.errors import EXIT_BAD_INPUT
from mbexport.models.architectures import MOBILENET_V1, MOBILENET_V2
from mbexport.models.data.open import iter_pixels, open_unlabelled
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

WORK: Final = ROOT / "build" / "bench-calibration"
# Architecture, alpha, and the file of weights, None for random ones.
NETWORKS: Final = {
    "0.75": (MOBILENET_V1, 0.75, "mobilenet_7_5_224_tf.h5"),
    "0.25": (MOBILENET_V1, 0.25, "mobilenet_2_5_224_tf.h5"),
    "v2": (MOBILENET_V2, 1.0, None),
}
COUNTS: Final = (32, 100, 300, 3000)
RESOLUTION_PX: Final = 224
PHASES: Final = ("decode", "calibrate", "quantize", "convert")
HEAD: Final = (
    "| network | images | to convert it: s of all cores | peak MB, of which imports | KL, 8-bit / raw logits"
    " | agreement % | against the other [95 %] |",
    "|---|---|---|---|---|---|---|",
)


def main() -> int:
    """Measures, prints and writes the table; the exit code is 2 without the shared data."""
    given = _arguments()
    data = shared_data()
    if data is None:
        return EXIT_BAD_INPUT
    evaluation = given.out / "evaluation.npy"
    _write_evaluation(data / "imagenet" / "eval", evaluation)
    lines = [*HEAD]
    for network in given.networks or list(NETWORKS):
        for count in given.counts or COUNTS:
            name = f"{network}/{network}-{count}"
            print(f"{network}, {count} images", file=sys.stderr, flush=True)
            _measure(data, network, count, evaluation, given.out / name)
            other = given.beside / name if given.beside else None
            lines.append(_line(network, count, given.out / name, other))
    text = "\n".join(lines)
    print(text)
    (given.out / "table.md").write_text(f"{text}\n", "utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What calibration costs; takes half an hour.")
    parser.add_argument("--network", dest="networks", action="append", choices=NETWORKS, help="all if absent")
    parser.add_argument("--images", dest="counts", action="append", type=int, metavar="N", help=f"{COUNTS} if absent")
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="an earlier OUT to compare with")
    parser.add_argument("--out", type=Path, default=WORK, metavar="OUT", help="for answers and the table, as Markdown")
    return parser.parse_args()


def _write_evaluation(images: Path, path: Path) -> None:
    preprocess = Preprocess(resolution=Resolution.square(RESOLUTION_PX), crop_fraction=1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.concatenate(list(iter_pixels(varied(open_unlabelled(images).images, EVALUATED), preprocess))))


def _measure(data: Path, network: str, count: int, evaluation: Path, out: Path) -> None:
    architecture, alpha, file = NETWORKS[network]
    calibration = data / "imagenet" / "calibration"
    weights = data / "weights" / file if file else out.parent / "random.h5"
    if not weights.exists():
        weights.parent.mkdir(parents=True, exist_ok=True)
        _run("latency/random_weights.py", architecture.name, alpha, RESOLUTION_PX, calibration, weights)
    given = [architecture.name, weights, alpha, RESOLUTION_PX, calibration, count, evaluation, out]
    _run("calibrating/measured.py", *given)


def _run(script: str, *arguments: object) -> None:
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(here / script), *map(str, arguments)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": paths})


def _line(network: str, count: int, folder: Path, other: Path | None) -> str:
    figures: dict[str, Any] = json.loads((folder / "figures.json").read_text("utf-8"))
    found = Divergence.of(folder / "answers.npz")
    seconds = sum(figures[f"{phase}_cpu_s"] for phase in PHASES[1:])
    cells = [
        network,
        f"{count}",
        f"{seconds:.0f}",
        f"{figures['peak_mb']:.0f}, {figures['floor_mb']:.0f}",
        f"{1e5 * found.integers.mean():.0f} / {1e5 * found.raw.mean():.0f}",
        f"{100 * found.agreement:.1f}",
        compared(found, Divergence.of(other / "answers.npz")) if other else "-",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
