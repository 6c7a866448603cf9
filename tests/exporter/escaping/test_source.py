"""Literals that their language reads back as the same text or number, whatever is in it."""

import re
import shutil
import subprocess

import pytest
from hostile import EXAMPLES, TEXTS
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.escaping.characters import is_hidden
from mbexport.escaping.source import (
    Source,
    boolean,
    comment,
    double,
    doubles,
    identifier,
    integer,
    javascript,
    kotlin,
    properties,
    rounded,
    ruby,
    swift,
)


def well_formed(text: str) -> str:
    """The text as UTF-8 can hold it."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def read(literal: str, letter: str, escapes: str) -> str:
    """The text of a literal, by its language's lexical rules: `letter` stands for itself, `escapes` behind a backslash.

    Fails where the literal ends early, holds an interpolation, or an escape that the language does not have.
    """
    assert literal[0] == literal[-1] == '"'
    assert not any(map(is_hidden, literal))
    inside, text = literal[1:-1], ""
    while inside:
        found = re.match(rf"{letter}|\\u\{{(?P<code>[0-9a-f]{{1,6}})\}}|\\(?P<char>[{escapes}])", inside)
        assert found, inside
        text += chr(int(found["code"], 16)) if found["code"] else found["char"] or found[0]
        inside = inside[found.end() :]
    return text


def read_kotlin(literal: str) -> str:
    """The text of a Kotlin literal: no template, no raw line end; escapes are UTF-16 units."""
    assert re.fullmatch(r'"(?:[^"\\$\n\r]|\\["\\$]|\\u[0-9a-f]{4})*"', literal)
    units = re.sub(r"\\(?:u([0-9a-f]{4})|(.))", lambda at: chr(int(at[1], 16)) if at[1] else at[2], literal[1:-1])
    return units.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")


def read_javascript(literal: str) -> str:
    """The text of a JavaScript literal: no raw line end, in which U+2028 and U+2029 count; escapes are UTF-16 units."""
    assert re.fullmatch(r'"(?:[^"\\\n\r\u2028\u2029]|\\["\\]|\\u[0-9a-f]{4})*"', literal)
    units = re.sub(r"\\(?:u([0-9a-f]{4})|(.))", lambda at: chr(int(at[1], 16)) if at[1] else at[2], literal[1:-1])
    return units.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")


def read_properties(content: bytes) -> dict[str, str]:
    """What `java.util.Properties.load` makes of a file, by its documentation."""
    found = {}
    for line in content.decode("latin-1").splitlines():
        assert not line.startswith(("#", "!", " ", "\t"))
        name, value = re.fullmatch(r"((?:[^\\=: ]|\\.)*)=(.*)", line).groups()
        assert not re.search(r"(?<!\\)(?:\\\\)*\\$", value)  # it would go on in the next line
        found[_unescaped(name)] = _unescaped(value)
    return found


def _unescaped(text: str) -> str:
    letters = {"t": "\t", "f": "\f", "n": "\n", "r": "\r"}
    text = re.sub(
        r"\\(?:u([0-9a-f]{4})|(.))",
        lambda at: chr(int(at[1], 16)) if at[1] else letters.get(at[2], at[2]),
        text,
    )
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")


@given(TEXTS)
@example('"\\(x)"')
def test_swift_reads_any_text_back(text):
    assert read(swift(text), letter=r'[^"\\\n\r\0]', escapes=r'"\\') == well_formed(text)


@given(TEXTS)
@example("#{exit 3} #$0 #@x")
def test_ruby_reads_any_text_back(text):
    assert read(ruby(text), letter=r'[^"\\#\n\r\0]', escapes=r'"\\#') == well_formed(text)


@given(TEXTS)
@example("${x} $x \\u0024")
def test_kotlin_reads_any_text_back(text):
    assert read_kotlin(kotlin(text)) == text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")


@given(TEXTS)
@example("</script> ${x} \u2028")
def test_javascript_reads_any_text_back(text):
    told = text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")
    assert read_javascript(javascript(text)) == told


@given(st.dictionaries(TEXTS, TEXTS, max_size=4))
def test_java_reads_any_properties_back(values):
    joined = {
        each.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass"): value.encode(
            "utf-16-be", "surrogatepass"
        ).decode("utf-16-be", "surrogatepass")
        for each, value in values.items()
    }
    if len(joined) == len(values):
        assert read_properties(properties(values)) == joined


@given(TEXTS)
def test_a_comment_stays_in_its_line(text):
    assert len(comment(text).splitlines()) <= 1


@pytest.mark.skipif(not shutil.which("ruby"), reason="ruby is not installed")
def test_ruby_itself_reads_hostile_texts_back():
    script = f"STDOUT.binmode; print [{', '.join(map(ruby, EXAMPLES))}].map {{ |each| each.unpack('H*')[0] }}.join(' ')"
    done = subprocess.run(["ruby"], input=script.encode(), capture_output=True, check=True, timeout=60)
    assert [bytes.fromhex(each).decode() for each in done.stdout.decode().split(" ")] == list(
        map(well_formed, EXAMPLES)
    )


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e-7)
@example(0.1)
def test_numbers_survive_to_the_last_bit(number):
    assert float(double(number)) == number
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?", double(number))
    assert doubles((number, 1)) == f"[{double(number)}, 1.0]"


@given(st.integers())
def test_whole_numbers_too(number):
    assert int(integer(number)) == number


def test_literals_by_hand():
    assert swift('say "hi"\n') == '"say \\"hi\\"\\u{a}"'
    assert ruby("#{x}") == '"\\#{x}"'
    assert javascript('"$x"\u2028') == '"\\"$x\\"\\u2028"'
    assert kotlin("$x") == '"\\$x"'
    assert properties({"a b": "é=\t"}) == b"a\\ b=\\u00e9\\=\\t\n"
    assert (boolean(True), boolean(False), rounded(8.0), rounded(0.125)) == ("true", "false", "8", "0.125")
    assert identifier("in.acme.`is`.Net_1") == "in.acme.`is`.Net_1"
    assert isinstance(swift("a"), Source)


HOSTILE_VALUES = ("0; evil()", "1", None, True, [1], {"a": 1}, 1.5, float("nan"), float("inf"))


@pytest.mark.parametrize("value", HOSTILE_VALUES)
def test_what_is_no_whole_number_never_becomes_one(value):
    with pytest.raises(DataError, match="source code needs a whole number where it got"):
        integer(value)


@pytest.mark.parametrize("value", [each for each in HOSTILE_VALUES if each != 1.5])
@pytest.mark.parametrize("spell", [double, rounded, lambda value: doubles((value,))])
def test_what_is_no_number_never_becomes_one(spell, value):
    with pytest.raises(DataError, match="source code needs a finite number where it got"):
        spell(value)


@pytest.mark.parametrize("value", [1, None, ["a"], b"a"])
@pytest.mark.parametrize(
    "spell", [swift, ruby, kotlin, javascript, comment, identifier, lambda value: properties({"a": value})]
)
def test_what_is_no_text_never_becomes_one(spell, value):
    with pytest.raises(DataError, match="source code needs a text where it got"):
        spell(value)


@given(TEXTS)
@example("a; evil()")
@example("a.b\n")
@example("")
def test_what_is_no_name_never_becomes_one(text):
    if not re.fullmatch(r"`?\w+`?(\.`?\w+`?)*", text, re.ASCII):
        with pytest.raises(DataError, match="source code needs a name"):
            identifier(text)


@pytest.mark.parametrize("value", ["true", 1, 0, None])
def test_only_truths_are_true(value):
    with pytest.raises(DataError, match="true or false"):
        boolean(value)
