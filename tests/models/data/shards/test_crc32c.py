"""CRC-32C: published values, and the definition for any bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards_by_hand import crc32c_by_bits, masked

from mbexport.models.data.shards.crc32c import crc32c, masked_crc32c, masked_crc32c_of_length


@pytest.mark.parametrize(
    ("content", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),  # the check value of catalogues of checksums
        (bytes(32), 0x8A9136AA),  # RFC 3720, B.4: zeros, ones, and numbers up and down
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_published_values(content: bytes, checksum: int) -> None:
    assert crc32c(content) == checksum


@given(st.binary(max_size=40) | st.integers(1015, 3100).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_any_bytes_by_the_definition(content: bytes) -> None:
    assert crc32c(content) == crc32c_by_bits(content)
    assert struct.pack("<I", masked_crc32c(content)) == masked(crc32c_by_bits(content))


def test_more_than_what_is_looked_up_at_once() -> None:
    content = bytes(range(251)) * 400  # 100,400 bytes: more than 64 blocks, and no whole number of them
    assert crc32c(content) == crc32c_by_bits(content)


@given(st.integers(0, 2**64 - 1))
def test_the_checksum_of_a_length_is_that_of_its_8_bytes(length: int) -> None:
    content = struct.pack("<Q", length)
    assert masked_crc32c_of_length(content) == masked_crc32c(content)


def test_masked_checksum_by_hand() -> None:
    # 0xE3069283 turned right by 15 bits is 0x2507C60D; the constant of TFRecord added, modulo 2**32.
    assert masked_crc32c(b"123456789") == (0x2507C60D + 0xA282EAD8) % 2**32
