"""A file loaded for timing as an app loads it: an input of its shape goes in, an output comes out.

A runtime is loaded first, by itself, so that what its file costs can be told from what the runtime costs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """A loaded file: `name` is the file's, `shape` and `dtype` are its input's; `invoke` gives its outputs for one."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    invoke: Callable[[NDArray[Any]], tuple[NDArray[Any], ...]]

    def noise(self) -> NDArray[Any]:
        """An input of random numbers: any integers of its type, or floats in 0..1."""
        rng = np.random.default_rng(0)
        if self.dtype.startswith("float"):
            return rng.random(self.shape).astype(self.dtype)
        limits = np.iinfo(self.dtype)
        return rng.integers(limits.min, limits.max, self.shape, np.dtype(self.dtype), endpoint=True)


class Loader(Protocol):
    """What loads files into a runtime that is there already."""

    def __call__(self, path: Path, *, batch: int | None = None) -> Bare:
        """The file, for `batch` images or for as many as it says, one where it leaves that open.

        Raises `DataError` for a file that cannot be loaded, or not for that batch.
        """


def with_batch(shape: list[int], batch: int | None) -> tuple[int, ...]:
    """The shape for `batch` images; its own where that is None."""
    return tuple(shape) if batch is None else (batch, *shape[1:])


def for_batch(batch: int | None) -> str:
    """The words of an error on a batch; none where no batch was asked for."""
    return "" if batch is None else f" for a batch of {batch}"
