"""Benchmark calibration: seconds, memory, and how near to float the integers answer, by the number of images.

Run by `make bench-calibration`. Each row is a process of its own, `calibrating/measured.py`; all answer the same 2,000
images: the 500 of `imagenet/eval`, mirrored, zoomed in by an eighth, and both. Seconds of all cores say something on a
busy machine, too. `--beside FOLDER`, the OUT of an earlier run, compares each row with the same one there.
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
from mbexport.models.data.open import iter_pixels, open_unlabelled
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

WORK: Final = ROOT / "build" / "bench-calibration"
WEIGHTS: Final = {0.75: "mobilenet_7_5_224_tf.h5", 0.25: "mobilenet_2_5_224_tf.h5"}
COUNTS: Final = (32, 100, 300, 3000)
RESOLUTION_PX: Final = 224
PHASES: Final = ("decode", "calibrate", "quantize", "convert")
HEAD: Final = (
    "| alpha | images | to convert it: s of all cores | peak MB, of which imports | KL, 8-bit / raw logits"
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
    for alpha in given.alphas or list(WEIGHTS):
        for count in given.counts or COUNTS:
            name = f"{alpha:g}-{count}"
            print(f"alpha {alpha:g}, {count} images", file=sys.stderr, flush=True)
            _measure(data, alpha, count, evaluation, given.out / f"{alpha:g}" / name)
            other = given.beside / f"{alpha:g}" / name if given.beside else None
            lines.append(_line(alpha, count, given.out / f"{alpha:g}" / name, other))
    text = "\n".join(lines)
    print(text)
    (given.out / "table.md").write_text(f"{text}\n", "utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What calibration costs; takes half an hour.")
    parser.add_argument("--alpha", dest="alphas", action="append", type=float, choices=WEIGHTS, help="both if absent")
    parser.add_argument("--images", dest="counts", action="append", type=int, metavar="N", help=f"{COUNTS} if absent")
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="an earlier OUT to compare with")
    parser.add_argument("--out", type=Path, default=WORK, metavar="OUT", help="for answers and the table, as Markdown")
    return parser.parse_args()


def _write_evaluation(images: Path, path: Path) -> None:
    preprocess = Preprocess(resolution=Resolution.square(RESOLUTION_PX), crop_fraction=1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.concatenate(list(iter_pixels(varied(open_unlabelled(images).images, EVALUATED), preprocess))))


def _measure(data: Path, alpha: float, count: int, evaluation: Path, out: Path) -> None:
    script, calibration = Path(__file__).parent / "calibrating" / "measured.py", data / "imagenet" / "calibration"
    given = [data / "weights" / WEIGHTS[alpha], alpha, RESOLUTION_PX, calibration, count, evaluation, out]
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(script), *map(str, given)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": paths})


def _line(alpha: float, count: int, folder: Path, other: Path | None) -> str:
    figures: dict[str, Any] = json.loads((folder / "figures.json").read_text("utf-8"))
    found = Divergence.of(folder / "answers.npz")
    seconds = sum(figures[f"{phase}_cpu_s"] for phase in PHASES[1:])
    cells = [
        f"{alpha:g}",
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
