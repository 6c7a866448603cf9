"""Choose the stride of a detector's finest map and the shapes of its anchors by the boxes that it is to learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from mbexport.models.detection.anchors import AnchorTable, anchors_of, best_overlaps
from mbexport.models.detection.boxes import Boxes, Centers
from mbexport.models.ssd.spec import ANCHORS_PER_PLACE, FEATURE_STRIDES, SsdSpec

COVERED_IOU: Final = 0.5  # from which on an anchor is to find a box


def _from(least: float) -> AnchorTable:
    """TensorFlow's table with another smallest scale: even steps to 0.95, and half of it in the finest map."""
    steps = len(ANCHORS_PER_PLACE) - 1
    return AnchorTable(
        scales=tuple(round(least + (0.95 - least) * step / steps, 4) for step in range(steps + 1)),
        lowest_scale=least / 2,
    )


# By name, TensorFlow's own first.
TABLES: Final[Mapping[str, AnchorTable]] = MappingProxyType(
    {"0.2-0.95": AnchorTable(), "0.15-0.95": _from(0.15), "0.1-0.95": _from(0.1)}
)

# How much less must be uncovered, in the mean over classes, for what is not the default. Maps of half the stride cost
# two to four times the mult-adds. Another table costs nothing, but trades one size of objects for another: of the blood
# cells of BCCD (192 px, stride 8) scales from 0.15 leave 6 points less uncovered, and find no more of them (AP 0.446
# in place of 0.453 on the validation photos after 198 steps, and less at each evaluation before).
_WORTH_IT: Final = 0.10
_MOST_BOXES: Final = 4000  # of which the shares are known within a point


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorCandidate:
    """How well anchors of `table` on maps of `spec` cover boxes at IoU 0.5.

    `uncovered` is the share of the boxes that no anchor covers, `by_class` that of each class that has boxes, by its
    number, and `class_mean` their mean, in which rare classes count as much as others, as in average precision.
    """

    spec: SsdSpec
    table_name: str
    uncovered: float
    by_class: Mapping[int, float]

    @property
    def table(self) -> AnchorTable:
        return TABLES[self.table_name]

    @property
    def class_mean(self) -> float:
        return sum(self.by_class.values()) / len(self.by_class) if self.by_class else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorChoice:
    """The `chosen` of the `candidates`, in the order in which they were considered, by so many `boxes`.

    `verdicts` say in a few words what became of each candidate, and why.
    """

    chosen: AnchorCandidate
    candidates: tuple[AnchorCandidate, ...]
    verdicts: tuple[str, ...]
    boxes: int

    @property
    def reasons(self) -> tuple[str, ...]:
        """What each candidate leaves uncovered and what became of it, in a sentence each."""
        pairs = zip(self.candidates, self.verdicts, strict=True)
        return tuple(f"{_described(candidate)}: {verdict}" for candidate, verdict in pairs)

    @property
    def anchors(self) -> Centers:
        """The anchors of the chosen network, float32 (n, 4)."""
        return network_anchors(self.chosen.spec, self.chosen.table)


def network_anchors(spec: SsdSpec, table: AnchorTable) -> Centers:
    """The anchors of `table` on the maps of the network of `spec`: float32 (n, 4) of y, x, height, width.

    Raises `ValueError` for a table that has another number of anchors for each place than the network.
    """
    if table.per_place != ANCHORS_PER_PLACE:
        raise ValueError(f"the network has {ANCHORS_PER_PLACE} anchors a place, got a table of {table.per_place}")
    return anchors_of(table, spec.maps, resolution=spec.resolution)


def choose_anchors(
    boxes: Sequence[Boxes],
    spec: SsdSpec,
    *,
    strides: Sequence[int] = FEATURE_STRIDES,
    tables: Sequence[str] = tuple(TABLES),
    seed: int = 0,
) -> AnchorChoice:
    """Choose, for the `boxes` of the training images, one of `strides` and one of `tables` for a network like `spec`.

    Candidates are considered from the cheapest on, each stride with TensorFlow's table first. One takes the place of
    the one that was chosen before where the share of boxes that it leaves uncovered, in the mean over classes, is
    lower by at least 10 points. Of more than 4,000 boxes as many are drawn by `seed`.
    """
    corners = np.concatenate([np.zeros((0, 4), np.float32), *(each.corners for each in boxes)])
    classes = np.concatenate([np.zeros(0, np.int64), *(each.classes for each in boxes)])
    if len(corners) > _MOST_BOXES:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(corners))[:_MOST_BOXES])
        corners, classes = corners[drawn], classes[drawn]
    whole = Boxes.of(corners, classes)
    candidates = tuple(
        _measured(whole, replace(spec, feature_stride=stride), name)
        for stride in sorted(strides, reverse=True)
        for name in tables
    )
    return _chosen(candidates, boxes=len(whole))


def _measured(boxes: Boxes, spec: SsdSpec, table_name: str) -> AnchorCandidate:
    is_uncovered = best_overlaps(network_anchors(spec, TABLES[table_name]), boxes.corners) < COVERED_IOU
    return AnchorCandidate(
        spec=spec,
        table_name=table_name,
        uncovered=float(is_uncovered.mean()) if len(boxes) else 0.0,
        by_class={
            int(number): float(is_uncovered[boxes.classes == number].mean()) for number in np.unique(boxes.classes)
        },
    )


def _chosen(candidates: tuple[AnchorCandidate, ...], *, boxes: int) -> AnchorChoice:
    chosen = candidates[0]
    verdicts = [_first_verdict(chosen, is_alone=len(candidates) == 1)]
    taken = 0
    for place, each in enumerate(candidates[1:], start=1):
        if each.class_mean <= chosen.class_mean - _WORTH_IT:
            if taken:
                verdicts[taken] = verdicts[taken].replace("chosen", "chosen at first", 1)
            chosen, taken = each, place
            verdicts.append(f"chosen, at least {_WORTH_IT * 100:.0f} points less")
        else:
            verdicts.append(f"not chosen, less than {_WORTH_IT * 100:.0f} points better")
    return AnchorChoice(chosen=chosen, candidates=candidates, verdicts=tuple(verdicts), boxes=boxes)


def _first_verdict(candidate: AnchorCandidate, *, is_alone: bool) -> str:
    """What is said of the candidate that the others are compared with."""
    if is_alone:
        return "chosen by the user"
    is_usual = candidate.spec.feature_stride == max(FEATURE_STRIDES) and candidate.table == AnchorTable()
    return "what TensorFlow's detectors have" if is_usual else "the cheapest that the user allows"


def _described(candidate: AnchorCandidate) -> str:
    return (
        f"stride {candidate.spec.feature_stride}, scales {candidate.table_name}: {candidate.class_mean:.1%} of the "
        f"boxes uncovered in the mean over classes, {candidate.uncovered:.1%} of all"
    )
