"""Benchmark quality: quantizers side by side, others' and ours, on one float network and one set of images.

Run by `make bench-quality`. Every row is made in the same run from the same network (ImageNet weights, 224 px) and
calibrated on the same images; times are taken at the end, all files interleaved, on one thread.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Final

from peers.making import (
    BASELINES,
    ORT_STATIC,
    TFLITE_PTQ,
    Images,
    Made,
    Ours,
    Peer,
    given_files,
    made_by_peer,
    made_by_us,
    thinned,
)
from quality.judging import Answers, Rounds, Row, float_answers, image_counts, judge
from quality.table import Target, markdown, verdict
from shared import ROOT, shared_data

from mbexport.errors import EXIT_BAD_INPUT
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

WORK: Final = ROOT / "build" / "bench-quality"
RESOLUTION_PX: Final = 224
WEIGHTS: Final = {0.75: "mobilenet_7_5_224_tf.h5", 0.25: "mobilenet_2_5_224_tf.h5"}
ROUNDS: Final = Rounds(runs=300, warmup=20)

QAT_STEPS: Final = 100  # ours and tfmot's alike
TFMOT_RATES: Final = ("1e-3", "1e-5")  # its tutorial's, which is Adam's default; and one that destroys less
QUICK_ALPHA, QUICK_STEPS, QUICK_CALIBRATION, QUICK_EVALUATION = 0.25, 20, 64, 100

ROUNDED, CORRECTED, DISTILLED = "ours, rounded", "ours, corrected", "ours, distilled"


def peers(steps: int) -> tuple[Peer, ...]:
    """Everybody else's quantizers, in the order of the table."""
    return (
        ORT_STATIC,
        Peer(name="NNCF", script="by_nncf.py", suffix="onnx", requirements="nncf"),
        TFLITE_PTQ,
        Peer(
            name="ai-edge-quantizer",
            script="by_ai_edge_quantizer.py",
            suffix="tflite",
            requirements="ai-edge-quantizer",
        ),
        *(
            Peer(
                name=f"tfmot QAT, {steps} steps at {rate}",
                script="by_tfmot.py",
                suffix="tflite",
                arguments=(str(steps), rate),
            )
            for rate in TFMOT_RATES
        ),
    )


def ours(steps: int) -> tuple[Ours, ...]:
    """Ours, by the options of `mbexport export` that make the difference."""
    return (
        Ours(name=ROUNDED, options=("--corrections", "none")),
        Ours(name=CORRECTED, options=("--corrections", "all")),
        Ours(name=DISTILLED, options=("--corrections", "all", "--qat-steps", str(steps))),
    )


TARGETS: Final = (
    Target(alpha=0.75, name=CORRECTED, quantity="agreement", limit=0.975),
    Target(alpha=0.75, name=CORRECTED, quantity="top-1 lost", limit=0.003),
    Target(alpha=0.75, name=CORRECTED, quantity="seconds", limit=180),
    Target(alpha=0.75, name=DISTILLED, quantity="agreement", limit=0.985),
    Target(alpha=0.75, name=DISTILLED, quantity="top-1 lost", limit=0.0),
    Target(alpha=0.75, name=DISTILLED, quantity="seconds", limit=600),
    Target(alpha=0.75, name=DISTILLED, quantity="latency", limit=1.03),
    Target(alpha=0.75, name=DISTILLED, quantity="size", limit=1.02),
    Target(alpha=0.25, name=DISTILLED, quantity="agreement", limit=0.96),
    Target(alpha=0.25, name=DISTILLED, quantity="top-1 lost", limit=0.005),
    Target(alpha=0.25, name=DISTILLED, quantity="seconds", limit=600),
    Target(alpha=0.25, name=DISTILLED, quantity="latency", limit=1.03),
    Target(alpha=0.25, name=DISTILLED, quantity="size", limit=1.02),
)


def main() -> int:
    """Makes, measures, prints and writes everything; the exit code is 2 without the shared data."""
    given = _arguments()
    data = shared_data()
    if data is None:
        return EXIT_BAD_INPUT
    images = _images(data / "imagenet", is_quick=given.quick)
    steps = QUICK_STEPS if given.quick else QAT_STEPS
    alphas = given.alphas or ([QUICK_ALPHA] if given.quick else list(WEIGHTS))
    made = [row for alpha in alphas for row in _all_made(alpha, data / "weights", images, steps, given.only)]
    folders = {alpha: _folder(alpha) for alpha in alphas}
    preprocess = Preprocess(resolution=Resolution.square(RESOLUTION_PX), crop_fraction=1.0)
    text = _text(judge(made, folders, preprocess, ROUNDS, BASELINES), folders)
    print(text)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(f"{text}\n", "utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Quantizers side by side; takes most of an hour.")
    parser.add_argument(
        "--alpha", dest="alphas", action="append", type=float, choices=WEIGHTS, help="may be repeated; both if absent"
    )
    parser.add_argument("--quick", action="store_true", help="few images and steps, alpha 0.25: to try everything")
    parser.add_argument("--only", action="append", metavar="TEXT", help="only quantizers with TEXT in their names")
    parser.add_argument("--out", type=Path, default=WORK / "table.md", metavar="FILE", help="the table, as Markdown")
    return parser.parse_args()


def _images(imagenet: Path, *, is_quick: bool) -> Images:
    calibration, evaluation = imagenet / "calibration", imagenet / "eval"
    if is_quick:
        calibration = thinned(calibration, QUICK_CALIBRATION, WORK / "calibration")
        evaluation = thinned(evaluation, QUICK_EVALUATION, WORK / "evaluation")
    return Images(calibration=calibration, evaluation=evaluation, classes=imagenet / "classes.txt")


def _folder(alpha: float) -> Path:
    return WORK / f"alpha-{alpha:g}"


def _all_made(alpha: float, stored: Path, images: Images, steps: int, only: list[str] | None) -> list[Made]:
    """Every row of one alpha, as far as it is asked for."""
    folder, weights = _folder(alpha), stored / WEIGHTS[alpha]
    shutil.rmtree(folder, ignore_errors=True)  # what an earlier run left must not pass for a result of this one
    folder.mkdir(parents=True)
    _say(f"alpha {alpha:g}: float")
    rows = given_files(alpha, weights, RESOLUTION_PX, images, folder)
    makers: list[Peer | Ours] = [*peers(steps), *ours(steps)]
    for maker in makers:
        if only and not any(text in maker.name for text in only):
            continue
        _say(f"alpha {alpha:g}: {maker.name}")
        if isinstance(maker, Peer):
            rows.append(made_by_peer(maker, alpha, folder, folder))
        else:
            rows += made_by_us(maker, alpha, weights, images, folder)
    return rows


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _text(rows: list[Row[Answers]], folders: dict[float, Path]) -> str:
    """Both tables, then the targets of their alphas."""
    calibration, evaluation = image_counts(next(iter(folders.values())))
    parts = [
        f"MobileNet v1 at {RESOLUTION_PX} px, ImageNet weights, {calibration} images to calibrate on, {evaluation} "
        "others to evaluate on. p50: of one image on one thread, all files interleaved; s: of the quantizer alone.\n"
    ]
    lines = []
    for alpha, folder in folders.items():
        reference = float_answers(folder)
        own = [row for row in rows if row.made.alpha == alpha]
        parts.append(f"### alpha {alpha:g}\n\n{markdown(reference, own)}")
        lines += [
            verdict(target, reference, own, baseline=TFLITE_PTQ.name) for target in TARGETS if target.alpha == alpha
        ]
    return "\n".join([*parts, *lines])


if __name__ == "__main__":
    sys.exit(main())
