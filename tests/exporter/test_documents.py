"""JSON and TOML that anybody may have written: read as its schema says, or refused in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.documents import (
    Form,
    parse_json,
    parse_toml,
    read_document,
    read_json,
    read_json_file,
    require_form,
)
from mbexport.errors import DataError

ANY = Form(title="anything", schema=dict)
PERSON = Form(
    title="a person",
    schema=lambda: {
        "type": "object",
        "required": ["name", "age"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z]+$"},
            "age": {"type": "integer", "minimum": 0, "maximum": 150},
            "height": {"type": ["number", "null"], "exclusiveMinimum": 0},
            "friends": {"type": "array", "maxItems": 2, "items": {"enum": ["ann", "bob"]}},
        },
    },
)
ANN = {"name": "ann", "age": 7}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # A text of one character would be half a pair of surrogates; there are none in UTF-8.
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@pytest.mark.parametrize("content", ['{"name": "ann", "age": 7}', b'\xef\xbb\xbf{"name": "ann", "age": 7}'])
def test_what_has_the_form_is_read(content: str | bytes) -> None:
    assert read_json(content, PERSON, source="ann.json") == ANN


@given(VALUES)
def test_whatever_json_holds_is_read_as_it_was_written(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"age": 7.0}, "age must be a whole number, got 7.0"),
        ({"age": True}, "age must be a whole number, got true"),
        ({"age": -1}, "age must be at least 0, got -1"),
        ({"age": 151}, "age must be at most 150, got 151"),
        ({"name": None}, "name must be text, got null"),
        ({"name": "Ann"}, 'name must match ^[a-z]+$, got "Ann"'),
        ({"height": 0}, "height must be above 0, got 0"),
        ({"height": "1"}, 'height must be a number or null, got "1"'),
        ({"friends": ["ann", "eve"]}, 'friends[1] must be one of ann, bob, got "eve"'),
        ({"friends": ["ann"] * 3}, "friends must have at most 2 entries"),
        ({"shoe": 44}, "it must hold no 'shoe'"),
        ({"name": "\x1b[2J" * 99}, 'name must match ^[a-z]+$, got "\\u001b[2J'),
    ],
)
def test_a_value_of_another_form_is_refused_in_one_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_json(json.dumps({**ANN, **change}, ensure_ascii=False), PERSON, source="ann.json")
    message = str(caught.value)
    assert message.startswith("ann.json is not a person: ")
    assert said in message
    assert message.isprintable()
    assert len(message) < 300


def test_what_is_missing_is_named() -> None:
    with pytest.raises(DataError, match=r"p is not a person: it must hold 'age'"):
        require_form({"name": "ann"}, PERSON, source="p")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "Expecting value"),
        (b"\xff", "no text in UTF-8"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[" * 500 + "]" * 500, "nested too deeply"),
        ("NaN", "must be finite, got NaN"),
        ("[-Infinity]", "must be finite, got -Infinity"),
        ("1e999", "must be finite, got 1e999"),
        ("9" * 5000, "must fit into 64 bits"),
        (str(2**64), "must fit into 64 bits"),
        (str(-(2**63) - 1), "must fit into 64 bits"),
        ('{"a": 1, "a": 2}', "each name must be there once, got a again"),
        (r'["\ud800"]', "no text in UTF-8"),
        (r'{"\udfff": 1}', "no text in UTF-8"),
        ("{} {}", "Extra data"),
    ],
)
def test_what_readers_do_not_agree_upon_is_refused(content: str | bytes, said: str) -> None:
    with pytest.raises(DataError, match="x is not anything") as caught:
        read_json(content, ANY, source="x")
    assert said in str(caught.value)


def test_a_path_that_is_not_utf8_is_a_text_where_paths_are_held() -> None:
    path = os.fsdecode(b"\xff")
    paths = Form(title="paths", schema=dict, holds_paths=True)
    assert read_json(json.dumps([path]), paths, source="x") == [path]


def line_of(content: bytes) -> str:
    """Why the content is no person; empty if it is one."""
    try:
        read_json(content, PERSON, source="x")
    except DataError as error:
        return str(error)
    return ""


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b'{"a": {"b": [1, {"c": "\\ud83d"}]}}')
def test_any_bytes_are_a_value_or_one_line(content: bytes) -> None:
    assert "\n" not in line_of(content)


def test_values_of_names_that_are_dropped_are_parsed_and_not_kept() -> None:
    text = '{"a": [{"b": 1, "c": 2}], "c": {"a": 3}}'
    assert parse_json(text, dropped=("c",)) == {"a": [{"b": 1}]}
    with pytest.raises(ValueError, match="numbers must be finite, got NaN"):
        parse_json('{"c": NaN}', dropped=("c",))
    with pytest.raises(ValueError, match="each name must be there once, got c again"):
        parse_json('{"c": 1, "c": 2}', dropped=("c",))


def test_the_checker_of_formats_that_takes_seconds_to_import_is_left_out() -> None:
    code = (
        "import sys; from mbexport.documents import Form, require_form; "
        "require_form(1, Form(title='a number', schema=lambda: {'type': 'integer'}), source='x'); "
        "print('jsonschema' in sys.modules, 'rfc3987_syntax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


# ---- TOML


def test_toml_is_read() -> None:
    assert parse_toml(b'a = 1\n[b]\nc = "d"\r\n') == {"a": 1, "b": {"c": "d"}}


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"a",
        b"a = " + b"[" * 100_000,
        b"a = " + b"{b = " * 5_000,
        b"a" + b".a" * 3_000 + b" = 1",
        b"a = 1\na = 2",
    ],
)
def test_what_is_no_toml_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_toml(content)


# ---- files


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "ann.json").write_text(json.dumps(ANN))
    assert read_json_file(tmp_path / "ann.json", PERSON) == ANN


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match=f"{path} cannot be read: no regular file"):
            read_document(path)


def test_a_file_that_is_not_there_or_cannot_be_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json cannot be read: No such file"):
        read_document(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot be read: embedded null byte"):
        read_document(Path("a\0b"))


def test_a_file_beyond_all_measure_is_not_held_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(DataError, match="cannot be read: more than 16777216 bytes"):
        read_document(tmp_path / "large.json")
