"""Find the images that cannot be decoded to their last pixel, and copies of others, and drop them from sets of images.

Decoding every image takes long, so the result can be stored (`ImageFindings.to_json`) and used again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mbexport.errors import DataError, OptionError
from mbexport.models.data.imageset import ImageSet, reader_pool
from mbexport.models.data.lazy_names import LazyNames
from mbexport.models.data.names import shown
from mbexport.models.transparency import over_white

_AT_ONCE: Final = 256  # images waiting for a thread: more would only fill the memory
_DIGEST_BYTES: Final = 8  # two of a million different pictures are taken for one with a probability of 3e-8
_PART_PX: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFindings:
    """What a look at several sets found, a mapping a set, by the indices of images.

    `unreadable` has one line that says why, `copies` the index of the first image with the same pixels.
    """

    unreadable: tuple[Mapping[int, str], ...]
    copies: tuple[Mapping[int, int], ...]

    @classmethod
    def of(cls, looks: "Sequence[Look]") -> "ImageFindings":
        """The findings of a look at each set."""
        found = [look.findings() for look in looks]
        return cls(unreadable=tuple(bad for bad, _ in found), copies=tuple(copies for _, copies in found))

    @classmethod
    def none(cls, sets: int) -> "ImageFindings":
        """Nothing, in so many sets."""
        return cls(unreadable=({},) * sets, copies=({},) * sets)

    def to_json(self) -> bytes:
        """The same as a JSON list of objects, one a set."""
        pairs = zip(self.unreadable, self.copies, strict=True)
        return json.dumps(
            [
                {"unreadable": _with_text_keys(unreadable), "copies": _with_text_keys(copies)}
                for unreadable, copies in pairs
            ],
            indent=1,
        ).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "ImageFindings":
        """Read what `to_json` wrote."""
        parts = json.loads(text)
        return cls(
            unreadable=tuple({int(i): line for i, line in part["unreadable"].items()} for part in parts),
            copies=tuple({int(i): first for i, first in part["copies"].items()} for part in parts),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableSets:
    """The images that can be read, set by set, and the same without copies of others as `distinct`.

    `bad` has (name, reason) of the others, out of `checked` in all; `copies` for each set (name, name of the first).
    """

    sets: tuple[ImageSet, ...]
    distinct: tuple[ImageSet, ...]
    bad: tuple[tuple[str, str], ...]
    copies: tuple[tuple[tuple[str, str], ...], ...]
    checked: int


def find_unreadable(images: ImageSet) -> dict[int, str]:
    """The index of each image that cannot be decoded to its last pixel, and one line that says why."""
    return dict(look_at(images, range(len(images))).unreadable)


def check_images(sets: Sequence[ImageSet]) -> ImageFindings:
    """Decode every image of `sets` once, keep none, and list those that cannot be read, and those that are copies."""
    return ImageFindings.of([look_at(images, range(len(images))) for images in sets])


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at images found: the `unreadable` ones with the reason, and uint64 `digests` (n,) of the pictures.

    Of images that cannot be read the digest is 0.
    """

    unreadable: Mapping[int, str]
    digests: NDArray[np.uint64]

    def findings(self) -> tuple[Mapping[int, str], Mapping[int, int]]:
        """The unreadable images with the reason, and the copies with the index of the first of them."""
        readable = np.setdiff1d(np.arange(len(self.digests)), np.array(list(self.unreadable), np.int64))
        return self.unreadable, _copies(self.digests, readable)


def look_at(images: ImageSet, places: range) -> Look:
    """Decode the images at these places once; the places in the answer count from the first of them."""

    def look(index: int) -> str | int:
        try:
            return _digest(over_white(images.read(index)))
        except DataError as error:
            return shown(" ".join(str(error).split()))

    unreadable: dict[int, str] = {}
    digests = np.zeros(len(places), np.uint64)
    for start in range(0, len(places), _AT_ONCE):
        for index, found in enumerate(reader_pool().map(look, places[start : start + _AT_ONCE]), start):
            if isinstance(found, str):
                unreadable[index] = found
            else:
                digests[index] = found
    return Look(unreadable=unreadable, digests=digests)


