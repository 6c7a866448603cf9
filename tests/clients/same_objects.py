"""Compare what two runtimes find in one image: the same objects in the same order, but for the rounding of floats."""

from typing import Any

import numpy as np

from mbexport.models.detection.boxes import Detections


def require_same_objects(ours: Detections, theirs: Detections, *, scores: float, corners: float) -> None:
    """Assert that both have the same objects in the same order, each once, with corners less than `corners` apart.

    Scores that are no more than `scores` apart are equal, and nobody says which of equal ones comes first.
    """
    assert len(theirs) == len(ours)
    assert np.abs(theirs.scores - ours.scores).max(initial=0) <= scores
    left = np.ones(len(theirs), np.bool_)
    for corner, cls, score in zip(ours.corners, ours.classes, ours.scores, strict=True):
        distances = np.abs(theirs.corners - corner).max(axis=1)
        is_partner = left & (theirs.classes == cls) & (np.abs(theirs.scores - score) <= scores)
        nearest = int(np.where(is_partner, distances, np.inf).argmin())
        assert is_partner[nearest], (cls, score)
        assert distances[nearest] < corners, (cls, score)
        left[nearest] = False


def in_pixels(found: Detections, height_px: int, width_px: int) -> Detections:
    """The same with corners in pixels of the image."""
    sides: Any = np.array([height_px, width_px] * 2, np.float32)
    return Detections.of(found.corners * sides, found.classes, found.scores)
