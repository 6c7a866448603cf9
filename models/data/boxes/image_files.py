"""The image files of a data set of boxes: where each lies, found by its name, and read as a set of images."""

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.models.data.decode import read_image
from mbexport.models.data.imageset import ImageSet
from mbexport.models.data.kinds import ending_of, kind_by_ending
from mbexport.models.data.left_out import LeftOut, PassedOver
from mbexport.models.data.listing import DataFolder, bytes_hash
from mbexport.models.data.names import shown

_UNLABELLED: Final = "no annotation names it"


def without_ending(name: str) -> str:
    """A file's name without the ending of an image or an annotation; a dot may also be part of the name itself."""
    ending = ending_of(name)
    known = kind_by_ending(name) is not None or ending in (".xml", ".txt")
    return name[: -len(ending)] if known else name


class ImageFiles:
    """The images in some folders of the data: the i-th is called `names[i]`, from the data folder, with slashes."""

    def __init__(self, folder: DataFolder, folders: Iterable[Path], *, beside: Collection[str]) -> None:
        """List them; files whose ending is `beside` are annotations. Raises `DataError` as `list_images` does."""
        self._root = folder.root
        self.folders = tuple(sorted(set(folders)))
        numbered = dict(enumerate(self.folders))
        listing = folder.list_images(numbered, beside=beside)
        names: list[str] = []
        self._alike: dict[Path, dict[str, list[int]]] = {path: {} for path in self.folders}
        prefixes = [_prefix(path, folder.root) for path in self.folders]
        for label, listed in zip(listing.labels.tolist(), listing.names, strict=True):
            file = listed.rpartition("/")[2]
            self._alike[numbered[label]].setdefault(without_ending(file), []).append(len(names))
            names.append(prefixes[label] + file)
        self.names: Sequence[str] = tuple(names)
        self.fingerprint, self._left_out = listing.fingerprint, tuple(listing.left_out.values())
        self._numbers = {name: number for number, name in enumerate(names)}

    def number(self, folder: Path, file: str) -> int | None:
        """The number of the image of that name in one of the folders, or below it; None if there is none."""
        return self._numbers.get(_prefix(folder, self._root) + file)

    def alike(self, folder: Path) -> Mapping[str, Sequence[int]]:
        """The numbers of the images in one of the folders, by their names without an ending."""
        return self._alike[folder]

    def path(self, number: int) -> Path:
        """Where the image of that number lies."""
        return self._root / self.names[number]

    def images(self, numbers: NDArray[np.int64]) -> ImageSet:
        """The images of these numbers, opened when they are read."""
        return ImageSet(
            labels=np.zeros(len(numbers), np.int64),
            names=tuple(shown(self.names[number]) for number in numbers),
            read=lambda index: read_image(self.path(int(numbers[index]))),
            source=self.fingerprint,
        )

    def contents(self, numbers: NDArray[np.int64]) -> str:
        """The hash of names and bytes of these images, wherever the data folder lies. Reads every one of them."""
        digest = hashlib.sha256()
        for number in numbers:
            digest.update(os.fsencode(self.names[number]) + b"\0" + bytes_hash(self.path(int(number))))
        return digest.hexdigest()

    def left_out(self, used: Collection[int]) -> LeftOut:
        """What lies beside the images, and of these all that no annotation names."""
        unlabelled = (name for number, name in enumerate(self.names) if number not in used)
        found = LeftOut.of(PassedOver(name=shown(name), reason=_UNLABELLED, is_photo=True) for name in unlabelled)
        for left_out in self._left_out:
            found = found.and_of(left_out)
        return found


def _prefix(folder: Path, root: Path) -> str:
    place = folder.relative_to(root).as_posix()
    return "" if place == "." else f"{place}/"
