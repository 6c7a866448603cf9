"""Random objects in images, and detections of a detector that finds most of them and a few more."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mbexport.models.detection.boxes import Boxes, Detections
from mbexport.models.resolution import Resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """Images of some size with their objects, and what was detected in them."""

    detections: tuple[Detections, ...]
    truth: tuple[Boxes, ...]
    sizes: tuple[Resolution, ...]


def scenes(
    seed: int, *, images: int = 12, classes: int = 3, objects: int = 8, is_coarse: bool = False, difficult: float = 0.0
) -> Scenes:
    """Scenes of up to so many objects; coarse ones have many equal scores and overlaps.

    `difficult` is the share of objects that are.
    """
    rng = np.random.default_rng(seed)
    grid = 16 if is_coarse else None
    drawn = [_scene(rng, classes, objects, grid, difficult) for _ in range(images)]
    sides = rng.integers(50, 500, (images, 2)).tolist()
    return Scenes(
        detections=tuple(found for _, found in drawn),
        truth=tuple(wanted for wanted, _ in drawn),
        sizes=tuple(Resolution(height_px=height, width_px=width) for height, width in sides),
    )


def _scene(rng: Any, classes: int, objects: int, grid: int | None, difficult: float) -> tuple[Boxes, Detections]:
    count = rng.integers(0, objects + 1)
    corners, names = _boxes(rng, count), rng.integers(0, classes, count)
    again = np.repeat(np.arange(count), rng.integers(0, 3, count))
    others = rng.integers(0, objects + 1)
    sides = np.tile(corners[again][:, 2:] - corners[again][:, :2], 2)
    seen = np.concatenate([corners[again] + sides * rng.normal(0, 0.04, (len(again), 4)), _boxes(rng, others)])
    is_named = rng.uniform(size=len(again)) < 0.9
    answers = np.where(is_named, names[again], rng.integers(0, classes, len(again)))
    answers = np.concatenate([answers, rng.integers(0, classes, others)])
    scores = np.concatenate([rng.beta(4, 2, len(again)), rng.beta(2, 4, others)])
    if grid:
        corners, seen, scores = (np.round(each * grid) / grid for each in (corners, seen, scores))
    seen[:, 2:] = np.maximum(seen[:, :2], seen[:, 2:])
    best = np.argsort(-scores, kind="stable")
    truth = Boxes.of(corners, names, rng.uniform(size=count) < difficult)
    return truth, Detections.of(seen[best], answers[best], scores[best])


def _boxes(rng: Any, count: int) -> np.ndarray:
    low = rng.uniform(0, 0.8, (count, 2))
    return np.concatenate([low, np.minimum(low + rng.uniform(0.05, 0.4, (count, 2)), 1)], axis=1)


def changed(detections: tuple[Detections, ...], seed: int, *, by: float = 0.01) -> tuple[Detections, ...]:
    """The same detections as a coarser network gives them: sides moved by so much of their length, and scores too."""
    rng = np.random.default_rng(seed)
    found = []
    for each in detections:
        sides = np.tile(each.corners[:, 2:] - each.corners[:, :2], 2)
        corners = each.corners + sides * rng.normal(0, by, each.corners.shape)
        scores = np.clip(each.scores + rng.normal(0, by, len(each)), 0, 1)
        best = np.argsort(-scores, kind="stable")
        found.append(Detections.of(corners[best], each.classes[best], scores[best]))
    return tuple(found)
