"""Recognize the parts of data that somebody has split: folders to train on, to choose on, and to test on.

Folders called `train`, `val`, `test` and the like, in any letter case, are parts as soon as two of them lie beside
each other; they are never classes. Any other folder is a class.
"""

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from mbexport.errors import DataError


class Part(StrEnum):
    """What the images of a part are for, in the order in which parts are read."""

    WHOLE = "whole"  # data that is not split
    TRAIN = "train"
    VALIDATION = "val"  # training may choose its best epoch on them
    TEST = "test"  # nothing is chosen on them


_NAMES: Final[Mapping[Part, str]] = {
    Part.TRAIN: "train|training",
    Part.VALIDATION: "val|valid|validation|dev",
    Part.TEST: "test|testing|eval|evaluation",
}
_SUFFIX: Final = r"([ _-]?(set|data|split|images))?"  # training_set, val-images
_FEWEST_PARTS: Final = 2  # one alone is a class


def part_of(name: str) -> Part | None:
    """The part of split data that a folder of that name is; None for any other name."""
    folded = name.casefold()
    return next((part for part, names in _NAMES.items() if re.fullmatch(f"({names}){_SUFFIX}", folded)), None)


def split_parts(root: Path, names: Collection[str]) -> dict[Part, str]:
    """The names of the folders in `root` that are parts, in the order of `Part`; empty where the data is not split.

    Raises `DataError` where two folders would be the same part.
    """
    found: dict[Part, list[str]] = {}
    for name in sorted(names):
        part = part_of(name)
        if part is not None:
            found.setdefault(part, []).append(name)
    if len(found) < _FEWEST_PARTS:
        return {}
    for alike in found.values():
        if len(alike) > 1:
            raise DataError(
                f"{root} must hold one folder for each part of the data, got {alike[0]}/ and {alike[1]}/: "
                "move one of them out"
            )
    return {part: found[part][0] for part in Part if part in found}
