"""Files of classes: folders and labels of several words, tabs, ids, and what names no class."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.data.classes_file import Classes, read_classes, read_labels

FLOWERS = "ox-eye daisy\ncommon dandelion\nred rose\nsunflower\ngarden tulip\n"
WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)
NAMES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        (tmp_path / "classes.txt").write_text(text, "utf-8")
        return tmp_path / "classes.txt"

    return write


# ---- labels alone


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (FLOWERS, ("ox-eye daisy", "common dandelion", "red rose", "sunflower", "garden tulip")),
        ("great white shark\ngreat grey owl\n", ("great white shark", "great grey owl")),
        ("crane\ncrane\n", ("crane", "crane")),  # ImageNet has two
        ("n01440764 tench\nn01443537 goldfish, Carassius auratus\n", ("tench", "goldfish, Carassius auratus")),
        ("0 red rose\n1 tulip\n2 daisy\n", ("red rose", "tulip", "daisy")),
        ("1 red rose\n2 tulip\n", ("red rose", "tulip")),
        ("7 up\n1 cola\n", ("7 up", "1 cola")),
        ("rose\tred rose\ntulip\n", ("red rose", "tulip")),
        ("and/or\n..\n", ("and/or", "..")),  # no folder is meant
    ],
)
def test_without_folders_a_line_is_a_label(written, text: str, labels: tuple[str, ...]) -> None:
    assert read_labels(written(text)) == labels


@given(st.lists(NAMES, min_size=2, max_size=8))
def test_labels_come_back_as_they_were_written(tmp_path_factory, names: list[str]) -> None:
    file = tmp_path_factory.mktemp("labels") / "labels.txt"
    file.write_text("\n".join(["a rose", *names]), "utf-8")  # the first line: no numbers and no ids
    assert read_labels(file) == ("a rose", *names)


def test_one_label_is_not_enough(written) -> None:
    with pytest.raises(DataError, match="must have at least 2 labels, got 1"):
        read_labels(written("rose\n\n"))


# ---- folders and labels


@pytest.mark.parametrize(
    ("text", "folders", "expected"),
    [
        # A whole line is a folder's name.
        (
            "red rose\ngarden tulip\n",
            {"red rose", "garden tulip"},
            [("red rose", "red rose"), ("garden tulip", "garden tulip")],
        ),
        # The longest name counts.
        ("red rose dark\nred pale\n", {"red", "red rose"}, [("red rose", "dark"), ("red", "pale")]),
        ("red\nred rose\n", {"red", "red rose"}, [("red", "red"), ("red rose", "red rose")]),
        # A folder of one word and its label, also where another class has no folder.
        (
            "n02 great white shark\nn03   hen\nn01\n",
            {"n01", "n02"},
            [("n02", "great white shark"), ("n03", "hen"), ("n01", "n01")],
        ),
        # Without any label, a class without a folder has none either.
        ("red rose\nsunflower\n", {"sunflower"}, [("red rose", "red rose"), ("sunflower", "sunflower")]),
        # A tab decides.
        (
            "red rose\tRosa gallica\nno folder\ta label\n",
            {"red rose"},
            [("red rose", "Rosa gallica"), ("no folder", "a label")],
        ),
        ("hen n/a\nowl\n", {"owl"}, [("hen", "n/a"), ("owl", "owl")]),
    ],
)
def test_folders_and_labels_by_hand(written, text: str, folders: set[str], expected: list[tuple[str, str]]) -> None:
    names, labels = zip(*expected, strict=True)
    assert read_classes(written(text), folders) == Classes(folders=names, labels=labels)


@given(st.dictionaries(NAMES, NAMES, min_size=2, max_size=6), st.sampled_from(["\t", " \t "]))
def test_folder_and_label_behind_a_tab_come_back(tmp_path_factory, classes: dict[str, str], between: str) -> None:
    file = tmp_path_factory.mktemp("classes") / "classes.txt"
    file.write_text("".join(f"{name}{between}{label}\n" for name, label in classes.items()), "utf-8")
    expected = Classes(folders=tuple(classes), labels=tuple(classes.values()))
    assert read_classes(file, set(classes)) == expected


@given(st.sets(NAMES, min_size=2, max_size=6))
def test_lines_that_are_names_of_folders_are_classes_of_these_names(tmp_path_factory, names: set[str]) -> None:
    file = tmp_path_factory.mktemp("classes") / "classes.txt"
    ordered = tuple(sorted(names, reverse=True))
    file.write_text("\n".join(ordered), "utf-8")
    assert read_classes(file, names) == Classes(folders=ordered, labels=ordered)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("great white shark\nsunflower\ngreat grey owl\n", "line 3 names great twice"),
        ("sunflower\n\nsunflower\n", "line 3 names sunflower twice"),
        ("great\n", "must name at least 2 different folders, got 1"),
        ("../great x\nsunflower\n", "must name folders inside the data folder, got ../great"),
        ("a\0b\nsunflower\n", "must be a name of UTF-8 without control characters, got 'a\\x00b'"),
    ],
)
def test_what_names_no_classes_is_refused(written, text: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_classes(written(text), {"great", "sunflower"})
    assert said in str(caught.value)


@pytest.mark.timeout(20)
def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"\xe9t\xe9\nhiver\n")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    for name in ("pipe", "latin", "large", "missing", "."):
        for read in (read_labels, lambda file: read_classes(file, {"a", "b"})):
            with pytest.raises(DataError, match="cannot be read"):
                read(tmp_path / name)


def test_longer_line_than_any_name_of_a_folder_is_a_class_without_one(written) -> None:
    long = "x" * 300 + " y"
    assert read_classes(written(f"{long}\nb\n"), {"b"}).folders == (long, "b")


def test_one_class_is_enough_where_the_caller_says_so(written) -> None:
    file = written("face\n")
    assert read_classes(file, {"face"}, least=1).labels == read_labels(file, least=1) == ("face",)
    with pytest.raises(DataError, match="must name at least 1 different folders, got 0"):
        read_classes(written("\n"), set(), least=1)
    with pytest.raises(DataError, match="must have at least 1 labels, got 0"):
        read_labels(written(""), least=1)


@pytest.mark.parametrize("line", ["\x1b[2Jcat", "c\x9bat", "cat\x07", "cat\tc\x7fat"])
def test_a_line_with_a_letter_that_commands_a_terminal_is_refused(written, line: str) -> None:
    for read in (read_labels, lambda file: read_classes(file, {"cat"})):
        with pytest.raises(DataError, match=r"line 2 of the classes file .* must be a name of UTF-8 without control"):
            read(written(f"dog\n{line}\nbird\n"))


# ---- classes of folders


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "\x1b[31m", "a\x85b", "a\u2028b", "\udcff"])
def test_name_that_cannot_be_a_label_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="a class must have a name of UTF-8 without control characters, got b"):
        Classes.of_folders({"fine", name})


@given(st.sets(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1), min_size=1))
def test_any_other_name_is_a_label(names: set[str]) -> None:
    classes = Classes.of_folders(names)
    assert classes.folders == classes.labels == tuple(sorted(names))
