"""List the members of a tar file by reading its headers alone, with the place of each member's content.

Read are ustar and pax (POSIX.1-2001, "pax Interchange Format") and GNU's long names and large sizes. The standard
library's reader takes three times as long, and a data set of a million images has two or three million members.
Anybody may have made the file: sizes and names are checked before they are used.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from mbexport.errors import DataError
from mbexport.models.data.names import shown
from mbexport.models.data.shards.files import Window

BLOCK_BYTES: Final = 512
_MOST_EXTENDED_BYTES: Final = 1 << 20  # of a long name, or of a pax header
_MOST_LEAD_BLOCKS: Final = 1 << 14  # of all headers of one member
_REGULAR: Final = frozenset(b"\x0007")  # NUL of before POSIX, a file, and a contiguous one, which is one, too
_LINKS: Final = frozenset(b"12")
_WITHOUT_CONTENT: Final = frozenset(b"123456")
_FOLDER, _GNU_SPARSE, _GNU_NAME, _GNU_LINK, _PAX, _PAX_OF_ALL = b"5SLKxg"
_NUMBER: Final = frozenset(b"01234567")


class Member(NamedTuple):
    """A member of a tar file: `offset` and `size_bytes` are those of its content.

    `lead_blocks` are the blocks of 512 bytes from its first header to its content.
    """

    name: str
    offset: int
    size_bytes: int
    lead_blocks: int
    kind: int

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file: before POSIX a folder was one whose name ends in a slash."""
        return self.kind in _REGULAR and not self.name.endswith("/")

    @property
    def is_link(self) -> bool:
        """Whether it is a hard or a symbolic link."""
        return self.kind in _LINKS


def members(window: Window) -> Iterator[Member]:
    """All members of a tar file, in its order. Raises `DataError` for a file that is no whole tar."""
    at = 0
    while True:
        member = member_at(window, at)
        if member is None:
            return
        yield member
        at = member.offset + -(-member.size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def member_at(window: Window, start: int) -> Member | None:
    """The member whose first header is at `start`; None for the empty block that ends a tar."""
    at, name, size_bytes = start, "", -1
    while True:
        header = window.at(at, BLOCK_BYTES)
        if len(header) < BLOCK_BYTES or at - start > _MOST_LEAD_BLOCKS * BLOCK_BYTES:
            wanted = (
                "the empty block that ends a tar" if len(header) < BLOCK_BYTES else "a member behind all its headers"
            )
            raise _damaged(window, at, wanted)
        kind = header[156]
        stated = _number(header[124:136])
        if stated is None or not _is_header(header):
            if not any(header) and at == start:
                return None
            raise _damaged(window, at, "a header with a right checksum")
        at += BLOCK_BYTES
        if kind not in (_GNU_NAME, _GNU_LINK, _PAX, _PAX_OF_ALL):
            break
        extended = _extended(window, at, stated)
        if kind == _GNU_NAME:
            name = _text(extended.partition(b"\0")[0])
        elif kind == _PAX:
            found = _records(extended, window, at)
            name, size_bytes = found.get("path", name), _size_of(found, window, at, size_bytes)
        at += -(-stated // BLOCK_BYTES) * BLOCK_BYTES
    member = Member(
        name=(name or _name(header)).removeprefix("./"),
        offset=at,
        size_bytes=0 if kind in _WITHOUT_CONTENT else stated if size_bytes < 0 else size_bytes,
        lead_blocks=(at - start) // BLOCK_BYTES,
        kind=kind,
    )
    if kind == _GNU_SPARSE:
        raise _sparse(window, member.name)
    if member.offset + member.size_bytes > window.size_bytes:
        raise _damaged(window, at, f"{member.size_bytes} bytes of {shown(member.name)}")
    return member


def _is_header(header: bytes) -> bool:
    """Whether the checksum is right: that of all bytes, its own ones counted as blanks."""
    stated = _number(header[148:156])
    return stated is not None and sum(header) - sum(header[148:156]) + 8 * ord(" ") == stated


def _number(field: bytes) -> int | None:
    """A number in octal digits, or in binary behind a first bit that is set (GNU); None for anything else."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.partition(b"\0")[0].strip()
    return int(digits, 8) if _NUMBER.issuperset(digits) and digits else None if digits else 0


def _name(header: bytes) -> str:
    name, prefix = header[:100].partition(b"\0")[0], header[345:500].partition(b"\0")[0]
    is_posix = header[257:263] == b"ustar\0"  # GNU's own headers have times at the place of the prefix
    return _text(prefix + b"/" + name if prefix and is_posix else name)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _extended(window: Window, at: int, size_bytes: int) -> bytes:
    """The content of a header of a long name, or of pax. Raises `DataError` for one of more than a megabyte."""
    content = window.at(at, size_bytes) if size_bytes <= _MOST_EXTENDED_BYTES else b""
    if len(content) < size_bytes:
        raise _damaged(window, at, f"an extended header of {size_bytes} bytes, of at most {_MOST_EXTENDED_BYTES}")
    return content


def _records(content: bytes, window: Window, at: int) -> dict[str, str]:
    """The records of a pax header: each is its own length in digits, a blank, a key, =, a value, and a new line."""
    found: dict[str, str] = {}
    start, end = 0, len(content.rstrip(b"\0"))
    while start < end:
        digits = content[start : start + 8].partition(b" ")[0]
        size_bytes = int(digits) if digits.isdigit() else 0
        key, equals, value = content[start + len(digits) + 1 : start + size_bytes].partition(b"=")
        if not (equals and value.endswith(b"\n") and start + size_bytes <= end):
            raise _damaged(window, at, "a pax header of records such as `12 size=345`")
        found[_text(key)] = _text(value[:-1])
        start += size_bytes
    if any(key.startswith("GNU.sparse.") for key in found):
        raise _sparse(window, found.get("GNU.sparse.name", "one"))
    return found


def _size_of(found: dict[str, str], window: Window, at: int, otherwise: int) -> int:
    size = found.get("size")
    if size is None:
        return otherwise
    if not (size.isascii() and size.isdigit() and len(size) <= 18):
        raise _damaged(window, at, "a size in digits")
    return int(size)


def _sparse(window: Window, name: str) -> DataError:
    return DataError(f"{window.path} must hold whole files, got {shown(name)}, a sparse one: its holes are left out")


def _damaged(window: Window, at: int, wanted: str) -> DataError:
    return DataError(f"{window.path} is damaged, or no tar: at byte {at} it must have {wanted}")
