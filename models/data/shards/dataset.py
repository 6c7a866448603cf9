"""Open a folder of shards as labelled sets of images, each read at its place in its file.

Images come in the order of the shards' names, and within a shard in that of the file. They are found in any order at
the same cost, so that an epoch is shuffled as a whole, as that of a folder, and not shard by shard.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.decode import decode_image
from mbexport.models.data.imageset import DataSet, ImageSet, split_by_seed
from mbexport.models.data.lazy_names import LazyNames
from mbexport.models.data.left_out import LeftOut
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.names import shown
from mbexport.models.data.shards.classes import class_names
from mbexport.models.data.shards.files import OpenShard, Shard, Window, reader_of
from mbexport.models.data.shards.found import Found, ShardFormat
from mbexport.models.data.shards.index import ImageIndex
from mbexport.models.data.shards.survey import require_uncompressed, survey_shards
from mbexport.models.data.splits import Part

_EVALUATED: Final = (Part.TEST, Part.VALIDATION, Part.WHOLE)
_HEAD_BYTES: Final = 8


class ShardImages:
    """The images of one part of the data: listed when made, read when asked for, from any thread."""

    def __init__(self, form: ShardFormat, shards: Sequence[Shard], index: ImageIndex) -> None:
        self._form, self._shards, self._index = form, shards, index
        self._read = reader_of(shards)
        self._is_checked = np.zeros(len(index), np.bool_)  # a shard that is written to later is refused anyway

    def images(self) -> ImageSet:
        """The same as a set of images, whose names are made when they are asked for."""
        names = LazyNames(self.name, range(len(self._index)))
        return ImageSet(labels=self._index.labels, names=names, read=self._image, source=self.fingerprint())

    def name(self, place: int) -> str:
        """The name of the shard, and that of the image in it."""
        number = int(self._index.shard[place])
        shard = self._shards[number]
        window = Window(partial(self._read, number), path=shard.path, size_bytes=shard.version[0])
        return f"{shown(shard.name)}/{shown(self._form.name_of(window, self._index, place))}"

    def contents(self) -> str:
        """The hash of names, labels and image files, wherever the shards lie and whenever they were written."""
        digest = hashlib.sha256()
        for place, label in enumerate(self._index.labels):
            digest.update(f"{self.name(place)}\0{label}\0".encode() + self._hash(place))
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """The hash of what tells each shard from others; labels and images cannot change without it."""
        digest = hashlib.sha256()
        for shard in self._shards:
            digest.update(os.fsencode(f"{shard.name}\0{shard.identity}\n"))
        return digest.hexdigest()

    def _image(self, place: int) -> Image.Image:
        return decode_image(self._encoded(place), name=self._place(place))

    def _encoded(self, place: int) -> bytes:
        content, name = self._read(*self._index.place(place)), self._place(place)
        if not self._is_checked[place]:
            self._form.check(content, name)
            self._is_checked[place] = True
        return self._form.image(content, name)

    def _hash(self, place: int) -> bytes:
        """The hash of an image file: of nothing for one that is damaged, which a run may leave out (--max-bad)."""
        try:
            image = self._encoded(place)
        except DataError:
            self._read(*self._index.place(place))  # raises again if it is the shard that cannot be read
            image = b""
        return hashlib.sha256(image).digest()

    def _place(self, place: int) -> str:
        """What errors call an image: its shard and the byte at which it begins, which need no look into the file."""
        number, offset, _ = self._index.place(place)
        return f"{shown(str(self._shards[number].path))} at byte {offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """The parts of the data, the names of the classes, and what was not read."""

    parts: Mapping[Part, ShardImages]
    names: tuple[str, ...]
    left_out: LeftOut


def open_shards(form: ShardFormat, root: Path, classes_file: Path | None, *, follow_links: bool = False) -> DataSet:
    """The data set of the shards in `root`.

    With `follow_links` shards may be links to anywhere. Raises `DataError` if the folder or a shard cannot be used.
    """
    if not root.is_dir():
        raise DataError(f"--data {form.prefix}DIR must name a folder of {form.title}, got {root}")
    opened = _open(form, DataFolder(root=root, follow_links=follow_links), classes_file)
    evaluated = next(opened.parts[part] for part in _EVALUATED if part in opened.parts)
    has_test, has_validation = Part.TEST in opened.parts, Part.VALIDATION in opened.parts

    def split(seed: int) -> tuple[ImageSet, ImageSet]:
        if Part.WHOLE in opened.parts:
            return _split_by_seed(evaluated.images(), opened.names, root, seed)
        if Part.TRAIN not in opened.parts:
            raise DataError(f"{root} must hold shards to learn from or to calibrate on, called train, got none")
        return opened.parts[Part.TRAIN].images(), evaluated.images()

    return DataSet(
        name=f"{form.prefix}{shown(root.resolve().name)}",
        class_names=opened.names,
        fingerprint=_hash(opened, (part.fingerprint() for part in opened.parts.values())),
        is_photos=True,
        split=split,
        evaluation=lambda _seed: evaluated.images(),
        contents=lambda: _hash(opened, (part.contents() for part in opened.parts.values())),
        has_validation=has_validation,
        validation=opened.parts[Part.VALIDATION].images if has_validation and has_test else None,
        left_out=opened.left_out,
    )


def _open(form: ShardFormat, folder: DataFolder, classes_file: Path | None) -> _Opened:
    survey = survey_shards(folder, form)
    parts, labels, left_out = {}, [], LeftOut.of(sorted(survey.passed, key=lambda each: each.name))
    texts: dict[int, tuple[bytes, ...]] = {}
    for part, paths in survey.parts.items():
        found = Found(texts=texts)
        shards = [_listed(form, folder.root, path, number, found) for number, path in enumerate(paths)]
        index, passed = found.columns.finished(), found.passed.left_out()
        if not len(index):
            raise DataError(f"{paths[0]} must hold an image with a label, as {form.title} do, got {passed}")
        parts[part] = ShardImages(form, shards, index)
        labels.append(index.labels)
        left_out = left_out.and_of(passed)
    names = class_names(folder, classes_file, labels[0] if len(labels) == 1 else np.concatenate(labels), texts)
    return _Opened(parts=parts, names=names, left_out=left_out)


def _listed(form: ShardFormat, root: Path, path: Path, number: int, found: Found) -> Shard:
    """The shard at `path`, after its images have been added to those that were found."""
    opened = OpenShard(path)
    shard = Shard(path=path, name=path.relative_to(root).as_posix(), identity=opened.identity, version=opened.version)
    try:
        form.scan(Window(opened.read, path=path, size_bytes=opened.size_bytes), number, shard.name, found)
    except DataError:
        require_uncompressed(path, opened.read(0, _HEAD_BYTES))  # not before: a length, or a name, may begin alike
        raise
    return shard


def _split_by_seed(images: ImageSet, names: tuple[str, ...], root: Path, seed: int) -> tuple[ImageSet, ImageSet]:
    """A training and a test set. Raises `DataError` for a class with one image."""
    labels, counts = np.unique(images.labels, return_counts=True)
    if counts.min() < 2:
        lone = names[int(labels[counts.argmin()])]
        raise DataError(f"class {lone} must have at least 2 images to split off a test set, got 1 in {root}")
    return split_by_seed(images, seed)


def _hash(opened: _Opened, parts: Iterable[str]) -> str:
    """The hash of the classes, and of each part with what it is for."""
    lines = [f"{part}\0{digest}" for part, digest in zip(opened.parts, parts, strict=True)]
    return hashlib.sha256("\n".join([repr(opened.names), *lines]).encode()).hexdigest()
