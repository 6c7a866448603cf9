"""Benchmark latency: our files beside those that others make of the same networks.

Run by `make bench-latency`. Every file of a network is made in the same run and timed in the same rounds, first on one
thread, then on two; `latency/timing.py` says how. Weights are ImageNet's but for alpha 1.0, for which they are random:
how fast these kernels are does not depend on values.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from latency.networks import Network, all_made
from latency.table import Target, markdown, targets, verdict
from latency.timing import Timed, first_image, timed
from peers.making import Images, thinned
from quality.judging import Rounds
from shared import ROOT, shared_data

from mbexport.errors import EXIT_BAD_INPUT
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

WORK: Final = ROOT / "build" / "bench-latency"
NETWORKS: Final = (
    Network(
        alpha=0.25,
        resolution_px=128,
        weights="mobilenet_2_5_224_tf.h5",
        reference="mobilenet_v1_0.25_128_quant.tflite",
    ),
    Network(
        alpha=0.75,
        resolution_px=192,
        weights="mobilenet_7_5_224_tf.h5",
        reference="mobilenet_v1_0.75_192_quant.tflite",
    ),
    Network(alpha=0.75, resolution_px=224, weights="mobilenet_7_5_224_tf.h5"),
    Network(alpha=1.0, resolution_px=224, weights=None),
)
FAST: Final = "0.75/224"  # the network of the targets for speed-ups
THREADS: Final = (1, 2)
ROUNDS: Final = Rounds(runs=400, warmup=20)
QUICK_ROUNDS: Final = Rounds(runs=30, warmup=5)
CALIBRATION, EVALUATION, QUICK_CALIBRATION = 100, 50, 32


def main() -> int:
    """Makes, measures, prints and writes everything; the exit code is 2 without the shared data."""
    given = _arguments()
    data = shared_data()
    if data is None:
        return EXIT_BAD_INPUT
    images = _images(data / "imagenet", is_quick=given.quick)
    wanted = given.networks or ([NETWORKS[0].title] if given.quick else [network.title for network in NETWORKS])
    networks = [network for network in NETWORKS if network.title in wanted]
    found = [
        table
        for network in networks
        for table in _timed(network, data, images, QUICK_ROUNDS if given.quick else ROUNDS)
    ]
    text = _text(found, networks)
    print(text)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(f"{text}\n", "utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ours and others' files side by side; takes about 25 minutes.")
    titles = [network.title for network in NETWORKS]
    parser.add_argument(
        "--network", dest="networks", action="append", choices=titles, help="may be repeated; all if absent"
    )
    parser.add_argument("--quick", action="store_true", help="few images and rounds, the smallest network")
    parser.add_argument("--out", type=Path, default=WORK / "table.md", metavar="FILE", help="the tables, as Markdown")
    return parser.parse_args()


def _images(imagenet: Path, *, is_quick: bool) -> Images:
    """A few: ranges are needed, good ones are not."""
    count = QUICK_CALIBRATION if is_quick else CALIBRATION
    return Images(
        calibration=thinned(imagenet / "calibration", count, WORK / "calibration"),
        evaluation=thinned(imagenet / "eval", EVALUATION, WORK / "evaluation"),
        classes=imagenet / "classes.txt",
    )


def _timed(network: Network, data: Path, images: Images, rounds: Rounds) -> list[Timed]:
    folder = WORK / network.folder
    made = all_made(
        network,
        data,
        images,
        folder,
        on_step=lambda text: _say(f"{network.title}: {text}"),
    )
    image, preprocess = (
        first_image(folder),
        Preprocess(resolution=Resolution.square(network.resolution_px), crop_fraction=1.0),
    )
    found = []
    for threads in THREADS:
        _say(f"{network.title}: {threads} thread(s)")
        found.append(timed(made, image, preprocess, title=network.title, threads=threads, rounds=rounds))
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _text(found: list[Timed], networks: list[Network]) -> str:
    """All tables, then the targets of their networks."""
    random = [network.title for network in networks if network.weights is None]
    weights = f"ImageNet weights, random ones for {', '.join(random)}" if random else "ImageNet weights"
    parts = [
        f"MobileNet v1, {weights}; speed does not depend on them. p50 of one image, all files of a network "
        f"interleaved; {os.cpu_count()} cores. Ratios of medians, with 95 % bootstrap intervals.\n"
    ]
    wanted = targets(
        [network.title for network in networks],
        referenced=[network.title for network in networks if network.reference],
        fast=FAST,
    )
    lines = [verdict(target, table) for table in found for target in wanted if _judges(table, target)]
    return "\n".join([*parts, *map(markdown, found), *lines])


def _judges(table: Timed, target: Target) -> bool:
    """Whether `table` is one that `target` speaks of: sizes are the same on any number of threads."""
    return table.title == target.title and (target.quantity != "size" or table.threads == THREADS[0])


if __name__ == "__main__":
    sys.exit(main())
