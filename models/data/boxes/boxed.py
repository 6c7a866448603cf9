"""Images with the boxes of their objects: sets, and data sets, which are listed and not read."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbexport.models.data.boxes.problems import BoxProblems
from mbexport.models.data.imageset import ImageSet
from mbexport.models.data.left_out import LeftOut
from mbexport.models.data.splits import Part
from mbexport.models.detection.boxes import Boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedImages:
    """Images, whose labels are zeros, and the objects in each: `boxes[i]` are those of image i, as it is read.

    An image may have none: what is found in it is wrong.
    """

    images: ImageSet
    boxes: tuple[Boxes, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def subset(self, indices: NDArray[np.int64]) -> "BoxedImages":
        """The images at `indices`, in that order."""
        return BoxedImages(images=self.images.subset(indices), boxes=tuple(self.boxes[i] for i in indices))

    def without(self, indices: Collection[int]) -> "BoxedImages":
        """The images that are not at `indices`, in the same order."""
        if not indices:
            return self
        return self.subset(np.setdiff1d(np.arange(len(self)), np.array(list(indices), np.int64)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedData:
    """A data set of objects in images: its classes, and a fingerprint that any change of it changes.

    `split(seed)` returns the training and the test set, `validation()` the images that the user put aside for choosing
    between epochs, None without such ones, and `evaluation(seed)` those to verify an artifact on. `contents()` reads
    every image and returns a hash that does not depend on place and time of writing. `problems_of` has the
    boxes of each part that cannot be used, and are in no set; `left_out` is what else was not read. Images lie in
    `class_roots`.
    """

    name: str
    class_names: tuple[str, ...]
    fingerprint: str
    split: Callable[[int], tuple[BoxedImages, BoxedImages]]
    validation: Callable[[], BoxedImages | None]
    evaluation: Callable[[int], BoxedImages]
    contents: Callable[[], str]
    problems_of: Mapping[Part, BoxProblems]
    left_out: LeftOut = field(default_factory=LeftOut)
    class_roots: tuple[Path, ...] = ()

    @property
    def problems(self) -> BoxProblems:
        """Those of all parts."""
        return BoxProblems.joined(self.problems_of.values())
