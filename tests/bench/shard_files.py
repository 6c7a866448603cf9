"""The same image files as a folder of classes, as tar shards of WebDataset, and as TFRecord files."""

import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from mbexport.models.data.shards.crc32c import masked_crc32c

PER_SHARD: Final = 10_000
BLOCK: Final = 512
Image = Callable[[int], bytes]  # the content of the i-th image file


def write_folder(folder: Path, files: list[Path], count: int, classes: int) -> str:
    """`count` further names of `files` in `classes` sub-folders; a file has at most some ten thousand names."""
    for label in range(classes):
        (folder / f"{label:04d}").mkdir(parents=True)
    for i in range(count):
        (folder / f"{i * classes // count:04d}" / f"{i:08d}.jpg").hardlink_to(files[i % len(files)])
    return str(folder)


def write_tars(folder: Path, image: Image, count: int, classes: int) -> str:
    """Tar shards of samples, class by class as in a folder; returns what --data takes."""
    folder.mkdir()
    for number, places in _shards(count):
        with (folder / f"{number:05d}.tar").open("wb") as file:
            for i in places:
                file.write(_member(f"{i:08d}.cls", b"%d" % (i * classes // count)) + _member(f"{i:08d}.jpg", image(i)))
            file.write(bytes(2 * BLOCK))
    return f"wds:{folder}"


def write_records(folder: Path, image: Image, count: int, classes: int) -> str:
    """TFRecord files with the keys of TF-Slim; returns what --data takes."""
    folder.mkdir()
    for number, places in _shards(count):
        with (folder / f"images.tfrecord-{number:05d}-of-{-(-count // PER_SHARD):05d}").open("wb") as file:
            for i in places:
                file.write(_record(_example(image(i), i * classes // count)))
    return f"tfrecord:{folder}"


def _shards(count: int) -> Iterator[tuple[int, range]]:
    for number, start in enumerate(range(0, count, PER_SHARD)):
        yield number, range(start, min(start + PER_SHARD, count))


def _member(name: str, content: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % BLOCK)


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return b"".join(
        (length, struct.pack("<I", masked_crc32c(length)), content, struct.pack("<I", masked_crc32c(content)))
    )


def _example(image: bytes, label: int) -> bytes:
    entries = _entry(b"image/encoded", _field(1, _field(1, image)))
    entries += _entry(b"image/class/label", _field(3, _field(1, _varint(label))))
    return _field(1, entries)


def _entry(key: bytes, feature: bytes) -> bytes:
    return _field(1, _field(1, key) + _field(2, feature))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*content, number])
