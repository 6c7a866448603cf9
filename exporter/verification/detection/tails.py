"""Check a detector's tail by itself: whether it makes of the network's heads what it should, and how long it takes.

A file that ends in a tail of ours is taken apart: the network alone gives heads, of which the tail in numpy makes
detections. A runtime whose ops sort, suppress or clip otherwise shows in the file's own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.formats.contents import detection_tail_of, network_alone
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.subject import DetectorSubject, Fed
from mbexport.latency.interleaved import Latency, Ratio
from mbexport.latency.sittings import FULL, Effort, OnStep, Timings, time_artifacts
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.detection.boxes import Detections
from mbexport.models.detection.postprocess import detect_batch
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.verification.detection.pairing import are_alike
from mbexport.verification.kernel_paths import evenly_spread, images_for
from mbexport.verification.statistics import Interval, wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class TailCheck:
    """A tail of ours, and on how many of so many images a file's own gives what it makes in numpy of the same heads.

    `alone` is how long the network takes without it, `share` that median over the whole file's, on one thread; both
    are None where nothing was timed.
    """

    tail: DetectionTail
    images: int
    alike: float
    alike_ci95: Interval
    alone: Latency | None = None
    share: Ratio | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Apart:
    """A detector, its tail, and its network alone."""

    subject: DetectorSubject
    tail: DetectionTail
    network: Fed

    @property
    def alone(self) -> str:
        """The name by which the times of the network are kept."""
        return f"{self.subject.name}, without its tail"


def check_tails(
    subjects: Sequence[DetectorSubject],
    images: ImageSet,
    pixels: Preprocess,
    *,
    effort: Effort | None = FULL,
    seed: int = 0,
    on_step: OnStep,
) -> dict[str, TailCheck]:
    """Check those of `subjects` that end in a tail of ours, by name, on a part of the images, and time them.

    Without an `effort` nothing is timed; with one nothing else should run meanwhile.
    """
    with TemporaryDirectory(prefix="mbexport-tails-") as folder:
        apart = _taken_apart(subjects, Path(folder))
        checks = {each.subject.name: _checked(each, images, pixels) for each in apart}
        if effort is None or not apart or not len(images):
            return checks
        first = next(iter_pixels(images.subset(np.zeros(1, np.int64)), pixels))
        timings = _timings(apart, first, effort=effort, seed=seed, on_step=on_step)
        return {
            each.subject.name: replace(
                checks[each.subject.name],
                alone=timings.latency(each.alone),
                share=timings.ratio(each.alone, each.subject.name),
            )
            for each in apart
        }


def heads_of(subject: DetectorSubject, pixels: Pixels) -> dict[str, NDArray[np.float32]]:
    """What the network of a file with a tail of ours gives for images (n, h, w, channels), before any box is left out.

    By name, in floats: (n, h, w, channels) of the map.
    """
    with TemporaryDirectory(prefix="mbexport-tails-") as folder:
        (apart,) = _taken_apart([subject], Path(folder))
        feeds = apart.network.feeds(pixels)
        found = [_heads(apart.network.runner, feeds[at : at + 1], apart.tail) for at in range(len(feeds))]
    names = [name for heads in apart.tail.heads for name in heads]
    return {
        name: np.concatenate(parts).astype(np.float32)
        for name, parts in zip(names, zip(*found, strict=True), strict=True)
    }


def _taken_apart(subjects: Sequence[DetectorSubject], folder: Path) -> list[_Apart]:
    """The detectors that end in a tail of ours; their networks lie in the folder."""
    found = []
    for place, subject in enumerate(subjects):
        tail = detection_tail_of(subject.runner)
        if tail is not None:
            path = folder / f"{place}{subject.runner.path.suffix}"
            found.append(_Apart(subject=subject, tail=tail, network=_network(subject, path)))
    return found


def _checked(apart: _Apart, images: ImageSet, pixels: Preprocess) -> TailCheck:
    runner = apart.subject.runner
    most = images_for(runner.path.stat().st_size, runner.resolution.pixels)
    alike = np.zeros(0, np.bool_)
    for content in iter_pixels(images.subset(evenly_spread(len(images), most)), pixels):
        alike = np.append(alike, are_alike(apart.subject.detections(content), _in_numpy(apart, content)))
    return TailCheck(
        tail=apart.tail,
        images=len(alike),
        alike=float(alike.mean()) if len(alike) else math.nan,
        alike_ci95=wilson_interval(int(alike.sum()), len(alike)),
    )


def _timings(apart: Sequence[_Apart], pixels: Pixels, *, effort: Effort, seed: int, on_step: OnStep) -> Timings:
    """The times of each detector and of its network alone, side by side, on an image (1, h, w, channels)."""
    files: dict[str, Path] = {}
    feeds: dict[str, NDArray[Any]] = {}
    for each in apart:
        files |= {each.subject.name: each.subject.runner.path, each.alone: each.network.runner.path}
        feeds |= {each.subject.name: each.subject.feeds(pixels), each.alone: each.network.feeds(pixels)}
    return time_artifacts(files, feeds, effort=effort, seed=seed, on_step=on_step)


def _network(subject: DetectorSubject, path: Path) -> Fed:
    path.write_bytes(network_alone(subject.runner))
    return Fed(
        runner=open_runner(path),
        preprocess=subject.preprocess,
        source=subject.source,
        takes_bytes=subject.takes_bytes,
    )


def _in_numpy(apart: _Apart, content: Pixels) -> list[Detections]:
    tail, feeds = apart.tail, apart.network.feeds(content)
    found: list[Detections] = []
    for place in range(len(feeds)):
        heads = _heads(apart.network.runner, feeds[place : place + 1], tail)
        found.extend(detect_batch(heads, tail.anchors, tail.code_scales, tail.settings))
    return found


def _heads(runner: Runner, feed: NDArray[Any], tail: DetectionTail) -> list[NDArray[Any]]:
    """The heads of one image, map by map, codes before logits."""
    named = dict(zip((target.name for target in runner.outputs), runner.invoke(feed), strict=True))
    return [named[name] for heads in tail.heads for name in heads]
