"""Ways in which data sets go wrong: annotations of boxes, tar files, TFRecord files; the same for the same seed.

Sums that their formats keep are right again behind half of the changes, so that these are not all that is found.
"""

import random
import re
from typing import Final

import shards_by_hand as shards
from fuzz.mutations import bytes_changed, json_changed, text_changed

_SIZE_FIELD: Final = slice(124, 136)  # of a header of POSIX.1-1988
_SUM_FIELD: Final = slice(148, 156)
_KIND_FIELD: Final = 156
_VALUES: Final = (
    *("", "nan", "1e999", "-1", "0", "1e308", "9" * 400, "٣", "\x1b[2J", "../../x", "x" * 5_000, "&x;", "<a>", "]]>"),
    *("<a>" * 20_000, "<![CDATA[\x07]]>", "&#155;", "💥", "::error::"),
)
_DOCTYPE: Final = '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY y SYSTEM "file:///etc/hostname">]>'
_SIZES: Final = (b"\0" * 12, b"-0000000001\0", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"77777777777\0", b"00000000x1\0 ")


def xml_changed(content: bytes, rng: random.Random) -> bytes:
    """Another value in a place that has one, a tag less, a document type, another encoding, or bytes."""
    if rng.random() < 0.3:
        return bytes_changed(content, rng)
    text = content.decode()
    kind = rng.randrange(5)
    if kind == 0:
        return (_DOCTYPE + text).encode()
    if kind == 1:
        return text.encode(rng.choice(["utf-16", "utf-32", "utf-7"]))
    places = list(re.finditer(r"(?<=>)[^<]*(?=<)" if kind < 4 else r"</?[a-z]+>", text))
    place = rng.choice(places)
    return (text[: place.start()] + rng.choice(_VALUES) + text[place.end() :]).encode()


def lines_changed(content: bytes, rng: random.Random) -> bytes:
    """A word of a line that is another one, or what goes wrong with any text."""
    if rng.random() < 0.4:
        return text_changed(content, rng)
    words = content.decode().split(" ")
    words[rng.randrange(len(words))] = rng.choice(_VALUES)
    return " ".join(words).encode()


def tar_changed(content: bytes, rng: random.Random) -> bytes:
    """Another size, kind or name of a member, or bytes; the sum of its header may be right again."""
    if rng.random() < 0.3:
        return bytes_changed(content, rng)
    changed = bytearray(content)
    start = rng.randrange(len(content) // shards.BLOCK) * shards.BLOCK
    header = changed[start : start + shards.BLOCK]
    kind = rng.randrange(3)
    if kind == 0:
        header[_SIZE_FIELD] = rng.choice(_SIZES)
    elif kind == 1:
        header[_KIND_FIELD] = rng.randrange(256)
    else:
        name = rng.choice(_VALUES).encode()[:99]
        header[: len(name)] = name
    if rng.random() < 0.8:
        header[_SUM_FIELD] = b" " * 8
        header[_SUM_FIELD] = b"%06o\0 " % sum(header)
    changed[start : start + shards.BLOCK] = header
    return bytes(changed)


def records_changed(content: bytes, rng: random.Random) -> bytes:
    """A record whose message was changed, with right sums, or bytes."""
    if rng.random() < 0.4:
        return bytes_changed(content, rng)
    parts, at = [], 0
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 8], "little") + 4
        parts.append(content[at:end])
        at = end
    place = rng.randrange(len(parts))
    parts[place] = shards.record(bytes_changed(parts[place][12:-4], rng))
    return b"".join(parts)


# What is done to a file of a data set, by its ending.
BY_ENDING: Final = {
    ".xml": xml_changed,
    ".json": json_changed,
    ".txt": lines_changed,
    ".yaml": lines_changed,
    ".tar": tar_changed,
    ".tfrecord": records_changed,
    ".png": bytes_changed,
}
