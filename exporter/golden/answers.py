"""Run artifacts on the images of golden vectors: raw outputs, the tolerance for other runtimes, and wrong feeds."""

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

# The least tolerance, as a share of the output's range. XNNPACK and LiteRT's other kernels differed by up to 13 of 256
# codes where activations have 8 bits, by up to 6e-6 of 1 where they are floats (MobileNet v1 0.25 and 0.75 at 224 px,
# 32 photos).
_8BIT_SHARE: Final = 1 / 32
_FLOAT_SHARE: Final = 1 / 256  # half precision, with 11 bits in each of 28 layers, may lose as much on a phone
_EIGHT_BITS: Final = frozenset({Precision.INT8, Precision.DYNAMIC})
_MIDDLE: Final = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """One artifact's raw outputs `raw` (n, classes) for n images, by its runtime's default kernels.

    `spread` is the largest difference of any entry by other kernels, in codes where there are codes, else in scores.
    """

    subject: Subject
    raw: NDArray[Any]
    spread: float = 0.0

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The raw outputs as float64, whose differences do not overflow."""
        return self.raw.astype(np.float64)

    @property
    def best(self) -> NDArray[np.int64]:
        """The best classes (n,), the lowest number where several tie."""
        best: NDArray[np.int64] = self.raw.argmax(axis=1)
        return best

    @property
    def tolerance(self) -> float:
        """How far another runtime's outputs may be off, in codes where there are codes, else in scores.

        Twice the spread, since both runtimes may err, and a phone has kernels of its own; at least a share of the
        output's range: 1/32 (8 codes) where activations have 8 bits, and one that is rounded the other way moves all
        that follow, else 1/256. The spread alone is not enough: images whose scores are all but 0 and 1 have none.
        """
        share = _8BIT_SHARE if self.subject.runner.precision in _EIGHT_BITS else _FLOAT_SHARE
        return max(2 * self.spread, share * self._range)

    @property
    def lead(self) -> NDArray[np.float64]:
        """How far (n,) the best score is ahead of the second, in tolerances; NaN where one is no finite number."""
        numbers = self.numbers
        is_finite = np.isfinite(numbers.sum(axis=1))
        ordered = np.sort(np.where(is_finite[:, None], numbers, 0), axis=1)
        difference = ordered[:, -1] - ordered[:, -2] if numbers.shape[1] > 1 else np.full(len(numbers), np.inf)
        lead: NDArray[np.float64] = np.where(is_finite, difference / self.tolerance, np.nan)
        return lead

    @property
    def _range(self) -> float:
        if np.issubdtype(self.raw.dtype, np.integer):
            limits = np.iinfo(self.raw.dtype)
            return float(limits.max - limits.min + 1)
        numbers = self.numbers[np.isfinite(self.numbers)]
        if self.subject.kind is not Output.LOGITS or not numbers.size:
            return 1.0
        return float(np.ptp(numbers)) or 1.0

    def only(self, images: Sequence[int]) -> "Outputs":
        """The outputs for some of the images, with the spread of all."""
        return replace(self, raw=self.raw[list(images)])


def outputs_of(subject: Subject, pixels: Pixels) -> Outputs:
    """The artifact's outputs for bytes (n, h, w, channels), each image fed as `GoldenInput` says.

    Raises `DataError` for an integer artifact whose codes are not the bytes.
    """
    runner = subject.runner
    if runner.input.dtype != FLOAT and not subject.takes_bytes:
        raise DataError(f"{runner.path} must take bytes as they are, as golden vectors feed them; its scale is another")
    # A float input that the file quantizes first thing gets (byte - mean) / std like any other, not code numbers.
    feeds = runner.prepare(pixels, subject.preprocess, takes_bytes=runner.input.dtype != FLOAT)
    return Outputs(subject=subject, raw=subject.classifier.raw(feeds))


def widen_spread(outputs: Outputs, pixels: Pixels, *, kernels: slice) -> Outputs:
    """The outputs with a spread that includes other kernels' outputs for the same images.

    `kernels` is a slice of the runtime's kernel paths behind the default one.
    """
    path = outputs.subject.runner.path
    others = format_of(path).kernel_paths[1:]
    opened = (replace(outputs.subject, runner=open_path(path, name)) for name in others[kernels])
    raws = np.stack([outputs.numbers, *(outputs_of(subject, pixels).numbers for subject in opened)])
    apart = np.ptp(np.where(np.isfinite(raws).all(axis=0), raws, 0), axis=0)
    return replace(outputs, spread=max(outputs.spread, float(apart.max())))


def feeding_mistakes(pixels: Pixels) -> tuple[Pixels, ...]:
    """The bytes (n, h, w, channels) as careless apps feed them: 0..1 instead of -1..1, blue instead of red."""
    half = (_MIDDLE + pixels // 2).astype(np.uint8)
    return (half,) if pixels.shape[-1] == 1 else (half, np.ascontiguousarray(pixels[..., ::-1]))


def least_change(outputs: Outputs, mistakes: Sequence[Pixels]) -> NDArray[np.float64]:
    """How far (n,) the outputs move at least, in tolerances, if the images are fed as in one of `mistakes`."""
    moved = [np.abs(outputs_of(outputs.subject, fed).numbers - outputs.numbers).max(axis=1) for fed in mistakes]
    least: NDArray[np.float64] = np.nan_to_num(np.min(moved, axis=0) / outputs.tolerance)
    return least
