"""Turns an artifact and bytes into its raw outputs, by its runtime's kernels, and into how far those may be apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.models.facts import Output
from mbexport.models.preprocess import Pixels
from mbexport.runtimes.opening import KERNEL_PATHS, format_of, open_path
from mbexport.runtimes.runner import FLOAT
from mbexport.runtimes.subject import Subject

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
    return Answered(subject=subject, raw=runner.outputs(feeds))


def with_spread(given: Answered, pixels: Pixels, *, kernels: slice) -> Answered:
    """The same, its spread widened by what `kernels` of its runtime's other ones give for the same images."""
    path = given.subject.runner.path
    others = KERNEL_PATHS[format_of(path)][1:]
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
