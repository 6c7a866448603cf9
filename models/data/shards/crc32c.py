"""Compute CRC-32C, with which TFRecord files protect their records, at some hundred megabytes a second.

The standard library has another polynomial only. A checksum is linear over XOR: the remainder of a block is the XOR of
what each byte gives at its place, which numpy looks up in a table of places and bytes.
"""

import struct
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL: Final = 0x82F63B78  # Castagnoli, its bits reversed (RFC 3720, appendix B.4)
_ALL_ONES: Final = 0xFFFFFFFF
_BLOCK_BYTES: Final = 1024  # its table of a megabyte stays in a core's cache: 512 and 2048 are slower
_BLOCKS_AT_ONCE: Final = 64
_STATE_BYTES, _WORD_BYTES = 4, 8
_MASK_DELTA: Final = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h: a checksum of checksums would be weak
Tables = list[list[int]]  # of 256 numbers each


def masked_crc32c(content: bytes) -> int:
    """The checksum of `content` as TFRecord files store it: turned right by 15 bits, and a constant added."""
    return _masked(crc32c(content))


def masked_crc32c_of_length(length: bytes) -> int:
    """The same for the 8 bytes of a record's length, of which a data set has as many as images."""
    (first, second), tables = struct.unpack("<II", length), _word_tables()
    state = _looked_up(first ^ _ALL_ONES, tables[:_STATE_BYTES]) ^ _looked_up(second, tables[_STATE_BYTES:])
    return _masked(state ^ _ALL_ONES)


def crc32c(content: bytes) -> int:
    """CRC-32C of `content`: 0xE3069283 for b"123456789"."""
    if len(content) < _STATE_BYTES:
        return _of_few(content)
    padding = -len(content) % _BLOCK_BYTES
    padded = np.zeros(padding + len(content), np.uint8)  # zeros in front of a state of 0 change nothing
    padded[padding:] = np.frombuffer(content, np.uint8)
    padded[padding : padding + _STATE_BYTES] ^= 0xFF  # the state that a checksum starts with
    shift, state = _shift(_BLOCK_BYTES), 0
    for start in range(0, len(padded), _BLOCK_BYTES * _BLOCKS_AT_ONCE):
        blocks = padded[start : start + _BLOCK_BYTES * _BLOCKS_AT_ONCE].reshape(-1, _BLOCK_BYTES)
        remainders = np.bitwise_xor.reduce(_flat_table().take(blocks + _first_of_row()), axis=1)
        for remainder in remainders.tolist():
            state = _looked_up(state, shift) ^ remainder
    return state ^ _ALL_ONES


def _masked(checksum: int) -> int:
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & _ALL_ONES


def _of_few(content: bytes) -> int:
    """The checksum a byte at a time."""
    table, state = _table(1)[0].tolist(), _ALL_ONES
    for byte in content:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return int(state ^ _ALL_ONES)


def _looked_up(state: int, tables: Tables) -> int:
    """What a state becomes, by a table for each of its bytes."""
    return (
        tables[0][state & 0xFF] ^ tables[1][state >> 8 & 0xFF] ^ tables[2][state >> 16 & 0xFF] ^ tables[3][state >> 24]
    )


@cache
def _table(places: int) -> NDArray[np.uint32]:
    """Of shape (places, 256): what a byte gives at each place of a block, the last place being the last row."""
    last = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        last = np.where(last & 1, (last >> 1) ^ np.uint32(_POLYNOMIAL), last >> 1).astype(np.uint32)
    table = np.empty((places, 256), np.uint32)
    table[-1] = last
    for place in range(places - 2, -1, -1):
        table[place] = last[table[place + 1] & 0xFF] ^ (table[place + 1] >> 8)
    return table


@cache
def _flat_table() -> NDArray[np.uint32]:
    return _table(_BLOCK_BYTES).ravel()


@cache
def _first_of_row() -> NDArray[np.int64]:
    return np.arange(_BLOCK_BYTES, dtype=np.int64) * 256


@cache
def _shift(places: int) -> Tables:
    """What so many zeros behind it make of a state: as if its four bytes were the first ones of the block."""
    tables: Tables = _table(places)[:_STATE_BYTES].tolist()
    return tables


@cache
def _word_tables() -> Tables:
    tables: Tables = _table(_WORD_BYTES).tolist()
    return tables
