"""Tar files, TFRecord files and serialized Examples, written byte by byte as their formats say."""

import io
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

BLOCK = 512
END_OF_TAR = bytes(2 * BLOCK)
Value = bytes | int | list[int] | None


def png(*colour: int, size: tuple[int, int] = (4, 4)) -> bytes:
    """A PNG file of one colour."""
    content = io.BytesIO()
    Image.new("RGB", size, colour or (0, 0, 0)).save(content, "PNG")
    return content.getvalue()


def tar_header(
    name: bytes, size: int, *, kind: bytes = b"0", size_field: bytes | None = None, prefix: bytes = b""
) -> bytes:
    """A header of 512 bytes as POSIX.1-1988 has it."""
    field = size_field or b"%011o\0" % size
    before = name.ljust(100, b"\0") + b"0000644\0" * 3 + field + b"00000000000\0"
    after = kind + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + prefix.ljust(155, b"\0") + bytes(12)
    checksum = sum(before) + 8 * 32 + sum(after)
    return before + b"%06o\0 " % checksum + after


def tar_member(name: str | bytes, content: bytes = b"", **header: bytes) -> bytes:
    """A header, and the content up to a whole block."""
    encoded = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return tar_header(encoded, len(content), **header) + content + bytes(-len(content) % BLOCK)


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A whole tar of regular files."""
    return b"".join(tar_member(name, content) for name, content in files.items()) + END_OF_TAR


def samples(*pairs: tuple[str, int, bytes]) -> dict[str, bytes]:
    """The files of samples of WebDataset: (key, label, PNG)."""
    return {name: content for key, label, image in pairs for name, content in _sample(key, label, image)}


def _sample(key: str, label: int, image: bytes) -> Iterable[tuple[str, bytes]]:
    return (f"{key}.cls", b"%d" % label), (f"{key}.png", image)


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit of each but the last is set."""
    number &= (1 << 64) - 1
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*content, number])


def field(number: int, content: bytes) -> bytes:
    """A field of a message that holds bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(features: Mapping[str, Value], *, is_packed: bool = True) -> bytes:
    """A tf.train.Example: bytes, one or several whole numbers, or an empty Feature, by their keys."""
    return field(1, b"".join(_entry(key, value, is_packed=is_packed) for key, value in features.items()))


def _entry(key: str, value: Value, *, is_packed: bool) -> bytes:
    return field(1, field(1, key.encode()) + field(2, _feature(value, is_packed=is_packed)))


def _feature(value: Value, *, is_packed: bool) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes):
        return field(1, field(1, value))
    numbers = [varint(number) for number in (value if isinstance(value, list) else [value])]
    return field(3, field(1, b"".join(numbers)) if is_packed else b"".join(varint(1 << 3) + each for each in numbers))


def crc32c_by_bits(content: bytes) -> int:
    """CRC-32C a bit at a time, as its definition says."""
    state = 0xFFFFFFFF
    for byte in content:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def masked(checksum: int) -> bytes:
    """A checksum as records hold it."""
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(content: bytes) -> bytes:
    """A record of a TFRecord file."""
    length = struct.pack("<Q", len(content))
    return length + masked(crc32c_by_bits(length)) + content + masked(crc32c_by_bits(content))


def slim_records(*images: tuple[int, bytes], text: Mapping[int, str] | None = None) -> bytes:
    """Records of (label, image file) with the keys of TF-Slim, and the names of classes."""
    return b"".join(
        record(
            example(
                {"image/encoded": image, "image/class/label": label}
                | ({"image/class/text": text[label].encode()} if text else {})
            )
        )
        for label, image in images
    )


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The folder with those files in it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


# ---- data sets


COUNT = 12
IMAGES = [(i * 3 // COUNT, png(i, 99, 7, size=(5 + i, 6))) for i in range(COUNT)]  # of three classes, in their order
KINDS = ("wds", "tfrecord")


def shard(kind: str, images: list[tuple[int, bytes]], *, start: int = 0) -> dict[str, bytes]:
    """A shard of (label, image file), by a name without its first word."""
    if kind == "wds":
        return {"000.tar": tar_of(samples(*((f"{start + i:03d}", *each) for i, each in enumerate(images))))}
    return {"000.tfrecord": slim_records(*images)}


def written(root: Path, kind: str, *, shards: int = 1, images: list[tuple[int, bytes]] = IMAGES) -> Path:
    """A folder of shards with these images in their order."""
    size = -(-len(images) // shards)
    for number in range(shards):
        start = number * size
        for name, content in shard(kind, images[start : start + size], start=start).items():
            write(root, {f"s{number:04d}-{name}": content})
    return root


def folder_of(root: Path, images: list[tuple[int, bytes]] = IMAGES) -> Path:
    return write(root, {f"{label}/{i:03d}.png": image for i, (label, image) in enumerate(images)})
