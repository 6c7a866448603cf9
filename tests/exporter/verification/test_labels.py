"""Labels inside a file beside the data's classes and another file's labels: their order, names and number."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.verification import labels as labels_module
from mbexport.verification.labels import LabelCheck, check_labels, compared_labels, labels_beside

PETS = ("tabby cat", "Great Dane", "goldfish, Carassius auratus", "crane")
DIGITS = tuple("0123456789")


@pytest.mark.parametrize(
    ("labels", "share"),
    [
        (PETS, 1.0),
        (("Tabby_Cat", "great dane", "goldfish", "crane, bird"), 1.0),
        (("crane", "tabby cat", "great dane", "goldfish"), 0.0),  # shifted by one
        (("tabby cat", "great dane", "crane", "goldfish"), 0.5),
        (("tabby cat", "great dane", "goldfish", "derrick"), 1.0),  # one in other words
        (("n0212", "n0210", "n0144", "n0201"), None),  # all in other words
        (("n0212", "n0210", "n0144", "crane"), 1.0),
        (("n0212", "n0210", "crane", "n0144"), 0.0),
        (("background", *PETS), 0.0),
        ((), 0.0),
    ],
)
def test_share_by_hand(labels, share):
    assert compared_labels(labels, PETS).matched == share


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (PETS, None),
        (("tabby cat", "great dane", "goldfish", "derrick"), None),
        (
            ("tabby cat", "great dane", "crane", "goldfish"),
            "2 of its labels stand at other classes than their own: 'crane' at 'goldfish, Carassius auratus', "
            "'goldfish' at 'crane'",
        ),
        (
            ("n0212", "n0210", "n0144", "n0201"),
            "none of its 4 labels ('n0212', 'n0210', 'n0144', ...) name classes of the data: check their order "
            "yourself",
        ),
        (
            ("n0212", "n0210", "crane", "n0144"),
            "only 1 of its 4 labels ('n0212', 'n0210', 'crane', ...) name classes of the data: check their order "
            "yourself; 1 of its labels stand at other classes than their own: 'crane' at 'goldfish, Carassius auratus'",
        ),
        (PETS[:3], "it holds 3 labels for 4 classes"),
    ],
)
def test_problem_by_hand(labels, problem):
    assert compared_labels(labels, PETS).problem == problem


def test_two_classes_of_one_name_are_both_right():
    # ImageNet has two cranes.
    assert compared_labels(("crane", "goldfish", "crane"), ("crane", "goldfish", "crane")).matched == 1.0


def test_four_of_ten_swapped_among_foreign_ones_are_found():
    foreign = ("1", "0", "3", "2", *(f"digit {number}" for number in range(4, 10)))
    assert compared_labels(foreign, DIGITS).matched == 0.0


def test_labels_in_other_words_are_held_against_those_of_the_reference():
    german = ("Katze", "Dogge", "Goldfisch", "Kranich")
    swapped = ("Dogge", "Katze", "Goldfisch", "Kranich")
    assert compared_labels(swapped, PETS).matched is None
    assert compared_labels(swapped, PETS, others=german).matched == 0.5
    alike = compared_labels(german, PETS, others=german)
    assert alike.matched == 1.0
    assert alike.problem.startswith("none of its 4 labels")  # both may be wrong in the same way
    # Where the data can tell, a reference that is wrong itself says nothing.
    assert compared_labels(PETS, PETS, others=PETS[::-1]) == LabelCheck(matched=1.0)


NAMES = st.lists(st.text(st.characters(categories=["L"]), min_size=1), min_size=2, max_size=9, unique_by=str.casefold)


@given(NAMES)
def test_any_shift_of_different_names_matches_nothing(names):
    assert compared_labels(names, names) == LabelCheck(matched=1.0)
    assert compared_labels([names[-1], *names[:-1]], names).matched == 0.0


@given(NAMES, st.data())
def test_two_swapped_labels_never_pass_unnoticed(names, data):
    first, second = data.draw(st.lists(st.integers(0, len(names) - 1), min_size=2, max_size=2, unique=True))
    labels = [f"foreign {place}" if data.draw(st.booleans()) else name for place, name in enumerate(names)]
    labels[first], labels[second] = names[second], names[first]
    found = compared_labels(labels, names)
    assert found.matched < 1
    assert "stand at other classes" in found.problem


@pytest.fixture
def checked(monkeypatch, subject, table_runner):
    """Checks a file of ten scores that holds the labels; an exception for some that cannot be read."""

    def check(stored, *, holds=True, skips_background=False):
        def read(_runner):
            if isinstance(stored, Exception):
                raise stored
            return stored

        monkeypatch.setattr(labels_module, "holds_labels", lambda _runner: holds)
        monkeypatch.setattr(labels_module, "stored_labels", read)
        runner = table_runner("m.tflite", [[0] * (10 + skips_background)])
        return check_labels(subject(runner, skips_background=skips_background), DIGITS)

    return check


@pytest.mark.parametrize(
    ("stored", "matched", "problem"),
    [
        (DIGITS, 1.0, None),
        (DIGITS[:9], 0.0, "it holds 9 labels for 10 scores"),
        ((*DIGITS, "10"), 0.0, "it holds 11 labels for 10 scores"),
        ((), 0.0, "it holds 0 labels for 10 scores"),
        (("",) * 10, 0.0, "10 of its 10 labels are blank"),
        (("0", " ", *DIGITS[2:]), 0.0, "1 of its 10 labels are blank"),
        (DataError("its labels cannot be read: bad"), 0.0, "its labels cannot be read: bad"),
        (None, None, "it holds no labels: apps can name its answers only by a file beside it"),
    ],
)
def test_labels_that_cannot_be_those_of_the_scores_match_nothing(checked, stored, matched, problem):
    assert checked(stored) == LabelCheck(matched=matched, problem=problem)


def test_the_label_of_a_background_is_of_no_class(checked):
    assert checked(("", *DIGITS), skips_background=True) == LabelCheck(matched=1.0)


def test_formats_without_labels_have_no_problem(checked):
    assert checked(None, holds=False) == LabelCheck()


def test_the_labels_beside_are_those_of_the_reference_or_else_of_the_first_file(monkeypatch):
    stored = {"none": None, "short": DIGITS[:3], "damaged": None, "a": ("bg", *DIGITS), "b": DIGITS[::-1]}

    def read(runner):
        if runner.name == "damaged":
            raise DataError("bad")
        return stored[runner.name]

    monkeypatch.setattr(labels_module, "holds_labels", lambda _runner: True)
    monkeypatch.setattr(labels_module, "stored_labels", read)
    runners = {name: SimpleNamespace(name=name) for name in stored}
    files = [SimpleNamespace(runner=runners[name], classes=10) for name in ("none", "short", "damaged", "a")]
    assert labels_beside(None, files) == DIGITS
    assert labels_beside(runners["b"], files) == DIGITS[::-1]
    assert labels_beside(None, files[:3]) is None
