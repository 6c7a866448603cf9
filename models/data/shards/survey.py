"""Find the shards in a data folder, and the part of the data that each of them belongs to.

Shards lie in the folder itself, and in its sub-folders that are parts (`train/`, `val/`). In the folder itself a word
of a shard's name says its part: `train-00000-of-01024`, `imagenet-val-000003.tar`; the last such word counts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.models.data.left_out import PassedOver
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.names import shown
from mbexport.models.data.shards.classes import CLASSES_FILES
from mbexport.models.data.shards.found import ShardFormat
from mbexport.models.data.splits import Part, part_of

_COMPRESSED_TARS: Final = (".tgz", ".tbz2", ".txz", ".tzst")
_COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", *_COMPRESSED_TARS)
_MAGICS: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")
_WORD: Final = re.compile(r"[^\W\d_]+")
_NO_SHARD: Final = "it is no shard"
_NO_PART: Final = "its folder is no part of the split data"
_FEWEST_PARTS: Final = 2  # one alone is the whole data


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSurvey:
    """The paths of the shards of each part, in the order of their names from the folder, and what lies beside them."""

    parts: Mapping[Part, tuple[Path, ...]]
    passed: tuple[PassedOver, ...]


def survey_shards(folder: DataFolder, form: ShardFormat) -> ShardSurvey:
    """The shards in `folder`.

    Raises `DataError` where there is none, where one is compressed or leads out of the folder, and where some belong to
    a part and others to none.
    """
    found: dict[Part, list[Path]] = {}
    passed: list[PassedOver] = []
    survey = folder.survey(folder.root, with_files=False)
    for name in sorted(survey.names):
        part = part_of(name)
        shards = [] if part is None else _shards_in(folder, folder.root / name, form, passed)
        if part is None or not shards:
            passed.append(folder.passed_folder(folder.root / name, _NO_PART))
        else:
            found.setdefault(part, []).extend(shards)
    for path in _shards_in(folder, folder.root, form, passed):
        found.setdefault(part_of_shard(path.name), []).append(path)
    if not found:
        raise DataError(f"{folder.root} must hold {form.title}, in itself or in train/ and val/, got none")
    if Part.WHOLE in found and len(found) > 1:
        lone = found[Part.WHOLE][0]
        raise DataError(
            f"{folder.root} must hold shards whose names all say their part, such as train-000 and val-000, or none: "
            f"got {shown(lone.name)} beside {shown(min(found.items())[1][0].name)}"
        )
    parts = {part: tuple(sorted(found[part], key=str)) for part in Part if part in found}
    is_split = len(parts) >= _FEWEST_PARTS
    return ShardSurvey(parts=parts if is_split else {Part.WHOLE: next(iter(parts.values()))}, passed=tuple(passed))


def require_uncompressed(path: Path, head: bytes = b"") -> None:
    """Raise `DataError` for a shard that is compressed, by its name or its first bytes: nothing in it can be found."""
    if path.name.lower().endswith(_COMPRESSED) or head.startswith(_MAGICS):
        raise DataError(f"{path} is compressed, and images are read from its middle: decompress it first")


def _shards_in(folder: DataFolder, place: Path, form: ShardFormat, passed: list[PassedOver]) -> list[Path]:
    """The shards in `place`; its other files are added to what is passed over."""
    shards = []
    for path in _files_in(place):
        if _is_shard(path, form):
            require_uncompressed(path)
            folder.admit(path)
            shards.append(path)
        elif path.name not in CLASSES_FILES:
            passed.append(PassedOver(name=shown(path.relative_to(folder.root).as_posix()), reason=_NO_SHARD))
    return shards


def _files_in(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if not path.is_dir())
    except OSError as error:
        raise DataError(f"{place} cannot be listed: {error.strerror}") from None


def _is_shard(path: Path, form: ShardFormat) -> bool:
    if path.name.startswith("."):
        return False
    name = path.name.lower()
    plain = path.with_suffix("").name if name.endswith(_COMPRESSED) else path.name
    return form.is_shard(path.name) or form.is_shard(plain) or name.endswith(_COMPRESSED_TARS)


def part_of_shard(name: str) -> Part:
    """The part that the last word of a shard's name that is one says; the whole data without one."""
    parts = [part for part in map(part_of, _WORD.findall(name)) if part is not None]
    return parts[-1] if parts else Part.WHOLE
