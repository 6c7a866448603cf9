"""Which characters act instead of being seen, and texts without them."""

import pytest
from hostile import LONG, TEXTS
from hypothesis import given

from mbexport.escaping.characters import elided, is_hidden, one_line, replaced

SEEN = "aé猫 \u00a0\u3000\u200d\u200c\ufe0f\U0001f469\u0301~"
HIDDEN = (
    "\0\x07\x1b\x7f\x85\x9b\n\t\u00ad\u061c\u200b\u200e\u2028\u2029\u202e\u2066\ufeff\ufffe\uffff\ud800\udcff\U000e0041"
)


@pytest.mark.parametrize("char", SEEN)
def test_letters_spaces_and_joiners_are_seen(char):
    assert not is_hidden(char)
    assert replaced(char) == char


@pytest.mark.parametrize("char", HIDDEN)
def test_controls_directions_line_ends_and_halves_are_not(char):
    assert is_hidden(char)
    assert replaced(char) == "\ufffd"
    assert replaced(char, keep=char) == char


def test_a_line_by_hand():
    assert one_line(" a\n\tb\u2028c\x1bd ", 80) == "a b c\ufffdd"
    assert elided("abcdefghij", 5) == "ab…ij"
    assert elided(LONG, 80) == "x" * 39 + "…" + "x" * 40


@given(TEXTS)
def test_any_text_becomes_one_line_that_can_be_seen(text):
    line = one_line(text, 80)
    assert not any(map(is_hidden, line))
    assert len(line) <= 80
    assert one_line(line, 80) == line
    assert len(replaced(text)) == len(text)
