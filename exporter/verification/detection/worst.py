"""The images on which two detectors differ most, with the boxes of both, for the page of a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.models.detection.boxes import Detections
from mbexport.verification.detection.pairing import CERTAIN, NONE, PairCounts, partners

MOST_IMAGES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One side's certain detections in an image, and which of them the other side has too: bool (n,)."""

    detections: Detections
    is_paired: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstImage:
    """An image of this name with both sides' certain detections."""

    name: str
    reference: Shown
    artifact: Shown

    @property
    def lost(self) -> int:
        """The reference's detections that the artifact has not."""
        return int((~self.reference.is_paired).sum())

    @property
    def invented(self) -> int:
        """The artifact's detections that the reference has not."""
        return int((~self.artifact.is_paired).sum())


def worst_images(
    names: Sequence[str],
    reference: Sequence[Detections],
    artifact: Sequence[Detections],
    counts: PairCounts,
    *,
    overlap: float,
) -> tuple[WorstImage, ...]:
    """At most 12 images, those with most certain detections without a partner first; none on which all have one."""
    unpaired = counts.unpaired.sum(axis=1)
    order = np.argsort(-unpaired, kind="stable")[:MOST_IMAGES]
    return tuple(
        _shown(names[place], reference[place], artifact[place], overlap=overlap)
        for place in order[unpaired[order] > 0].tolist()
    )


def _shown(name: str, reference: Detections, artifact: Detections, *, overlap: float) -> WorstImage:
    of_reference, of_artifact = partners(reference, artifact, overlap=overlap)
    return WorstImage(name=name, reference=_side(reference, of_reference), artifact=_side(artifact, of_artifact))


def _side(detections: Detections, partner: NDArray[np.int64]) -> Shown:
    is_certain = detections.scores >= np.float32(CERTAIN)
    return Shown(detections=detections.take(is_certain), is_paired=partner[is_certain] != NONE)
