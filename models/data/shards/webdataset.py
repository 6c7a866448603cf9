"""Samples of WebDataset in a tar file: members of one name up to the first dot, an image and its label among them.

The conventions are those of the library `webdataset` (`tariterators.py`, `autodecode.py`): the key of a sample is a
member's path up to the first dot of its last part, what follows says what the member holds, in any letter case, and
`.cls` is a whole number in decimal digits. Members of a sample lie side by side; where others lie between, as in a tar
of an unsorted folder, they are put together as well. Members called `__meta__` and links are no part of a sample.
"""

import re
from typing import Final

from mbexport.errors import DataError
from mbexport.models.data.decode import MOST_BYTES
from mbexport.models.data.kinds import DECODERS, kind_by_ending, kind_of
from mbexport.models.data.left_out import PassedOver
from mbexport.models.data.names import shown
from mbexport.models.data.prefixes import WEBDATASET_PREFIX
from mbexport.models.data.shards.files import Window
from mbexport.models.data.shards.found import Found, ShardFormat
from mbexport.models.data.shards.index import ImageIndex
from mbexport.models.data.shards.tar import BLOCK_BYTES, Member, member_at, members

_KEY: Final = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)
_META: Final = re.compile(r"__[^/]*__($|/)")
_LABEL: Final = ".cls"
_NUMBER: Final = re.compile(rb"\s*[+-]?\d{1,18}\s*")
_MOST_LABEL_BYTES: Final = 64
_HEAD_BYTES: Final = 64
_NO_KEY: Final = "it has no name of a key, a dot and an ending"
_NO_LABEL: Final = "its sample has no label in a .cls file"
_NO_IMAGE: Final = "its sample has no image"
_NO_PART: Final = "it is neither the image nor the label of its sample"
_LINK: Final = "it is a link"


def scan(window: Window, number: int, name: str, found: Found) -> None:
    """Add the images of a tar shard that have labels to `found`, and all its other files to what was passed over.

    Raises `DataError` for a damaged tar, a label that is no number, and a sample with two images or labels.
    """
    grouping = _Grouping(window, number, name, found)
    for member in members(window):
        matched = _KEY.fullmatch(member.name)
        if not member.is_file or _META.match(member.name):
            if member.is_link:
                grouping.passed(member, _LINK)
        elif matched is None:
            grouping.passed(member, _NO_KEY)
        else:
            grouping.add(matched[1], member)
    grouping.end()


class _Grouping:
    """The members of one shard, put together as samples. Few wait for others where those of a sample lie together."""

    def __init__(self, window: Window, number: int, name: str, found: Found) -> None:
        self._window, self._number, self._name, self._found = window, number, name, found
        self._key, self._sample = "", list[Member]()
        self._waiting: dict[str, list[Member]] = {}

    def add(self, key: str, member: Member) -> None:
        """Add a member of the sample of that key."""
        if key != self._key:
            self._close()
            self._key, self._sample = key, self._waiting.pop(key, [])
        self._sample.append(member)

    def end(self) -> None:
        """Take the last sample, and pass over all that never became whole."""
        self._close()
        for sample in self._waiting.values():
            reason = _NO_IMAGE if any(map(_is_label, sample)) else _NO_LABEL
            for member in sample:
                self.passed(member, reason)

    def passed(self, member: Member, reason: str) -> None:
        """Note a member that is not read; a photo is not missed where its sample has another one."""
        is_photo = kind_by_ending(member.name) is not None and reason != _NO_PART
        self._found.passed.add(PassedOver(name=shown(f"{self._name}/{member.name}"), reason=reason, is_photo=is_photo))

    def _close(self) -> None:
        """Take the sample as far as it has come: into the index if it is whole, else to those that wait."""
        label = _only([member for member in self._sample if _is_label(member)], self._window)
        image = None if label is None else _image(self._sample, self._window)
        if label is None or image is None:
            if self._sample:
                self._waiting[self._key] = self._sample
            return
        self._found.columns.add(
            shard=self._number,
            offset=image.offset,
            length=_checked_size(image, self._window),
            label=_number(label, self._window),
            lead=image.lead_blocks,
        )
        for member in self._sample:
            if member is not image and member is not label:
                self.passed(member, _NO_PART)


def _checked_size(image: Member, window: Window) -> int:
    if image.size_bytes > MOST_BYTES:
        raise DataError(f"{window.path}: {shown(image.name)} is too large to decode safely: {image.size_bytes} bytes")
    return image.size_bytes


def _image(sample: list[Member], window: Window) -> Member | None:
    """The image of a sample: by its ending, else by its first bytes."""
    named = [member for member in sample if kind_by_ending(member.name) in DECODERS]
    return (
        _only(named, window)
        if named
        else _only([member for member in sample if _begins_as_image(member, window)], window)
    )


def _begins_as_image(member: Member, window: Window) -> bool:
    head = window.at(member.offset, min(_HEAD_BYTES, member.size_bytes))
    return not _is_label(member) and kind_by_ending(member.name) is None and kind_of(head) in DECODERS


def _only(alike: list[Member], window: Window) -> Member | None:
    """The one member of a kind, None without one: `dog.jpg` rather than `dog.mask.jpg`. Raises `DataError` for two."""
    if len(alike) > 1:
        plain = [member for member in alike if member.name.rpartition("/")[2].count(".") == 1]
        if len(plain) != 1:
            names = " and ".join(shown(member.name) for member in alike[:2])
            raise DataError(f"{window.path} must hold one image and one label a sample, got {names}")
        return plain[0]
    return alike[0] if alike else None


def _is_label(member: Member) -> bool:
    return member.name[-len(_LABEL) :].lower() == _LABEL


def _number(label: Member, window: Window) -> int:
    text = window.at(label.offset, min(label.size_bytes, _MOST_LABEL_BYTES + 1))
    if len(text) > _MOST_LABEL_BYTES or not _NUMBER.fullmatch(text):
        raise DataError(f"{window.path}: {shown(label.name)} must hold a label as a whole number, got {text!r}")
    return int(text)


def _nothing_to_check(_content: bytes, _name: str) -> None:
    """A tar has checksums of its headers alone, and those are looked at when it is listed."""


def _image_itself(content: bytes, _name: str) -> bytes:
    return content


def _name_of(window: Window, index: ImageIndex, place: int) -> str:
    """The path of the image in its tar, from the headers in front of it."""
    start = int(index.offset[place]) - int(index.lead[place]) * BLOCK_BYTES
    member = member_at(window, start)
    if member is None:
        raise DataError(f"{window.path} must stay as it is during a run: it has changed since it was listed")
    return member.name


WEBDATASET: Final = ShardFormat(
    prefix=WEBDATASET_PREFIX,
    title=".tar files of WebDataset",
    is_shard=lambda name: name.lower().endswith(".tar"),
    scan=scan,
    check=_nothing_to_check,
    image=_image_itself,
    name_of=_name_of,
)
