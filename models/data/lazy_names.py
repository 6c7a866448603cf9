"""Names of a million images without a million strings: each is made when somebody asks for it."""

import hashlib
from collections.abc import Callable, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class LazyNames(Sequence[str]):
    """The names that `name_of` gives for `indices`, int64 of shape (n,)."""

    def __init__(self, name_of: Callable[[int], str], indices: NDArray[np.int64] | range) -> None:
        self._name_of, self._indices = name_of, indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self._name_of(int(place)) for place in self._indices[index])
        return self._name_of(int(self._indices[index]))

    def chosen(self, indices: NDArray[np.int64]) -> "LazyNames":
        """The names at `indices`, in that order."""
        whole = self._indices
        return LazyNames(self._name_of, indices if isinstance(whole, range) else whole[indices])

    def identity(self) -> bytes:
        """What tells these names from others of the same data, without looking up any."""
        whole = self._indices
        return (np.arange(whole.start, whole.stop) if isinstance(whole, range) else whole).astype("<i8").tobytes()


def hash_of_names(names: Sequence[str]) -> str:
    """A hash of names: with the fingerprint of their data it tells which images they are, and in which order."""
    digest = hashlib.sha256()
    if isinstance(names, LazyNames):
        digest.update(names.identity())
    else:
        for name in names:
            digest.update(name.encode(errors="surrogateescape") + b"\0")
    return digest.hexdigest()


def names_at(names: Sequence[str], indices: NDArray[np.int64]) -> Sequence[str]:
    """The names at `indices`, in that order: a tuple, unless names are made when they are asked for."""
    return names.chosen(indices) if isinstance(names, LazyNames) else tuple(names[i] for i in indices)
