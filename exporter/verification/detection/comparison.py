"""Compare detectors with a baseline and with labelled objects: precision, its loss, detections in common.

All intervals come from the same samples of the images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.models.detection.average_precision import AveragePrecision, of_matches
from mbexport.models.detection.boxes import Boxes, Corners, Detections
from mbexport.models.detection.matches import class_matches
from mbexport.models.resolution import Resolution
from mbexport.verification.detection.collect import Collected
from mbexport.verification.detection.pairing import OBJECT_OVERLAP, OVERLAP, pair_counts
from mbexport.verification.detection.pairs import PairedShares, paired_shares
from mbexport.verification.detection.readings import Reading, best_reading
from mbexport.verification.detection.resampling import DIFFERENCE, Floats, image_samples, interval, sampled_precision
from mbexport.verification.detection.worst import WorstImage, worst_images
from mbexport.verification.statistics import Interval

_DIGEST_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well a detector finds labelled objects, with 95 % intervals.

    `chance` is the AP at 0.5 that its detections would have if each image had the objects of another one: what is to
    be had without looking; `otherwise` is the best AP at 0.5 with objects that are read in another way. `sampled`
    (samples, 10) is AP at each threshold on samples of the images.
    """

    precision: AveragePrecision
    ap_ci95: Interval
    ap50_ci95: Interval
    chance: float
    otherwise: Reading
    sampled: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """The reference's AP, and AP at 0.5, minus an artifact's, with 95 % intervals of the paired samples."""

    ap: float
    ap_ci95: Interval
    ap50: float
    ap50_ci95: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The results of one artifact.

    Beside labels alone it has no `drop` and no `paired`. `inside` is the share of its boxes that lie within the image
    and have their sides the right way round, `ordered` the share of images whose detections come with the most certain
    first; both are NaN without a box. `distinct_outputs` counts different answers. `worst`
    are the images on which most detections have no partner; beside labels those with most objects and detections
    that do not belong together.
    """

    name: str
    samples: int
    quality: Quality
    drop: Drop | None
    paired: PairedShares | None
    inside: float
    ordered: float
    distinct_outputs: int
    worst: tuple[WorstImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The results of a comparison; `reference` is None beside labels alone.

    `objects` are those that are asked for, `classes_seen` counts the classes among them.
    """

    samples: int
    objects: int
    classes_seen: int
    reference: Quality | None
    artifacts: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What detectors are asked: images by name, the objects in each, so many classes; `seed` decides the samples."""

    names: Sequence[str]
    truth: Sequence[Boxes]
    classes: int
    seed: int = 0


def compared(collected: Collected, names: Sequence[str], asked: Asked, *, is_network: bool) -> Verification:
    """What the detections in all images say of the reference and of every artifact, which have these `names`.

    Without `is_network` the reference are the labelled objects themselves.
    """
    samples = image_samples(len(asked.truth), seed=asked.seed)
    reference = _quality(collected.reference, collected.sizes, asked, samples) if is_network else None
    objects = np.concatenate([np.zeros(0, np.int64), *(each.classes[~each.is_difficult] for each in asked.truth)])
    return Verification(
        samples=len(asked.truth),
        objects=len(objects),
        classes_seen=len(np.unique(objects)),
        reference=reference,
        artifacts=tuple(
            _comparison(name, own, collected, asked, samples, reference=reference)
            for name, own in zip(names, collected.artifacts, strict=True)
        ),
    )


def _comparison(
    name: str,
    own: Sequence[Detections],
    collected: Collected,
    asked: Asked,
    samples: Floats,
    *,
    reference: Quality | None,
) -> Comparison:
    quality = _quality(own, collected.sizes, asked, samples)
    overlap = OVERLAP if reference is not None else OBJECT_OVERLAP
    counts = pair_counts(collected.reference, own, overlap=overlap)
    return Comparison(
        name=name,
        samples=len(own),
        quality=quality,
        drop=None if reference is None else _drop(reference, quality, images=len(own)),
        paired=None if reference is None else paired_shares(counts, samples),
        inside=_inside([each.corners for each in own]),
        ordered=_ordered([each.scores for each in own if len(each)]),
        distinct_outputs=len({_digest(each) for each in own}),
        worst=worst_images(asked.names, collected.reference, own, counts, overlap=overlap),
    )


def _quality(detections: Sequence[Detections], sizes: Sequence[Resolution], asked: Asked, samples: Floats) -> Quality:
    pixels = [size.pixels for size in sizes]
    matches = class_matches(detections, asked.truth, asked.classes, pixels=pixels)
    precision = of_matches(matches)
    sampled = sampled_precision(matches, samples)
    apart = len(asked.truth) // 2  # the neighbours of a photo may be of the same scene
    others = [*asked.truth[apart:], *asked.truth[:apart]]
    return Quality(
        precision=precision,
        ap_ci95=interval(precision.ap, sampled.mean(axis=1), images=len(detections)),
        ap50_ci95=interval(precision.ap50, sampled[:, 0], images=len(detections)),
        chance=of_matches(class_matches(detections, others, asked.classes)).ap50,
        otherwise=best_reading(detections, asked.truth, asked.classes),
        sampled=sampled,
    )


def _drop(reference: Quality, own: Quality, *, images: int) -> Drop:
    lost = reference.sampled - own.sampled
    ap, ap50 = reference.precision.ap - own.precision.ap, reference.precision.ap50 - own.precision.ap50
    return Drop(
        ap=ap,
        ap_ci95=interval(ap, lost.mean(axis=1), images=images, ends=DIFFERENCE),
        ap50=ap50,
        ap50_ci95=interval(ap50, lost[:, 0], images=images, ends=DIFFERENCE),
    )


def _inside(corners: Sequence[Corners]) -> float:
    """The share of boxes that an app can draw; one with a corner that is no number is none."""
    every = np.concatenate([np.zeros((0, 4), np.float32), *corners])
    low, high = every[:, :2], every[:, 2:]
    is_inside = ((low >= 0) & (high <= 1) & (low <= high)).all(axis=1)
    return float(np.mean(is_inside)) if len(every) else math.nan


def _ordered(scores: Sequence[NDArray[np.float32]]) -> float:
    """The share of images, each of which has scores, whose first rows are the best ones."""
    return float(np.mean([(np.diff(each) <= 0).all() for each in scores])) if scores else math.nan


def _digest(found: Detections) -> bytes:
    parts = (each.tobytes() for each in (found.corners, found.classes, found.scores))
    return blake2b(b"".join(parts), digest_size=_DIGEST_BYTES).digest()