def joined_looks(looks: Sequence[Look]) -> Look:
    """What looks at one part of the images after the other found, with the places in the whole."""
    starts = np.cumsum([0, *(len(look.digests) for look in looks)]).tolist()
    unreadable = {
        start + index: line
        for start, look in zip(starts, looks, strict=False)
        for index, line in look.unreadable.items()
    }
    return Look(unreadable=unreadable, digests=np.concatenate([look.digests for look in looks]))


def _digest(image: Image.Image) -> int:
    """A hash of a picture's size and pixels: how its file is written, and what else lies there, does not matter."""
    digest = sha256(f"{image.width} {image.height} {image.mode}".encode())
    rows = max(1, _PART_PX // image.width)  # a large picture is not in memory twice
    for top in range(0, image.height, rows):
        part = (0, top, image.width, min(top + rows, image.height))
        digest.update(image.crop(part).tobytes())
    return int.from_bytes(digest.digest()[:_DIGEST_BYTES], "little")


def _copies(digests: NDArray[np.uint64], readable: NDArray[np.int64]) -> dict[int, int]:
    """Of the `readable` images those whose digest another one before them has, with the index of the first."""
    _, first, inverse = np.unique(digests[readable], return_index=True, return_inverse=True)
    firsts = readable[first[inverse]]
    is_copy = firsts != readable
    return dict(zip(readable[is_copy].tolist(), firsts[is_copy].tolist(), strict=True))


def _with_text_keys(found: Mapping[int, object]) -> dict[str, object]:
    return {str(index): value for index, value in found.items()}


def drop_unreadable(sets: Sequence[ImageSet], *, max_bad: float, findings: ImageFindings | None = None) -> ReadableSets:
    """The sets without their unreadable images, by the `findings` of `check_images`, which is asked without them.

    Raises `DataError` if more than the fraction `max_bad` of all images is bad, if a class of a set has no image
    left, or if a set is empty; `OptionError` if `max_bad` is not in 0..1.
    """
    if not 0 <= max_bad <= 1:
        raise OptionError(f"--max-bad must be from 0 to 1, got {max_bad:g}")
    found = findings or check_images(sets)
    pairs = list(zip(sets, found.unreadable, strict=True))
    bad = tuple((images.names[i], part[i]) for images, part in pairs for i in sorted(part))
    checked = sum(map(len, sets))
    if bad and len(bad) / checked > max_bad:
        raise DataError(
            f"{len(bad)} of {checked} images ({len(bad) / checked:.2%}) cannot be read, "
            f"at most {max_bad:.2%} may be (--max-bad); first: {bad[0][1]}"
        )
    return ReadableSets(
        sets=tuple(_readable(images, part) for images, part in pairs),
        distinct=tuple(
            images.without({*part, *copies}) for (images, part), copies in zip(pairs, found.copies, strict=True)
        ),
        bad=bad,
        copies=tuple(
            tuple((images.names[i], images.names[copies[i]]) for i in sorted(copies))
            for images, copies in zip(sets, found.copies, strict=True)
        ),
        checked=checked,
    )


def parse_max_bad(text: str) -> float:
    """The fraction 0..1 that "1%", "1 %" or "0.01" means. Raises `OptionError` for anything else."""
    number = text.strip()
    percent = number.endswith("%")
    try:
        # In decimal: 0.07 / 100 as floats is not the float nearest to 0.0007, which 7 bad of 10,000 gives.
        fraction = float(Decimal(number.removesuffix("%").strip()) / (100 if percent else 1))
    except InvalidOperation:
        fraction = np.nan
    if not 0 <= fraction <= 1:
        raise OptionError(f"--max-bad must be from 0% to 100%, or from 0 to 1, got {text}")
    return fraction


def _readable(images: ImageSet, unreadable: Mapping[int, str]) -> ImageSet:
    if len(images) == 0:
        raise DataError("a set of images must hold at least one image, got none")
    kept = images.without(unreadable)
    gone = np.setdiff1d(images.labels, kept.labels)
    if len(gone):
        first = min(i for i in unreadable if images.labels[i] == gone[0])
        is_folder = not isinstance(images.names, LazyNames)  # those begin with a file of many classes
        folder = (images.names[first].rpartition("/")[0] if is_folder else "") or str(gone[0])
        raise DataError(f"class {folder} must hold an image that can be read, got none; first: {unreadable[first]}")
    return kept
