"""Messages without their schema: numbers by hand, what was written is read, and anything else is an error."""

from contextlib import suppress

import numpy as np
import pytest
from coreml_by_hand import chunk, varint, whole
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.formats.coreml.wire import Message


def test_the_examples_of_the_encoding_s_own_page():
    """protobuf.dev/programming-guides/encoding: 150 in field 1, "testing" in field 2, packed 3, 270, 86942 in 6."""
    assert Message.of(bytes.fromhex("089601")).whole(1) == 150
    assert Message.of(bytes.fromhex("120774657374696e67")).text(2) == "testing"
    assert Message.of(bytes.fromhex("3206038e029ea705")).wholes(6) == (3, 270, 86942)


def test_what_is_not_there_is_empty():
    message = Message.of(b"")
    assert (message.whole(1), message.text(2), message.texts(3), message.map(4)) == (0, "", (), {})
    assert not message.has(1)
    assert message.message(5).values == {}


def test_the_last_of_several_counts_and_unknown_kinds_are_passed_over():
    fixed = varint(9 << 3 | 1) + bytes(8) + varint(10 << 3 | 5) + bytes(4)
    message = Message.of(whole(1, 3) + fixed + whole(1, 4))
    assert message.whole(1) == 4


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_whole_numbers_come_back_packed_or_not(numbers):
    packed = chunk(1, b"".join(map(varint, numbers)))
    plain = b"".join(whole(1, number) for number in numbers)
    assert Message.of(packed).wholes(1) == Message.of(plain).wholes(1) == tuple(numbers)


@given(st.lists(st.text()))
def test_texts_come_back(texts):
    assert Message.of(b"".join(chunk(7, text) for text in texts)).texts(7) == tuple(texts)


def test_floats_come_back():
    numbers = np.array([0.1, -2.5, np.inf], np.float32)
    assert Message.of(chunk(1, numbers.tobytes())).floats(1, "float32").tolist() == numbers.tolist()


@given(st.binary())
def test_any_bytes_are_a_message_or_an_error(content):
    try:
        message = Message.of(content)
    except DataError:
        return
    for number in message.values:
        for read in (message.whole, message.wholes, message.text, message.map, message.message):
            with suppress(DataError):
                read(number)


@pytest.mark.parametrize(
    "content",
    [b"\x08", b"\x0a\x05ab", b"\x0b", b"\x09abc", b"\xff" * 11, chunk(1, b"\xff\xfe")],
    ids=["no number", "short bytes", "a group", "short fixed", "endless number", "no text"],
)
def test_damage_is_an_error(content):
    with pytest.raises(DataError):
        Message.of(content).text(1)
