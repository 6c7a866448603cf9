"""Turns an artifact and bytes into its raw outputs, by its runtime's kernels, and into how far those may be apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.registry import format_of, open_path
from mbexport.formats.runner import FLOAT
from mbexport.formats.subject import Subject
from mbexport.models.facts import Output
from mbexport.models.preprocess import Pixels

# Two runtimes that are each within the tolerance can bring two scores closer by twice that: a best class that leads
# by more cannot flip. The third is for kernels that nobody here has met.
SURE: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """How m artifacts answer n images.

    `best` (n, m) is each one's class; `lead` (n, m) how far its score is ahead of the next one's, in tolerances, NaN
    where scores are no numbers; `change` (n,) how far answers move at least if the image is fed wrongly; `truth` (n,)
    are the classes that the images are of, if these are known.
    """

    best: NDArray[np.int64]
    lead: NDArray[np.float64]
    change: NDArray[np.float64]
    truth: NDArray[np.int64] | None = None

    @property
    def least_lead(self) -> NDArray[np.float64]:
        """The lead (n,) of the artifact that is least sure; NaN where one gives no numbers."""
        least: NDArray[np.float64] = self.lead.min(axis=1)
        return least

    def standing(self, image: int) -> int:
        """2 if every artifact is right, 1 if all say the same, else 0."""
        answers = set(self.best[image].tolist())
        is_right = self.truth is not None and answers == {int(self.truth[image])}
        return 2 if is_right else int(len(answers) == 1)


def chosen(seen: Screened, *, most: int) -> list[int]:
    """At most `most` images, the first the best; none only if no image is answered in numbers by every artifact.

    Only images of which every artifact is sure (`SURE`), so that no other runtime answers them otherwise; without any,
    the one with the largest lead alone. First one of each class, as the first artifact answers; of these the ones that
    all get right, then the ones that all answer alike, then the ones that show best that they were fed wrongly. A lead
    beyond what is sure counts for nothing: scores that are all but 0 and 1 hardly move whatever is fed.
    """
    least = seen.least_lead
    usable = np.flatnonzero(~np.isnan(least))
    if not len(usable):
        return []
    sure = usable[least[usable] >= SURE].tolist()
    if not sure:
        return [int(usable[least[usable].argmax()])]
    ranked = sorted(sure, key=lambda image: (seen.standing(image), seen.change[image]), reverse=True)
    first_of: dict[int, int] = {}
    for image in ranked:
        first_of.setdefault(int(seen.best[image, 0]), image)
    firsts = list(first_of.values())
    return [*firsts, *(image for image in ranked if image not in firsts)][:most]


# Shares of the output's range. XNNPACK against LiteRT's other kernels differed by up to 13 of 256 codes where
# activations have 8 bits, by up to 6e-6 of 1 where they are floats (MobileNet v1 0.25 and 0.75 at 224 px, 32 photos).
_ROUGH: Final = 1 / 32
_FINE: Final = 1 / 256  # what half precision, with 11 bits in each of 28 layers, may come to on a phone
_EIGHT_BITS: Final = frozenset({Precision.INT8, Precision.DYNAMIC})
_MIDDLE: Final = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One artifact's raw outputs (n, classes) by default, and the largest difference of any entry by other kernels."""

    subject: Subject
    raw: NDArray[Any]
    spread: float = 0.0

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The raw outputs as numbers that can be subtracted."""
        return self.raw.astype(np.float64)

    @property
    def best(self) -> NDArray[np.int64]:
        """The best classes (n,), the lowest number where several tie."""
        found: NDArray[np.int64] = self.raw.argmax(axis=1)
        return found

    @property
    def tolerance(self) -> float:
        """How far another runtime's outputs may be off, in codes where there are codes, else in scores.

        Twice what the kernels of one runtime differ by here, since both may err, and a phone has others again; at
        least a share of the output's range: 1/32 (8 codes) where activations have 8 bits and one that is rounded the
        other way moves all that follow, else 1/256. Images whose scores are all but 0 and 1 show no difference at
        all, wherefore what was measured does not do alone.
        """
        share = _ROUGH if self.subject.runner.precision in _EIGHT_BITS else _FINE
        return max(2 * self.spread, share * self._range)

    @property
    def lead(self) -> NDArray[np.float64]:
        """How far (n,) the best score is ahead of the second, in tolerances; NaN where one is no finite number."""
        numbers = self.numbers
        is_finite = np.isfinite(numbers.sum(axis=1))
        ordered = np.sort(np.where(is_finite[:, None], numbers, 0), axis=1)
        lead = ordered[:, -1] - ordered[:, -2] if numbers.shape[1] > 1 else np.full(len(numbers), np.inf)
        found: NDArray[np.float64] = np.where(is_finite, lead / self.tolerance, np.nan)
        return found

    @property
    def _range(self) -> float:
        if np.issubdtype(self.raw.dtype, np.integer):
            limits = np.iinfo(self.raw.dtype)
            return float(limits.max - limits.min + 1)
        numbers = self.numbers[np.isfinite(self.numbers)]
        if self.subject.kind is not Output.LOGITS or not numbers.size:
            return 1.0
        return float(np.ptp(numbers)) or 1.0

    def only(self, images: Sequence[int]) -> "Answered":
        """The same for some of the images; they keep the spread of all."""
        return replace(self, raw=self.raw[list(images)])


def answered(subject: Subject, pixels: Pixels) -> Answered:
    """What the artifact gives for bytes (n, px, px, channels), each image fed as `GoldenInput` says.

    Raises `DataError` for an artifact that wants other codes than the bytes.
    """
    runner = subject.runner
    if runner.input.dtype != FLOAT and not subject.takes_bytes:
        raise DataError(f"{runner.path}: golden vectors feed bytes as they are, which this file does not take")
    # A float input that is quantized first thing gets (byte - mean) / std like any other, not its codes' own numbers.
    feeds = runner.prepare(pixels, subject.preprocess, takes_bytes=runner.input.dtype != FLOAT)
    return Answered(subject=subject, raw=subject.classifier.raw(feeds))


def with_spread(given: Answered, pixels: Pixels, *, kernels: slice) -> Answered:
    """The same, its spread widened by what `kernels` of its runtime's other ones give for the same images."""
    path = given.subject.runner.path
    others = format_of(path).kernel_paths[1:]
    opened = (replace(given.subject, runner=open_path(path, name)) for name in others[kernels])
    raws = np.stack([given.numbers, *(answered(subject, pixels).numbers for subject in opened)])
    apart = np.ptp(np.where(np.isfinite(raws).all(axis=0), raws, 0), axis=0)
    return replace(given, spread=max(given.spread, float(apart.max())))


def wrongly_fed(pixels: Pixels) -> tuple[Pixels, ...]:
    """What careless apps make of bytes (n, px, px, channels): 0..1 in the place of -1..1, blue in the place of red."""
    half = (_MIDDLE + pixels // 2).astype(np.uint8)
    return (half,) if pixels.shape[-1] == 1 else (half, np.ascontiguousarray(pixels[..., ::-1]))


def change(given: Answered, wrong: Sequence[Pixels]) -> NDArray[np.float64]:
    """How far (n,) the outputs move at least, in tolerances, if the images are fed as one of `wrong`."""
    moved = [np.abs(answered(given.subject, pixels).numbers - given.numbers).max(axis=1) for pixels in wrong]
    found: NDArray[np.float64] = np.nan_to_num(np.min(moved, axis=0) / given.tolerance)
    return found
