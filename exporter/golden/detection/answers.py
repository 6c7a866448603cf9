"""Run detectors on the photos of golden vectors: what is found, what other kernels find, and which rows are safe.

A row is safe if no runtime within the tolerance can miss it. Its score lies above the least one by the tolerance; no
other box of its class, nearly as certain or more, lies over it, so that suppression could take it away; and it is found
again by other kernels, and in a photo that is a shade brighter.
"""

from collections.abc import Sequence
from dataclasses import Field, dataclass, replace
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.registry import format_of, open_path
from mbexport.formats.runner import FLOAT, Runner
from mbexport.golden.detection.vectors import Distance
from mbexport.models.detection.boxes import Detections, iou
from mbexport.models.preprocess import Pixels, Preprocess

LEAST_SCORE: Final = 0.3  # of what apps show; one that asks for more shows a part of it
SAME_OBJECT: Final = 0.5  # the least intersection over union of two boxes around one object, as in AP50
_SAME_BOX: Final = 0.8  # of a box and the one that other kernels give in its place
_CROWDED: Final = 0.4  # usual detectors drop one of two boxes from 0.5 or 0.6 on; corners move by a few percent
_EIGHT_BITS: Final = frozenset({Precision.INT8, Precision.DYNAMIC})
# The least tolerances. Logits reach over some 16, and a sigmoid rises by 1/4 a logit at most: 8 of 256 codes are 1/8 of
# a score, half precision is 1/64. A box of a third of the photo, whose codes reach over 20 and are divided by 10, moves
# by 1/50 with 8 codes.
_LEAST_TOLERANCE: Final = Distance(score=1 / 64, corner=1 / 256)
_LEAST_TOLERANCE_8BIT: Final = Distance(score=1 / 8, corner=1 / 32)
_NO_SPREAD: Final = Distance(score=0.0, corner=0.0)
Mask = NDArray[np.bool_]


class GoldenDetector(Protocol):
    """An opened detector, as a dataclass: its file, what it is fed, and the objects in uint8 images (n, h, w, c).

    With `takes_bytes` each byte is the code that the file has for it, where it has codes.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def name(self) -> str:
        """The artifact's file name."""

    @property
    def runner(self) -> Runner:
        """The loaded artifact."""

    @property
    def preprocess(self) -> Preprocess:
        """How photos become its input."""

    @property
    def takes_bytes(self) -> bool:
        """Whether codes are bytes."""

    def detections(self, pixels: Pixels) -> Sequence[Detections]:
        """The rows that count, the most certain first, with the file's own corners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one artifact finds in n photos, by its runtime's default kernels.

    `steady` says for each photo which rows are found again, however else it was looked at; `spread` is how far those
    of other kernels were apart.
    """

    detector: GoldenDetector
    photos: tuple[Detections, ...]
    steady: tuple[Mask, ...]
    spread: Distance = _NO_SPREAD

    @property
    def tolerance(self) -> Distance:
        """How far another runtime may be off: twice the spread, since both may err, or at least what codes make."""
        is_coarse = self.detector.runner.precision in _EIGHT_BITS
        least = _LEAST_TOLERANCE_8BIT if is_coarse else _LEAST_TOLERANCE
        return Distance(score=max(2 * self.spread.score, least.score), corner=max(2 * self.spread.corner, least.corner))

    def leads(self, photo: int) -> NDArray[np.float64]:
        """How far the score of each row is above the least one, in tolerances."""
        scores = self.photos[photo].scores.astype(np.float64)
        leads: NDArray[np.float64] = (scores - LEAST_SCORE) / self.tolerance.score
        return leads

    def listed(self, photo: int) -> Detections:
        """The rows that some runtime may show an app, at least the most certain one."""
        count = max(1, int((self.leads(photo) >= -1).sum()))
        return self.photos[photo].take(np.arange(min(count, len(self.photos[photo]))))

    def safe(self, photo: int) -> Mask:
        """Which of these every runtime shows."""
        rows = self.listed(photo)
        count = len(rows)
        is_beside = (iou(rows.corners, rows.corners) >= _CROWDED) & (rows.classes[:, None] == rows.classes)
        scores = rows.scores.astype(np.float64)
        is_rival = is_beside & (scores >= scores[:, None] - 2 * self.tolerance.score) & ~np.eye(count, dtype=np.bool_)
        is_safe: Mask = (self.leads(photo)[:count] >= 1) & self.steady[photo][:count] & ~is_rival.any(axis=1)
        return is_safe

    def is_finite(self, photo: int) -> bool:
        """Whether something is found, and where it is are numbers."""
        rows = self.listed(photo)
        return bool(len(rows)) and bool(np.isfinite(rows.corners).all())

    def only(self, photos: Sequence[int]) -> "Found":
        """What is found in some of the photos, with the spread of all."""
        return replace(
            self,
            photos=tuple(self.photos[photo] for photo in photos),
            steady=tuple(self.steady[photo] for photo in photos),
        )


