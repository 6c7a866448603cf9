"""Find the images that cannot be decoded to their last pixel, and drop them from sets of images.

Decoding every image takes long, so the result can be stored (`UnreadableImages.to_json`) and used again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

import numpy as np

from mbexport.errors import DataError, OptionError
from mbexport.models.data.imageset import ImageSet, reader_pool

_AT_ONCE: Final = 256  # images waiting for a thread: more would only fill the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableImages:
    """The unreadable images of several sets: for each set, their indices with one line that says why."""

    unreadable: tuple[Mapping[int, str], ...]

    def to_json(self) -> bytes:
        """The same as a JSON list of objects, one a set."""
        return json.dumps([{str(i): line for i, line in part.items()} for part in self.unreadable], indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "UnreadableImages":
        """Read what `to_json` wrote."""
        return cls(unreadable=tuple({int(i): line for i, line in part.items()} for part in json.loads(text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableSets:
    """The images that can be read, set by set; `bad` has (name, reason) of the others, out of `checked` in all."""

    sets: tuple[ImageSet, ...]
    bad: tuple[tuple[str, str], ...]
    checked: int


def find_unreadable(images: ImageSet) -> dict[int, str]:
    """The index of each image that cannot be decoded to its last pixel, and one line that says why."""

    def reason(index: int) -> str | None:
        try:
            images.read(index)
        except DataError as error:
            return " ".join(str(error).split())
        return None

    found: dict[int, str] = {}
    for start in range(0, len(images), _AT_ONCE):
        indices = range(start, min(start + _AT_ONCE, len(images)))
        lines = zip(indices, reader_pool().map(reason, indices), strict=True)
        found |= {index: line for index, line in lines if line is not None}
    return found


def check_images(sets: Sequence[ImageSet]) -> UnreadableImages:
    """Decode every image of `sets` once, keep none, and list those that cannot be read."""
    return UnreadableImages(unreadable=tuple(find_unreadable(images) for images in sets))


def drop_unreadable(
    sets: Sequence[ImageSet], *, max_bad: float, unreadable: UnreadableImages | None = None
) -> ReadableSets:
    """The sets without their `unreadable` images, which `check_images` finds if they are not given.

    Raises `DataError` if more than the fraction `max_bad` of all images is bad, if a class of a set has no image
    left, or if a set is empty; `OptionError` if `max_bad` is not in 0..1.
    """
    if not 0 <= max_bad <= 1:
        raise OptionError(f"--max-bad must be from 0 to 1, got {max_bad:g}")
    found = (unreadable or check_images(sets)).unreadable
    pairs = list(zip(sets, found, strict=True))
    bad = tuple((images.names[i], part[i]) for images, part in pairs for i in sorted(part))
    checked = sum(map(len, sets))
    if bad and len(bad) / checked > max_bad:
        raise DataError(
            f"{len(bad)} of {checked} images ({len(bad) / checked:.2%}) cannot be read, "
            f"at most {max_bad:.2%} may be (--max-bad); first: {bad[0][1]}"
        )
    return ReadableSets(sets=tuple(_readable(images, part) for images, part in pairs), bad=bad, checked=checked)


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
        folder = images.names[first].rpartition("/")[0] or str(gone[0])
        raise DataError(f"class {folder} must hold an image that can be read, got none; first: {unreadable[first]}")
    return kept
