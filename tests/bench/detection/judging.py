"""Judge the files of detectors as `mbexport verify` does: how good they are, what they keep of float, and how fast."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from peers.making import BASELINES, Made
from quality.judging import Rounds, Row, judged_rows

from mbexport.formats.matching import match_detector
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.open import iter_pixels
from mbexport.models.preprocess import MOBILENET, Preprocess
from mbexport.verification.detection.baseline import Baseline
from mbexport.verification.detection.collect import collect
from mbexport.verification.detection.comparison import Asked, Comparison, compared


def judge(
    rows: Sequence[Made], boxed: BoxedImages, *, classes: int, reference: Path, rounds: Rounds
) -> list[Row[Comparison]]:
    """Every file beside `reference`, that of the float network, then all of them timed in one interleaved run.

    The intervals of all come from the same samples of the images. Times are of the first image, each with its tail. A
    file that does not say what it expects of a byte is fed as MobileNets are.
    """
    known = open_runner(reference)
    pixels = Preprocess(resolution=known.resolution, crop_fraction=1.0, channels=known.channels, is_stretched=True)
    baseline = Baseline.of(match_detector(known, pixels=pixels, given=MOBILENET))
    asked = Asked(names=boxed.images.names, truth=boxed.boxes, classes=classes)
    first = next(iter_pixels(boxed.images, pixels, batch=1))

    def look(_: Made, runner: Runner) -> tuple[Comparison, NDArray[Any]]:
        subject = match_detector(runner, pixels=pixels, given=MOBILENET)
        found = collect([subject], boxed.images, boxed.boxes, pixels, reference=baseline)
        (own,) = compared(found, [subject.name], asked, is_network=True).artifacts
        return own, subject.feeds(first)

    return judged_rows(rows, look, rounds, BASELINES)