def found_by(detector: GoldenDetector, pixels: Pixels) -> Found:
    """What an artifact finds in bytes (n, h, w, channels), each photo fed as `GoldenInput` says.

    Raises `DataError` for an integer artifact whose codes are not the bytes.
    """
    photos = _detections(detector, pixels)
    return Found(detector=detector, photos=photos, steady=tuple(np.ones(len(each), np.bool_) for each in photos))


def compare_kernels(found: Found, pixels: Pixels, *, kernels: slice) -> Found:
    """The same with what other kernels find in the same photos: a slice of the runtime's, behind the default ones."""
    path = found.detector.runner.path
    for name in format_of(path).kernel_paths[1:][kernels]:
        others = _detections(replace(found.detector, runner=open_path(path, name)), pixels)
        found = replace(_steadied(found, others), spread=_widest(found, others))
    return found


def compare_brighter(found: Found, pixels: Pixels) -> Found:
    """The same, steady only where a photo that is a shade brighter shows it, too."""
    return _steadied(found, _detections(found.detector, np.maximum(pixels, pixels + np.uint8(1))))


def least_lost(found: Found, mistakes: Sequence[Pixels]) -> NDArray[np.float64]:
    """Which share (n,) of the safe rows is lost at least, if the photos are fed as in one of `mistakes`."""
    lost = np.zeros((len(mistakes), len(found.photos)))
    for number, fed in enumerate(mistakes):
        for photo, others in enumerate(_detections(found.detector, fed)):
            rows = found.listed(photo).take(found.safe(photo))
            lost[number, photo] = 1 - met(rows, others, found.tolerance).mean() if len(rows) else 0
    least: NDArray[np.float64] = lost.min(axis=0)
    return least


def met(rows: Detections, others: Detections, tolerance: Distance) -> Mask:
    """Which rows another answer has, too: of the same class, with score and corners within the tolerance."""
    apart = np.abs(rows.corners.astype(np.float64)[:, None] - others.corners).max(axis=2, initial=0)
    is_near = apart <= tolerance.corner
    is_near &= np.abs(rows.scores.astype(np.float64)[:, None] - others.scores) <= tolerance.score
    is_met: Mask = (is_near & (rows.classes[:, None] == others.classes)).any(axis=1)
    return is_met


def partners(rows: Detections, others: Detections, *, overlap: float) -> NDArray[np.int64]:
    """The place of the box in `others` that each row shares most with, of its class; -1 below `overlap`."""
    if not len(others):
        return np.full(len(rows), -1)
    shares = np.where(rows.classes[:, None] == others.classes, iou(rows.corners, others.corners), 0)
    return np.where(shares.max(axis=1, initial=0) >= overlap, shares.argmax(axis=1), -1)


def _detections(detector: GoldenDetector, pixels: Pixels) -> tuple[Detections, ...]:
    runner = detector.runner
    has_codes = runner.input.dtype != FLOAT
    if has_codes and not detector.takes_bytes:
        raise DataError(f"{runner.path} must take bytes as they are, as golden vectors feed them; its scale is another")
    # A float input that the file quantizes first thing gets (byte - mean) / std like any other, not code numbers.
    return tuple(replace(detector, takes_bytes=has_codes).detections(pixels))


def _steadied(found: Found, others: Sequence[Detections]) -> Found:
    again = (partners(own, other, overlap=_SAME_BOX) >= 0 for own, other in zip(found.photos, others, strict=True))
    return replace(found, steady=tuple(was & is_again for was, is_again in zip(found.steady, again, strict=True)))


def _widest(found: Found, others: Sequence[Detections]) -> Distance:
    """The spread with those of another answer, for rows that an app might show."""
    score, corner = found.spread.score, found.spread.corner
    for own, other in zip(found.photos, others, strict=True):
        rows = own.take(own.scores >= LEAST_SCORE / 2)
        places = partners(rows, other, overlap=_SAME_BOX)
        paired, partner = rows.take(places >= 0), other.take(places[places >= 0])
        score = max(score, float(np.abs(paired.scores - partner.scores).max(initial=0)))
        corner = max(corner, float(np.abs(paired.corners - partner.corners).max(initial=0)))
    return Distance(score=score, corner=corner)
