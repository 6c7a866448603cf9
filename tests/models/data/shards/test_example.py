"""Features of a serialized tf.train.Example: by hand, beside protobuf's own reader, and of damaged ones."""

from contextlib import suppress
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st
from shards_by_hand import example, field, varint

from mbexport.models.data.shards.example import bytes_of, features, integers_of

INT64 = st.integers(-(2**63), 2**63 - 1)
KEYS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.none() | st.binary(max_size=300) | st.lists(INT64, max_size=5)


def read(content: bytes) -> dict[str, bytes | list[int] | None]:
    """All features as the module reads them: bytes, or the whole numbers, or None without either."""

    def at(offset: int, size: int) -> bytes:
        assert 0 <= offset <= offset + size <= len(content)
        return content[offset : offset + size]

    found: dict[str, bytes | list[int] | None] = {}
    for key, span in features(at, 0, len(content)):
        place = bytes_of(at, span)
        numbers = integers_of(at, span)
        found[key.decode()] = content[slice(*place)] if place else numbers or None
    return found


@pytest.fixture(scope="module")
def example_class() -> Any:
    """The message as protobuf's library makes it of the fields in example.proto and feature.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="e.proto", package="t", syntax="proto3")
    kind = descriptor_pb2.FieldDescriptorProto

    def message(name: str, *fields: tuple[str, int, int, str, bool], parent: Any = file.message_type) -> Any:
        made = parent.add(name=name)
        for field_name, number, its_kind, its_type, repeated in fields:
            label = kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL
            made.field.add(name=field_name, number=number, type=its_kind, type_name=its_type or None, label=label)
        return made

    message("BytesList", ("value", 1, kind.TYPE_BYTES, "", True))
    message("FloatList", ("value", 1, kind.TYPE_FLOAT, "", True))
    message("Int64List", ("value", 1, kind.TYPE_INT64, "", True))
    lists = [("bytes_list", 1, ".t.BytesList"), ("float_list", 2, ".t.FloatList"), ("int64_list", 3, ".t.Int64List")]
    feature = message("Feature", *((name, number, kind.TYPE_MESSAGE, its, False) for name, number, its in lists))
    feature.oneof_decl.add(name="kind")
    for each in feature.field:
        each.oneof_index = 0
    whole = message("Features", ("feature", 1, kind.TYPE_MESSAGE, ".t.Features.FeatureEntry", True))
    entry = message(
        "FeatureEntry",
        ("key", 1, kind.TYPE_STRING, "", False),
        ("value", 2, kind.TYPE_MESSAGE, ".t.Feature", False),
        parent=whole.nested_type,
    )
    entry.options.map_entry = True
    message("Example", ("features", 1, kind.TYPE_MESSAGE, ".t.Features", False))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))


def test_example_by_hand() -> None:
    content = bytes.fromhex("0a110a0f0a056c6162656c12061a040a02ac02")  # Example, Features, "label": 300
    assert read(content) == {"label": [300]}


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.booleans())
def test_what_was_written_is_read(wanted: dict[str, Any], is_packed: bool) -> None:
    expected = {key: None if value == [] else value for key, value in wanted.items()}
    assert read(example(wanted, is_packed=is_packed)) == expected


@given(wanted=st.dictionaries(KEYS, VALUES | st.lists(st.floats(width=32), min_size=1, max_size=3), max_size=5))
def test_what_protobuf_writes_is_read(example_class: Any, wanted: dict[str, Any]) -> None:
    message = example_class()
    for key, value in wanted.items():
        feature = message.features.feature[key]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif value:
            is_whole = isinstance(value[0], int)
            (feature.int64_list if is_whole else feature.float_list).value.extend(value)
    found = read(message.SerializeToString())
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        is_float = isinstance(value, list) and bool(value) and isinstance(value[0], float)
        assert found[key] == (None if is_float or value == [] else value)


def test_fields_that_are_not_known_are_passed_over() -> None:
    others = (
        field(9, b"abc")
        + varint(10 << 3)
        + varint(2**40)
        + varint(11 << 3 | 1)
        + b"8 bytes!"
        + varint(12 << 3 | 5)
        + b"four"
    )
    assert read(others + example({"label": 7}) + others) == {"label": [7]}


def test_image_is_not_read_to_find_its_label() -> None:
    content, longest = example({"image": b"x" * 1_000_000, "label": 3}), 0

    def at(offset: int, size: int) -> bytes:
        nonlocal longest
        longest = max(longest, size)
        return content[offset : offset + size]

    spans = dict(features(at, 0, len(content)))
    assert integers_of(at, spans[b"label"]) == [3]
    first, last = bytes_of(at, spans[b"image"]) or (0, 0)
    assert last - first == 1_000_000
    assert longest <= 20


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(ValueError):  # a key that is no UTF-8 raises one in this test
        read(content)


@given(st.data())
def test_overwritten_anywhere_it_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(example({"image": b"abc", "label": [1, 300, -1]}))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ValueError):
        read(bytes(content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x0a\x05abc", "2 bytes more than there are"),
        (b"\xff" * 11, "a number does not end"),
        (b"\x0b", "wire type 3"),
        (field(1, field(1, field(1, b"k" * 1025))), "a feature has a name of more than a kilobyte"),
    ],
)
def test_damaged_examples_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(content)
