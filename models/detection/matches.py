"""Which detections are right: each image's detections matched with its objects, class by class, as COCO does.

The best detection takes the object that it overlaps with most, then the next one takes one of those left, at each of
ten thresholds of intersection over union (pycocotools' cocoeval.py, evaluateImg). Objects that are difficult, or of
another size than is asked about, are ignored, and so are the detections that take them and, of another size, those that
take none. A difficult object is what COCO calls a crowd: any number of detections may take it, and what is compared
with the threshold is how much of the detection lies in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.models.detection.boxes import Boxes, Corners, Detections, areas, iou

THRESHOLDS: Final = np.linspace(0.5, 0.95, 10)
MOST_DETECTIONS: Final = 100  # of one class in one image
# COCO's sizes in pixels of the photo, both ends among them: all, then small, medium and large objects.
SIZES: Final = np.array([(0, np.inf), (0, 32**2), (32**2, 96**2), (96**2, np.inf)])
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMatches:
    """All n detections of one class in a set of images, the most certain first; equals in the order of the images.

    `images` (n,) are the places of their images. `is_right` and `is_ignored` (sizes, 10, n) say, for each of `SIZES`
    and each threshold, whether a detection has found an object that is asked for, and whether it does not count at all.
    `wanted` (sizes, images) are the objects that are asked for in each image. Of images whose size is not known there
    is one size, all.
    """

    images: NDArray[np.int64]
    is_right: Mask
    is_ignored: Mask
    wanted: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ImageMatches:
    """The detections of one class in one image, the most certain first, and how many objects each size asks for."""

    scores: NDArray[np.float32]
    is_right: Mask
    is_ignored: Mask
    wanted: NDArray[np.int64]


def class_matches(
    detections: Sequence[Detections], truth: Sequence[Boxes], classes: int, *, pixels: Sequence[float] | None = None
) -> tuple[ClassMatches, ...]:
    """The detections of each of so many classes in all images, held against the objects of the same image.

    `pixels` are those of each photo, without which sizes are not told apart. Detections of other classes are left out.
    """
    sizes = SIZES if pixels is not None else SIZES[:1]
    found: list[list[tuple[int, _ImageMatches]]] = [[] for _ in range(classes)]
    for place, (own, objects) in enumerate(zip(detections, truth, strict=True)):
        bounds = sizes if pixels is None else sizes / pixels[place]
        present = np.unique(np.concatenate([own.classes, objects.classes]))
        for index in present[(present >= 0) & (present < classes)].tolist():
            asked = objects.take(objects.classes == index)
            found[index].append((place, _in_image(own.take(own.classes == index), asked, bounds)))
    return tuple(_joined(each, len(truth), len(sizes)) for each in found)


def _joined(found: Sequence[tuple[int, _ImageMatches]], images: int, sizes: int) -> ClassMatches:
    """The matches of one class in each image that has any, by place, as one."""
    wanted = np.zeros((sizes, images), np.int64)
    for place, each in found:
        wanted[:, place] = each.wanted
    nothing = np.zeros((sizes, len(THRESHOLDS), 0), np.bool_)
    order = np.argsort(-np.concatenate([np.zeros(0, np.float32), *(each.scores for _, each in found)]), kind="stable")
    return ClassMatches(
        images=np.repeat([place for place, _ in found], [len(each.scores) for _, each in found]).astype(int)[order],
        is_right=np.concatenate([nothing, *(each.is_right for _, each in found)], axis=2)[..., order],
        is_ignored=np.concatenate([nothing, *(each.is_ignored for _, each in found)], axis=2)[..., order],
        wanted=wanted,
    )


def _in_image(detections: Detections, objects: Boxes, bounds: NDArray[np.float64]) -> _ImageMatches:
    """One class in one image; `bounds` (sizes, 2) are fractions of the image's area."""
    best = detections.take(np.argsort(-detections.scores, kind="stable")[:MOST_DETECTIONS])
    is_unasked = objects.is_difficult | _is_outside(objects.corners, bounds)
    taken = _taken(best.corners, objects, is_unasked)
    has_taken = taken >= 0
    if len(objects):
        takes_unasked = np.take_along_axis(is_unasked[:, None], np.maximum(taken, 0), axis=2) & has_taken
    else:
        takes_unasked = np.zeros_like(has_taken)
    return _ImageMatches(
        scores=best.scores,
        is_right=has_taken & ~takes_unasked,
        is_ignored=takes_unasked | (~has_taken & _is_outside(best.corners, bounds)[:, None]),
        wanted=(~is_unasked).sum(axis=1),
    )


def _taken(corners: Corners, objects: Boxes, is_unasked: Mask) -> NDArray[np.int64]:
    """The object that each of n detections takes, or -1: (sizes, 10, n). Of equal overlaps the later object is taken.

    An object that is asked for is taken before one that is not (`is_unasked`, (sizes, objects)).
    """
    overlap = _overlaps(corners, objects)
    taken = np.full((len(is_unasked), len(THRESHOLDS), len(corners)), -1)
    is_free = np.ones((*taken.shape[:2], len(objects)), np.bool_)
    is_asked, every = ~is_unasked[:, None], np.arange(len(objects))
    for place in np.flatnonzero((overlap >= THRESHOLDS[0]).any(axis=1)).tolist():
        is_near = is_free & (overlap[place] >= THRESHOLDS[:, None])
        is_better = is_near & is_asked
        is_choice = np.where(is_better.any(axis=2, keepdims=True), is_better, is_near)
        choice = every[::-1][np.where(is_choice, overlap[place], -1)[..., ::-1].argmax(axis=2)]
        taken[..., place] = np.where(is_choice.any(axis=2), choice, -1)
        is_free &= (taken[..., place, None] != every) | objects.is_difficult
    return taken


def _overlaps(corners: Corners, objects: Boxes) -> NDArray[np.float64]:
    """What is compared with thresholds, of each detection (n, 4) with each object (m,): (n, m)."""
    overlap = iou(corners, objects.corners)
    if objects.is_difficult.any():
        both = areas(corners)[:, None] + areas(objects.corners)
        shared = overlap * both / (1 + overlap)  # iou = shared / (both - shared)
        own = areas(corners)[:, None]
        share = np.divide(shared, own, out=np.zeros_like(shared), where=own > 0)
        overlap = np.where(objects.is_difficult, share, overlap)
    return overlap


def _is_outside(corners: Corners, bounds: NDArray[np.float64]) -> Any:
    """Whether each box (n, 4) has an area outside each of `bounds` (sizes, 2): (sizes, n)."""
    area = areas(corners)
    return (area < bounds[:, :1]) | (area > bounds[:, 1:])
