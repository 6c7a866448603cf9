"""Read an artifact's one output as the scores of classes."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import TensorSpec
from mbexport.errors import DataError
from mbexport.formats.runner import Runner


class Classifier:
    """A runner whose one `output` is (batch, classes); (batch, classes, 1, 1) and (batch, 1, 1, classes) count as that.

    Raises `DataError` for a runner with several outputs, or one of another shape.
    """

    def __init__(self, runner: Runner) -> None:
        if len(runner.outputs) != 1:
            raise DataError(f"{runner.path}: expected one input and one output, got 1 and {len(runner.outputs)}")
        (target,) = runner.outputs
        self.runner, self.output = runner, _as_row(target)
        if len(self.output.shape) != 2 or target.shape[0] != runner.batch:
            raise DataError(f"{runner.path}: the output must have shape ({runner.batch}, classes), got {target.shape}")

    @property
    def classes(self) -> int:
        """The number of scores."""
        return self.output.shape[1]

    def invoke(self, feed: NDArray[Any]) -> NDArray[Any]:
        """The raw output (batch, classes) for the prepared inputs of a batch.

        Raises `DataError` for an artifact that loads but cannot be run.
        """
        (raw,) = self.runner.invoke(feed)
        return raw.reshape(len(raw), -1)

    def raw(self, feeds: NDArray[Any]) -> NDArray[Any]:
        """The raw outputs (n, classes) for n prepared inputs, one inference a batch.

        The last batch is filled up with the last input.
        """
        batch = self.runner.batch
        missing = -len(feeds) % batch
        filled = np.concatenate([feeds, feeds[-1:].repeat(missing, axis=0)])
        batches = [self.invoke(filled[i : i + batch]) for i in range(0, len(filled), batch)]
        return np.concatenate(batches)[: len(feeds)]

    def scores(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Raw outputs (n, classes) as real numbers."""
        return self.output.affine.dequantize(raw) if self.output.affine else raw.astype(np.float32)


def _as_row(target: TensorSpec) -> TensorSpec:
    """The output with its classes in one row, if it has them as the channels of one pixel."""
    batch, *sizes = target.shape or (0,)
    wide = [size for size in sizes if size != 1]
    is_pixel = len(sizes) == 3 and len(wide) == 1 and sizes[1] == 1
    return replace(target, shape=(batch, *wide)) if is_pixel else target
