"""Text on a terminal and in a log: nothing in it is obeyed, by either, and it stays one line."""

import json
import re
import shutil
import subprocess

import pytest
from hostile import EXAMPLES, LONG, TEXTS
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.escaping.characters import is_hidden
from mbexport.escaping.terminal import json_text, shell_word, visible, visible_lines


def obeyed(line: str) -> bool:
    """Whether a runner of GitHub, Azure or TeamCity takes a line of a log for a command."""
    return line.lstrip().startswith("::") or re.search(r"##\w*\[", line) is not None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 猫.tflite", "plain é 猫.tflite"),
        ("C:\\models\\a b", "C:\\models\\a b"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\u202egnp\u2028\x9b", "\\u202egnp\\u2028\\x9b"),
        ("\udcff\U000e0041", "\\udcff\\U000e0041"),
        ("::error::x", "\\x3a:error::x"),
        ("  ::error::x", "  \\x3a:error::x"),
        ("a::b", "a::b"),
        ("x ##[error]y ##vso[z] ###[w] ## [v] #[u]", "x #\\x23[error]y #\\x23vso[z] ##\\x23[w] ## [v] #[u]"),
        ("\U0001f469\u200d\U0001f52c", "\U0001f469\u200d\U0001f52c"),
    ],
)
def test_a_text_by_hand(text, shown):
    assert visible(text) == shown


@given(TEXTS)
@example("\n::error::x")
@example("#\u200b##[x]")
def test_no_text_commands_a_terminal_or_a_runner(text):
    shown = visible(text)
    assert not any(map(is_hidden, shown))
    assert not obeyed(shown)
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown
    if not obeyed(text) and not any(map(is_hidden, text)):
        assert shown == text


@given(st.lists(TEXTS))
def test_as_many_lines_as_there_were(lines):
    assert len(visible_lines(lines).split("\n")) == max(1, len(lines))


def test_both_ends_of_a_long_text():
    assert visible(f"a{LONG}b", 11) == "axxxx…xxxxb"
    assert visible(LONG) == LONG


JSONS = st.recursive(
    TEXTS | st.integers() | st.none(), lambda each: st.lists(each) | st.dictionaries(TEXTS, each), max_leaves=4
)


@given(JSONS)
@example({"\x9b": ["##[error]", "\u202e", "\udcff", "é"]})
def test_json_reads_back_and_is_as_harmless(value):
    text = json_text(value)
    assert json.loads(text) == json.loads(json.dumps(value))  # either joins two halves of a UTF-16 pair
    assert not any(map(is_hidden, text.replace("\n", "")))
    assert not any(map(obeyed, text.split("\n")))


def test_json_keeps_letters():
    assert json_text({"a": "é\x1b猫"}) == '{\n  "a": "é\\u001b猫"\n}'


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("dist/net", "dist/net"),
        ("my models/net", "'my models/net'"),
        ("it's", "'it'\"'\"'s'"),
        ("-x", "./-x"),
        ("a\x1b'\\\n", "$'a\\x1b\\'\\\\\\x0a'"),
        ("\u202e\udcff", "$'\\xe2\\x80\\xae\\xff'"),
    ],
)
def test_a_word_of_a_shell_by_hand(path, word):
    assert shell_word(path) == word


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_reads_words_back():
    paths = [path for path in EXAMPLES if "\0" not in path and path.isascii()] + ["\u202e", "\udcff'\\"]
    script = f"printf '%s\\0' {' '.join(map(shell_word, paths))}"
    assert not any(map(is_hidden, script))
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    read = done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    assert [each.removeprefix("./") for each in read] == paths
