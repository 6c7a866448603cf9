"""Images in TFRecord files of `tf.train.Example`.

A record is its length in 8 bytes, the checksum of these, its content, and the checksum of that, all little-endian
(tensorflow/core/lib/io/record_writer.h). The checksums of lengths are looked at when files are listed, those of
contents when an image is read for the first time.

The image and its label have the keys of TF-Slim and the TensorFlow Model Garden, `image/encoded` and
`image/class/label` with the class's name as `image/class/text` (slim/datasets/dataset_utils.py), or those of TensorFlow
Datasets, `image` and `label`.
"""

import re
import struct
from typing import Final

from mbexport.errors import DataError
from mbexport.models.data.decode import MOST_BYTES
from mbexport.models.data.names import shown
from mbexport.models.data.prefixes import TFRECORD_PREFIX
from mbexport.models.data.shards.crc32c import masked_crc32c, masked_crc32c_of_length
from mbexport.models.data.shards.example import Span, bytes_of, features, integers_of
from mbexport.models.data.shards.files import Window
from mbexport.models.data.shards.found import Found, ShardFormat
from mbexport.models.data.shards.index import ImageIndex

_HEAD_BYTES: Final = 12
_CHECKSUM_BYTES: Final = 4
_LENGTH_BYTES: Final = 8
_IMAGES: Final = (b"image/encoded", b"image")  # the first that is there
_LABELS: Final = (b"image/class/label", b"label")
_TEXT: Final = b"image/class/text"
_MOST_TEXT_BYTES: Final = 4096
_MOST_TEXTS: Final = 1 << 17
_MOST_KEYS_SHOWN: Final = 8
_NUMBERED: Final = re.compile(r"-\d+-of-\d+$")
_ENDINGS: Final = (".tfrecord", ".tfrecords", ".tfrec")


def is_tfrecord(name: str) -> bool:
    """Whether files are called so: `a.tfrecord`, `a.tfrecord-00000-of-00010`, `train-00000-of-01024`."""
    plain = _NUMBERED.sub("", name)
    return plain.lower().endswith(_ENDINGS) or (plain != name and "." not in plain)


def scan(window: Window, number: int, _name: str, found: Found) -> None:
    """Add the records of a TFRecord shard to `found`.

    Raises `DataError` for a damaged file, and for a record that has no image or no label.
    """
    at, record = 0, 0
    while at < window.size_bytes:
        length = _length(window, at)
        start = at + _HEAD_BYTES
        at = start + length + _CHECKSUM_BYTES
        try:
            _add_record(window, number, found, start, length)
        except ValueError as error:
            raise DataError(
                f"{window.path} must hold records of tf.train.Example, got record {record}: {error}"
            ) from None
        record += 1


def _length(window: Window, at: int) -> int:
    """The length of the record that begins at a byte. Raises `DataError` for one that is damaged."""
    head = window.at(at, _HEAD_BYTES)
    if len(head) == _HEAD_BYTES and masked_crc32c_of_length(head[:_LENGTH_BYTES]) == _unsigned(head[_LENGTH_BYTES:]):
        length = int.from_bytes(head[:_LENGTH_BYTES], "little")
        if at + _HEAD_BYTES + length + _CHECKSUM_BYTES <= window.size_bytes:
            if length > MOST_BYTES:
                raise DataError(f"{window.path} is too large to read safely: a record of {length} bytes at byte {at}")
            return length
    raise DataError(f"{window.path} is damaged, or no TFRecord file: at byte {at} it must have a whole record")


def _add_record(window: Window, number: int, found: Found, start: int, length: int) -> None:
    spans = dict(features(window.at, start, start + length))
    image, label_span = (next((spans[key] for key in keys if key in spans), None) for keys in (_IMAGES, _LABELS))
    labels = integers_of(window.at, label_span) if label_span else []
    if image is None or bytes_of(window.at, image) is None or len(labels) != 1:
        raise ValueError(_unusable(spans, labels))
    if _TEXT in spans:
        _note_text(window, labels[0], spans[_TEXT], found.texts)
    found.columns.add(shard=number, offset=start, length=length + _CHECKSUM_BYTES, label=labels[0])


def _note_text(window: Window, label: int, span: Span, texts: dict[int, tuple[bytes, ...]]) -> None:
    """Note what the label is called, and another name that it has beside the first."""
    place = bytes_of(window.at, span) or (0, 0)
    text = window.at(place[0], min(place[1] - place[0], _MOST_TEXT_BYTES))
    known = texts.get(label, ())
    if text and text not in known and len(known) < 2 and len(texts) < _MOST_TEXTS:
        texts[label] = (*known, text)


def _unusable(spans: dict[bytes, Span], labels: list[int]) -> str:
    if len(labels) > 1:
        return f"it has {len(labels)} labels, where one is legal"
    keys = ", ".join(shown(key.decode("utf-8", "surrogateescape")) for key in sorted(spans)[:_MOST_KEYS_SHOWN])
    return (
        "an image (image/encoded or image, bytes) and a label (image/class/label or label, int64) are needed, "
        f"and it has {keys or 'no feature'}"
    )


def _unsigned(content: bytes) -> int:
    return int(struct.unpack("<I", content)[0])


def check(content: bytes, name: str) -> None:
    """Raise `DataError` for a record that has another checksum than the one behind it."""
    if masked_crc32c(content[:-_CHECKSUM_BYTES]) != _unsigned(content[-_CHECKSUM_BYTES:]):
        raise DataError(f"{name} is damaged: its record has another checksum than it should")


def image_of(content: bytes, name: str) -> bytes:
    """The image file in a record that is followed by its checksum. Raises `DataError` for what is no Example."""
    held = memoryview(content)

    def at(offset: int, size_bytes: int) -> bytes:
        return bytes(held[offset : offset + size_bytes])

    try:
        spans = dict(features(at, 0, len(content) - _CHECKSUM_BYTES))
        span = next((bytes_of(at, spans[key]) for key in _IMAGES if key in spans), None)
    except ValueError as error:
        raise DataError(f"{name} is damaged: {error}") from None
    return at(span[0], span[1] - span[0]) if span else b""


def _name_of(_window: Window, index: ImageIndex, place: int) -> str:
    return str(index.number_in_shard(place))


TFRECORD: Final = ShardFormat(
    prefix=TFRECORD_PREFIX,
    title="TFRecord files",
    is_shard=is_tfrecord,
    scan=scan,
    check=check,
    image=image_of,
    name_of=_name_of,
)
