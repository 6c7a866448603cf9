"""Where images lie in shards, as columns of numbers: some twenty bytes an image, and no Python object for it."""

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageIndex:
    """Of each image the number of its shard, where its content begins and how long it is, and its label.

    `lead` is where the content's description begins, in units of the format before `offset`. All have shape (n,).
    """

    shard: NDArray[np.uint32]
    offset: NDArray[np.uint64]
    length: NDArray[np.uint32]
    lead: NDArray[np.uint16]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def place(self, index: int) -> tuple[int, int, int]:
        """The shard's number, the offset and the length of an image."""
        return int(self.shard[index]), int(self.offset[index]), int(self.length[index])

    def number_in_shard(self, index: int) -> int:
        """How many images of its shard lie before an image; the shards' numbers ascend."""
        return int(index - np.searchsorted(self.shard, self.shard[index]))


@dataclass(slots=True)
class Columns:
    """An index that grows: its numbers lie in arrays, which an `ImageIndex` then looks at without a copy."""

    shard: "array[int]" = field(default_factory=lambda: array("I"))
    offset: "array[int]" = field(default_factory=lambda: array("Q"))
    length: "array[int]" = field(default_factory=lambda: array("I"))
    lead: "array[int]" = field(default_factory=lambda: array("H"))
    labels: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, *, shard: int, offset: int, length: int, label: int, lead: int = 0) -> None:
        """Adds an image."""
        self.shard.append(shard)
        self.offset.append(offset)
        self.length.append(length)
        self.lead.append(lead)
        self.labels.append(label)

    def finished(self) -> ImageIndex:
        """The index; nothing may be added any more."""
        return ImageIndex(
            shard=np.frombuffer(self.shard, np.uint32),
            offset=np.frombuffer(self.offset, np.uint64),
            length=np.frombuffer(self.length, np.uint32),
            lead=np.frombuffer(self.lead, np.uint16),
            labels=np.frombuffer(self.labels, np.int64),
        )
