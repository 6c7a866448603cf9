"""Compare two detectors with each other: the shares of what each is certain of that the other has too.

Twins are the files of one network and precision in two formats, which are called alike; and, of one format, the file
that gives detections and the one with raw heads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from mbexport.formats.subject import DetectorSubject
from mbexport.models.detection.boxes import Detections
from mbexport.verification.detection.pairing import PairCounts, are_alike, pair_counts
from mbexport.verification.detection.resampling import NO_SHARE, Floats, Share, share
from mbexport.verification.statistics import Interval, wilson_interval
from mbexport.verification.twins import twins_by_name


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedShares:
    """Of the certain detections of a the share that b has too (`kept`), and of those of b that a has (`backed`).

    `score_error` is how far the scores of partners are apart on average, NaN without any.
    """

    kept: Share
    backed: Share
    score_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two detectors on the same images; `alike` is the share of these on which they answer alike to the last box.

    `failure` says why `b`, a kernel path, could not be run; nothing is known of such a pair.
    """

    a: str
    b: str
    paired: PairedShares
    alike: float
    alike_ci95: Interval
    failure: str | None = None

    @classmethod
    def failed(cls, a: str, b: str, failure: str) -> "Pair":
        """A pair whose second kernel path could not be run."""
        unknown = (math.nan, math.nan)
        return cls(a=a, b=b, paired=NOTHING_PAIRED, alike=math.nan, alike_ci95=unknown, failure=failure)


NOTHING_PAIRED: Final = PairedShares(kept=NO_SHARE, backed=NO_SHARE, score_error=math.nan)


def paired_shares(counts: PairCounts, samples: Floats) -> PairedShares:
    """The shares in all images, with intervals of samples (b, images) of these."""
    partners = int(counts.paired[:, 0].sum())
    return PairedShares(
        kept=share(counts.paired[:, 0], counts.certain[:, 0], samples),
        backed=share(counts.paired[:, 1], counts.certain[:, 1], samples),
        score_error=float(counts.score_error.sum() / partners) if partners else math.nan,
    )


def pair_of(a: str, b: str, first: Sequence[Detections], second: Sequence[Detections], samples: Floats) -> Pair:
    """Compare what two detectors of these names found in the same images."""
    alike = are_alike(first, second)
    return Pair(
        a=a,
        b=b,
        paired=paired_shares(pair_counts(first, second), samples),
        alike=float(alike.mean()) if len(alike) else math.nan,
        alike_ci95=wilson_interval(int(alike.sum()), len(alike)),
    )


def twin_pairs(
    subjects: Sequence[DetectorSubject], detections: Sequence[Sequence[Detections]], samples: Floats
) -> tuple[Pair, ...]:
    """All twins among opened files, and how alike they answer; `detections` are those of each."""
    paths = [subject.runner.path for subject in subjects]
    places = list(combinations(range(len(subjects)), 2))
    found = [twins_by_name(paths, [(a, b) for a, b in places if kind(subjects[a], subjects[b])]) for kind in _KINDS]
    return tuple(
        pair_of(subjects[a].name, subjects[b].name, detections[a], detections[b], samples)
        for a, b in sorted(set().union(*found))
    )


def _are_two_formats(a: DetectorSubject, b: DetectorSubject) -> bool:
    return a.runner.runtime != b.runner.runtime and not (a.is_raw or b.is_raw) and _is_one_precision(a, b)


def _are_two_forms(a: DetectorSubject, b: DetectorSubject) -> bool:
    return a.runner.runtime == b.runner.runtime and a.is_raw != b.is_raw and _is_one_precision(a, b)


def _is_one_precision(a: DetectorSubject, b: DetectorSubject) -> bool:
    return a.runner.precision is b.runner.precision


_KINDS: Final = (_are_two_formats, _are_two_forms)
