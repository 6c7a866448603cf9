"""Labels inside a file beside the data's classes: the right order, another order, other names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.verification.classification.measure import matched_share

PETS = ("tabby cat", "Great Dane", "goldfish, Carassius auratus", "crane")


@pytest.mark.parametrize(
    ("labels", "share"),
    [
        (PETS, 1.0),
        (("Tabby_Cat", "great dane", "goldfish", "crane, bird"), 1.0),
        (("crane", "tabby cat", "great dane", "goldfish"), 0.0),  # shifted by one
        (("tabby cat", "great dane", "crane", "goldfish"), 0.5),
        (("tabby cat", "great dane", "goldfish", "derrick"), 1.0),  # one in other words
        (("n0212", "n0210", "n0144", "n0201"), None),  # all in other words
        (("n0212", "n0210", "n0144", "crane"), None),
        (("background", *PETS), 0.0),
        ((), None),
        (None, None),
    ],
)
def test_by_hand(labels, share):
    assert matched_share(labels, PETS) == share


def test_two_classes_of_one_name_are_both_right():
    # ImageNet has two cranes.
    assert matched_share(("crane", "goldfish", "crane"), ("crane", "goldfish", "crane")) == 1.0


NAMES = st.lists(st.text(st.characters(categories=["L"]), min_size=1), min_size=2, max_size=9, unique_by=str.casefold)


@given(NAMES)
def test_any_shift_of_different_names_matches_nothing(names):
    assert matched_share(names, names) == 1.0
    assert matched_share([names[-1], *names[:-1]], names) == 0.0
