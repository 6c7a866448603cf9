"""Which photos become a detector's golden vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.golden.detection.choice import Candidates, choose_photos

NAN = float("nan")


def candidates(safe, *, listed=None, lead=None, agrees=None, lost=None, classes=None):
    """Photos of one artifact, or of several."""
    rows = np.array(safe).reshape(len(safe), -1)
    return Candidates(
        safe=rows,
        listed=np.maximum(rows, 1) if listed is None else np.array(listed).reshape(rows.shape),
        lead=(np.where(rows > 0, 2.0, 0.5) if lead is None else np.array(lead, float)).reshape(rows.shape),
        agrees=np.ones(len(safe), np.bool_) if agrees is None else np.array(agrees),
        lost=np.zeros(len(safe)) if lost is None else np.array(lost, float),
        classes=tuple(map(frozenset, classes or [[0]] * len(safe))),
    )


def test_photos_with_a_class_that_none_before_has_come_first():
    given_ = candidates([1] * 4, lost=[0.9, 0.8, 0.7, 0.1], classes=[[0, 1], [1], [0], [2]])
    assert choose_photos(given_, most=3) == [0, 3, 1]


def test_photos_on_which_files_agree_come_before_those_that_lose_more():
    assert choose_photos(candidates([1, 1], agrees=[False, True], lost=[1, 0]), most=1) == [1]


def test_of_equal_ones_that_with_the_larger_share_of_safe_rows_comes_first():
    assert choose_photos(candidates([2, 2], listed=[4, 3]), most=2) == [1, 0]


def test_a_photo_without_a_safe_row_in_one_file_is_left_out():
    assert choose_photos(candidates([(1, 0), (1, 1), (0, 2)]), most=3) == [1]


def test_without_a_safe_row_anywhere_the_largest_lead_makes_one_case():
    assert choose_photos(candidates([0, 0, 0], lead=[-3, -1, NAN]), most=3) == [1]


def test_what_finds_nothing_is_never_chosen():
    assert choose_photos(candidates([(1, 1), (1, 1)], lead=[(2, NAN), (NAN, 2)]), most=3) == []


COUNTS = st.tuples(st.integers(0, 2), st.integers(0, 2))


@pytest.mark.parametrize("most", [1, 3])
@given(safe=st.lists(COUNTS, min_size=1, max_size=8), lost=st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_never_a_photo_twice_nor_one_that_is_not_safe(most, safe, lost):
    chosen = choose_photos(candidates(safe, lost=lost[: len(safe)]), most=most)
    assert len(set(chosen)) == len(chosen) <= most
    is_safe = [min(each) > 0 for each in safe]
    assert all(is_safe[photo] for photo in chosen) or (not any(is_safe) and len(chosen) == 1)
    assert len(chosen) >= min(most, sum(is_safe))
