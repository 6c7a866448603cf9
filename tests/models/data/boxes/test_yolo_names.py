"""Names of classes in data.yaml: the forms that tools write are read as YAML has them, others are refused."""

import os
import re
from pathlib import Path

import pytest
import yaml
from boxes_by_hand import Photo, text, write_yolo
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.data.boxes.open import open_boxed
from mbexport.models.data.boxes.yolo_names import parse_names

FILE = Path("data.yaml")


def parsed(content: str) -> tuple[str, ...]:
    return parse_names(content.encode(), FILE)


@pytest.mark.parametrize(
    "content",
    [
        "names: ['a', \"b\", c d]\nnc: 3\n",
        "nc: 3  # classes\nnames: [a,b,\n  c d]  # in their order\n",
        "names: [ a, b, c d, ]\n",
        "names:\n- a\n- 'b'\n- c d\nnc: 3\n",
        "path: ../x\nnames:\n\n  # the classes\n  - a\n  - b # second\n  - c d\n\nval: y\n",
        "names:\n  0: a\n  1: 'b'\n  2: c d\ndownload: |\n  names: [z]\n",
        "names:\n  2: c d\n  0: a\n  1: b\n",
        "\ufeffnames:\r\n  - a\r\n  - b\r\n  - c d\r\nnc: 3\r\n",
        "---\nnames: [a, b, 'c\n  d']\n",
        "names:\n    '0': a\n    '1': b\n    \"2\": c d\n",
    ],
)
def test_every_form_that_tools_write(content: str) -> None:
    assert parsed(content) == ("a", "b", "c d")
    value = yaml.safe_load(content)["names"]
    assert list(value.values() if isinstance(value, dict) else value)[:1] in (["a"], ["c d"])


def test_names_with_signs() -> None:
    assert parsed("names: ['it''s', 'a, b', '10 #1', x#y, -1, a:b]") == ("it's", "a, b", "10 #1", "x#y", "-1", "a:b")
    assert parsed("names:\n- a, b\n- x [y] #z\n- 10 of clubs\n- no\n") == ("a, b", "x [y]", "10 of clubs", "no")


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ("nc: 2", "0 names"),
        ("names:\nnc: 0\n", "0 names"),
        ("names: []", "]"),
        ("names: [a, b]\nnc: 3", "2 names and nc: 3"),
        ("names: [a, b", ""),
        ("names: [a, b] c", "c"),
        ("names: [a, [b]]", "[b]]"),
        ("names: [a: 1]", "a: 1"),
        ("names: [, a]", ", a]"),
        ("names: [&x a, *x]", "&x a, *x]"),
        ("names: {0: a, 1: b}", "{0: a, 1: b}"),
        ("names: a b", "a b"),
        ("names: !!set {a}", "!!set {a}"),
        ("names: |\n  a\n", "|"),
        ('names: ["a\\n"]', '"a\\n"]'),
        ("names: ['']", "a name without letters"),
        ("names:\n- a\n- b: c\n", "b: c"),
        ("names:\n- &x a\n", "&x a"),
        ("names:\n- 'a' b\n", "'a' b"),
        ("names:\n- a\n  b\n", "b"),
        ("names:\n  0: a\n  2: b\n", "numbers that are not 0, 1, 2 ..."),
        ("names:\n  0: a\n  0: b\n", "0: b"),
        ("names:\n  1: a\n  2: b\n", "numbers that are not 0, 1, 2 ..."),
        ("names:\n  0: a\n  - b\n", "numbers that are not 0, 1, 2 ..."),
        ("names:\n  cat: 0\n", "cat: 0"),
        ("names: [a]\nnames: [b]\n", "names twice"),
    ],
)
def test_other_forms_are_refused_in_one_line(content: str, got: str) -> None:
    with pytest.raises(DataError) as caught:
        parsed(content)
    legal = "data.yaml must name its classes as names: [a, b], or below names: in lines - a or 0: a, got "
    assert str(caught.value) == f"{legal}{got}: give --classes FILE"


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(DataError, match="got text that is not UTF-8: give --classes FILE"):
        parse_names(b"names: [\xff]", FILE)


@given(
    st.lists(st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=1, max_size=12), min_size=1),
    st.booleans(),
)
def test_names_with_any_signs_are_read_as_yaml_has_them_or_refused(names: list[str], is_flow: bool) -> None:
    written = (
        "names: " + yaml.safe_dump(names, default_flow_style=True) if is_flow else yaml.safe_dump({"names": names})
    )
    assert yaml.safe_load(written)["names"] == names
    try:
        assert list(parsed(written)) == names
    except DataError:
        assert not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_., ]*", name.strip()) for name in names)


@given(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_ .-]{0,8}[A-Za-z0-9]", fullmatch=True), min_size=1, max_size=60))
def test_plain_names_are_read_from_every_form(names: list[str]) -> None:
    for value in (names, dict(enumerate(names))):
        assert parsed(yaml.safe_dump({"names": value, "nc": len(names)})) == tuple(names)
    assert parsed("names: " + yaml.safe_dump(names, default_flow_style=True)) == tuple(names)


def test_any_one_yaml_with_names_will_do_and_the_usual_one_goes_first(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, [Photo(name="a", boxes=[("x", 0, 0, 9, 9)])])
    (root / "data.yaml").rename(root / "wildlife.yaml")
    assert open_boxed(root).class_names == ("x",)
    text(root / "dataset.yml", "names: [y]")
    assert open_boxed(root).class_names == ("y",)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
@pytest.mark.timeout(60)
def test_names_lie_in_a_regular_file(tmp_path: Path, make) -> None:
    root = write_yolo(tmp_path / "data", [Photo(name="a", boxes=[("cat", 1, 1, 5, 5)])])
    (root / "data.yaml").unlink()
    make(root / "labels" / "classes.txt")
    with pytest.raises(DataError, match=r"classes\.txt cannot be read: no regular file"):
        open_boxed(root)


@pytest.mark.parametrize("content", ["names: ['\x1b[2J', dog]", "names:\n- cat\n- d\x9bog\n", 'names: [a, "b\x07"]'])
def test_a_name_without_a_letter_that_commands_a_terminal(content: str) -> None:
    with pytest.raises(DataError, match="is no name of a class"):
        parsed(content)
