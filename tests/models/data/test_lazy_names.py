"""Names that are made when they are asked for: as a tuple of them behaves, and none looked up to tell sets apart."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.data.lazy_names import LazyNames, hash_of_names, names_at

COUNTS = st.integers(1, 30)


def lazy(count: int) -> LazyNames:
    return LazyNames(lambda index: f"image {index}", range(count))


@given(st.data(), COUNTS)
def test_subsets_of_subsets_are_those_of_a_tuple(data: st.DataObject, count: int) -> None:
    lazily, plainly = lazy(count), tuple(lazy(count))
    assert plainly == tuple(f"image {index}" for index in range(count))
    for _ in range(3):
        chosen = np.array(data.draw(st.lists(st.integers(0, len(plainly) - 1), min_size=1)), np.int64)
        lazily, plainly = names_at(lazily, chosen), names_at(plainly, chosen)
        assert isinstance(lazily, LazyNames)
        assert isinstance(plainly, tuple)
        assert (len(lazily), tuple(lazily), lazily[-1], lazily[1:3]) == (
            *(len(plainly), plainly, plainly[-1]),
            plainly[1:3],
        )
        assert plainly[0] in lazily
    with pytest.raises(IndexError):
        lazily[len(plainly)]


def test_hash_of_a_tuple_by_hand() -> None:
    assert hash_of_names(("a", "b\udcff")) == hashlib.sha256(b"a\0b\xff\0").hexdigest()


def test_hash_of_lazy_names_looks_none_up_and_follows_which_they_are_and_their_order() -> None:
    def refused(index: int) -> str:
        raise AssertionError(f"name {index} was looked up")

    whole = LazyNames(refused, range(5))
    places = ([0, 1, 2, 3], [0, 1, 2, 4], [1, 0, 2, 3])
    hashes = {hash_of_names(names_at(whole, np.array(each, np.int64))) for each in places}
    assert len(hashes | {hash_of_names(whole)}) == 4
    assert hash_of_names(whole) == hash_of_names(names_at(whole, np.arange(5)))
