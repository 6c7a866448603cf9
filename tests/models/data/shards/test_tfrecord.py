"""TFRecord files: records by hand, what is refused, and that no cut or flipped bit goes unnoticed."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards_by_hand import crc32c_by_bits, example, masked, record, slim_records

from mbexport.errors import DataError
from mbexport.models.data.shards.files import Window
from mbexport.models.data.shards.found import Found
from mbexport.models.data.shards.tfrecord import TFRECORD, check, image_of, is_tfrecord, scan

LABELS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=200)), min_size=1, max_size=4)


def scanned(content: bytes) -> Found:
    found = Found()
    window = Window(lambda offset, size: content[offset : offset + size], path=Path("a"), size_bytes=len(content))
    scan(window, 0, "a", found)
    return found


def images(content: bytes) -> list[tuple[int, bytes]]:
    index = scanned(content).columns.finished()
    places = [index.place(i) for i in range(len(index))]
    parts = [content[offset : offset + length] for _, offset, length in places]
    for part in parts:
        check(part, "a")
    return [(int(label), image_of(part, "a")) for label, part in zip(index.labels, parts, strict=True)]


def refused(content: bytes) -> str:
    with pytest.raises(DataError) as caught:
        images(content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_record_by_hand() -> None:
    # Example, Features, an entry a feature: "image" is the bytes "abc", "label" the number 300.
    image, label = "0a05696d61676512070a050a03616263", "0a056c6162656c12061a040a02ac02"
    content = bytes.fromhex("0a230a10" + image + "0a0f" + label)
    assert (len(content), content) == (37, example({"image": b"abc", "label": 300}))
    assert images(record(content)) == [(300, b"abc")]


@given(LABELS)
def test_labels_and_images_come_back(pairs: list[tuple[int, bytes]]) -> None:
    assert images(slim_records(*pairs)) == pairs


@given(LABELS, st.data())
def test_cut_between_records_a_file_is_shorter_and_cut_elsewhere_it_is_refused(
    pairs: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    parts = [slim_records(pair) for pair in pairs]
    ends = {sum(map(len, parts[:count])): count for count in range(len(parts) + 1)}
    cut = data.draw(st.integers(0, max(ends)))
    content = b"".join(parts)[:cut]
    if cut in ends:
        assert images(content) == pairs[: ends[cut]]
    else:
        assert "at byte" in refused(content)


@given(LABELS, st.data())
def test_no_flipped_bit_goes_unnoticed(pairs: list[tuple[int, bytes]], data: st.DataObject) -> None:
    content = bytearray(slim_records(*pairs))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    refused(bytes(content))


@pytest.mark.parametrize(
    "features",
    [
        {"image/encoded": b"abc", "image/class/label": 5},  # TF-Slim, Model Garden
        {"label": 5, "image": b"abc", "file_name": b"a.jpg"},  # TensorFlow Datasets
        {"image": b"other", "image/encoded": b"abc", "image/class/label": 5, "label": 6},
    ],
)
def test_keys_of_slim_and_of_tensorflow_datasets(features: dict[str, bytes | int]) -> None:
    assert images(record(example(features))) == [(5, b"abc")]


def test_names_of_classes_are_noted_and_a_second_one_of_a_class() -> None:
    found = scanned(
        slim_records((0, b"a"), (1, b"b"), text={0: "cat", 1: "dog"})
        + slim_records((1, b"c"), text={1: "hound"})
        + slim_records((1, b"c"), text={1: "puppy"})
    )
    assert found.texts == {0: (b"cat",), 1: (b"dog", b"hound")}


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"image": b"abc"}, "a label (image/class/label or label, int64) are needed, and it has image"),
        ({"label": 1, "pixels": b"abc"}, "an image (image/encoded or image, bytes) and a label"),
        ({"label": 1, "pixels": b"abc"}, "and it has label, pixels"),
        ({}, "and it has no feature"),
        ({"label": b"dog", "image": b"abc"}, "and it has image, label"),
        ({"label": 1, "image": 5}, "and it has image, label"),
        ({"label": [1, 2], "image": b"abc"}, "it has 2 labels, where one is legal"),
        ({"label": None, "image": b"abc"}, "and it has image, label"),
    ],
)
def test_records_without_an_image_or_a_label_are_refused(
    features: dict[str, bytes | int | list[int]], message: str
) -> None:
    good = slim_records((0, b"a"))
    text = refused(good + record(example(features)))
    assert text.startswith("a must hold records of tf.train.Example, got record 1: ")
    assert message in text


@pytest.mark.parametrize("content", [b"not a record file", b"\0" * 16, struct.pack("<Q", 1 << 62) + b"\0" * 100])
def test_other_files_are_refused(content: bytes) -> None:
    assert refused(content) == "a is damaged, or no TFRecord file: at byte 0 it must have a whole record"


def test_record_that_is_no_example_is_refused() -> None:
    assert (
        refused(record(b"\xff" * 20)) == "a must hold records of tf.train.Example, got record 0: a number does not end"
    )


def test_length_that_is_right_and_leads_beyond_the_file_is_refused() -> None:
    length = struct.pack("<Q", 1 << 40)
    assert "at byte 0 it must have a whole record" in refused(length + masked(crc32c_by_bits(length)) + b"abc")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tfrecord", True),
        ("a.tfrecords", True),
        ("a.TFREC", True),
        ("mnist-train.tfrecord-00000-of-00001", True),
        ("train-00000-of-01024", True),
        ("mnist-train.array_record-00000-of-00001", False),
        ("a.tar", False),
        ("readme", False),
    ],
)
def test_names_of_tfrecord_files(name: str, expected: bool) -> None:
    assert is_tfrecord(name) is expected


def test_images_are_called_by_their_number_in_the_file() -> None:
    index = scanned(slim_records((0, b"a"), (1, b"b"))).columns.finished()
    window = Window(lambda offset, size: b"", path=Path("a"), size_bytes=0)
    assert [TFRECORD.name_of(window, index, i) for i in range(2)] == ["0", "1"]
