"""Choose the photos of a detector's golden vectors: those with objects that no other runtime can miss."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mbexport.golden.detection.answers import SAME_OBJECT, Found, partners
from mbexport.models.detection.boxes import Detections


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What m artifacts find in n photos.

    `safe` and `listed` (n, m) count rows; `lead` (n, m) is how far the best score is above the least one, in
    tolerances, NaN where nothing is found that could be written down. `agrees` (n,) says whether all artifacts find the
    same safe objects, `lost` (n,) which share of them is lost at least if the photo is fed in a wrong way. `classes`
    are those that the first artifact is safe to find in each photo.
    """

    safe: NDArray[np.int64]
    listed: NDArray[np.int64]
    lead: NDArray[np.float64]
    agrees: NDArray[np.bool_]
    lost: NDArray[np.float64]
    classes: tuple[frozenset[int], ...]

    @classmethod
    def of(cls, found: Sequence[Found], lost: NDArray[np.float64]) -> "Candidates":
        """What artifacts find in the same photos."""
        photos = range(len(found[0].photos))
        return cls(
            safe=np.array([[each.safe(photo).sum() for each in found] for photo in photos], np.int64),
            listed=np.array([[len(each.listed(photo)) for each in found] for photo in photos], np.int64),
            lead=np.array([[_best_lead(each, photo) for each in found] for photo in photos]),
            agrees=np.array([_agree(found, photo) for photo in photos], np.bool_),
            lost=lost,
            classes=tuple(frozenset(_safe_rows(found[0], photo).classes.tolist()) for photo in photos),
        )

    def rank(self, photo: int) -> tuple[bool, float, float]:
        """What is better is larger: agreement, then what a mistake loses, then the share of rows that are safe."""
        share = (self.safe[photo] / self.listed[photo]).min()
        return bool(self.agrees[photo]), float(self.lost[photo]), float(share)


def choose_photos(candidates: Candidates, *, most: int) -> list[int]:
    """The numbers of at most `most` photos, the best first; none only if no artifact finds something in any.

    Only photos in which every artifact has a safe row are chosen; if there is none, the one with the largest lead
    alone. First come photos with a class that none before has.
    """
    least = candidates.lead.min(axis=1)
    usable = np.flatnonzero(~np.isnan(least))
    if not len(usable):
        return []
    safe = [photo for photo in usable.tolist() if candidates.safe[photo].min() > 0]
    if not safe:
        return [int(usable[least[usable].argmax()])]
    ranked = sorted(safe, key=candidates.rank, reverse=True)
    firsts: list[int] = []
    seen: frozenset[int] = frozenset()
    for photo in ranked:
        if candidates.classes[photo] - seen:
            firsts.append(photo)
            seen |= candidates.classes[photo]
    return [*firsts, *(photo for photo in ranked if photo not in firsts)][:most]


def _best_lead(found: Found, photo: int) -> float:
    return float(found.leads(photo).max()) if found.is_finite(photo) else np.nan


def _safe_rows(found: Found, photo: int) -> Detections:
    return found.listed(photo).take(found.safe(photo))


def _agree(found: Sequence[Found], photo: int) -> bool:
    """Whether of any two neighbours each has what the other one is safe to find."""
    return all(
        (partners(_safe_rows(one, photo), other.listed(photo), overlap=SAME_OBJECT) >= 0).all()
        for pair in pairwise(found)
        for one, other in (pair, pair[::-1])
    )
