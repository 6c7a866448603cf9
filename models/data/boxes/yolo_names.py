"""Read the names of YOLO's classes: `names:` of data.yaml in the forms that tools write, or a text with a name a line.

Of YAML this is `[a, b]`, which may run over lines, lines `- a`, and lines `0: a`; names may be quoted. Whatever else
YAML can say is refused rather than guessed.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.escaping.terminal import visible
from mbexport.models.data.boxes.class_order import NamedClasses
from mbexport.models.data.boxes.places import files_in, read_annotation
from mbexport.models.data.classes_file import read_labels
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.names import can_be_label

CLASSES_FILE: Final = "classes.txt"  # labelImg writes it beside the boxes
_YAMLS: Final = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_TEXTS: Final = (CLASSES_FILE, "obj.names")
_MOST_BYTES: Final = 1 << 20
_MOST_SHOWN: Final = 60  # letters of what anybody wrote
_KEY: Final = re.compile(r"(names|nc)[ \t]*:(?:[ \t]+(.*))?")
_ITEM: Final = re.compile(r"-[ \t]+(.*)")
_NUMBERED: Final = re.compile(r"(['\"]?)(\d{1,6})\1[ \t]*:[ \t]+(.*)")
# YAML 1.2.2, section 7.3: text in single quotes, where two stand for one; in double quotes, here without escapes; or
# plain, which begins with no indicator. In brackets plain text ends with a comma.
_QUOTED: Final = r"""'(?P<single>(?:[^']|'')*)'|"(?P<double>[^"\\]*)\""""
_FIRST: Final = r"""(?:[^\s\-?:,\[\]{}\#&*!|>'"%@`]|[\-?:](?=[^\s,\[\]{}]))"""
_IN_BRACKETS: Final = re.compile(rf"{_QUOTED}|(?P<plain>{_FIRST}[^,\[\]{{}}]*)")
_IN_LINE: Final = re.compile(rf"{_QUOTED}|(?P<plain>{_FIRST}.*)")
_NO_PLAIN: Final = re.compile(r":\s|:$")  # a mapping
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_BLANKS: Final = re.compile(r"\s*")
_BREAK: Final = re.compile(r"[ \t]*\n\s*")


def find_names(folder: DataFolder, places: Iterable[Path]) -> NamedClasses | None:
    """The classes that a YAML in the data folder names, else a text there or beside boxes; None without such a file.

    Raises `DataError` for a file that cannot be read.
    """
    root = folder.root
    yamls = files_in(root, ".yaml", ".yml")
    usual = [name for name in _YAMLS if name in yamls]
    for name in usual[:1] or (yamls if len(yamls) == 1 else []):
        labels = parse_names(read_annotation(folder, root / name, limit_bytes=_MOST_BYTES), root / name)
        return NamedClasses(source=root / name, labels=labels)
    texts = [root / name for name in _TEXTS] + [place / CLASSES_FILE for place in places]
    for path in filter(os.path.lexists, texts):
        folder.admit(path)
        return NamedClasses(source=path, labels=read_labels(path, least=1))
    return None


def parse_names(content: bytes, path: Path) -> tuple[str, ...]:
    """The names of the classes in a data.yaml. Raises `DataError` for a form that is not read, and without any."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise _refusal(path, "text that is not UTF-8") from None
    found: dict[str, tuple[str, Sequence[str]]] = {}
    for number, line in enumerate(lines, start=1):
        matched = _KEY.fullmatch(line.rstrip())
        if matched and matched[1] in found:
            raise _refusal(path, f"{matched[1]} twice")
        if matched:
            found[matched[1]] = (matched[2] or "", lines[number:])
    value, following = found.get("names", ("", ()))
    names = _of_list(value, following, path) if value.startswith("[") else _of_lines(value, following, path)
    count = _COMMENT.sub("", found["nc"][0]).strip() if "nc" in found else str(len(names))
    if not names or count != str(len(names)):
        raise _refusal(path, f"{len(names)} names" + (f" and nc: {count}" if names else ""))
    return tuple(names)


def _of_list(value: str, following: Sequence[str], path: Path) -> list[str]:
    """The names in brackets, which may run over lines."""
    text = "\n".join([value, *following])
    names: list[str] = []
    at = _after_blanks(text, 1)
    while not (names and text.startswith("]", at)):
        matched = _IN_BRACKETS.match(text, at)
        if matched is None:
            raise _refusal(path, text[at:])
        names.append(_scalar(matched, path))
        at = _after_blanks(text, matched.end())
        if not text.startswith((",", "]"), at):
            raise _refusal(path, text[at:])
        at = _after_blanks(text, at + text.startswith(",", at))
    rest = text[at + 1 :].partition("\n")[0]
    if _COMMENT.sub("", rest).strip():
        raise _refusal(path, rest)
    return names


def _after_blanks(text: str, start: int) -> int:
    """The place of the first letter from `start` on that is no blank."""
    return _BLANKS.match(text, start).end()  # type: ignore[union-attr]  # it matches nothing, too


def _of_lines(value: str, following: Sequence[str], path: Path) -> list[str]:
    """The names in the lines below the key, each behind a dash or behind its number."""
    if _COMMENT.sub("", value).strip():
        raise _refusal(path, value)
    items: list[str] = []
    numbered: dict[int, str] = {}
    for line in following:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if not line.startswith((" ", "\t", "-")) or text == "---":
            break
        item, number = _ITEM.fullmatch(text), _NUMBERED.fullmatch(text)
        if item:
            items.append(_of_line(item[1], path))
        elif number and int(number[2]) not in numbered:
            numbered[int(number[2])] = _of_line(number[3], path)
        else:
            raise _refusal(path, text)
    if sorted(numbered) != list(range(len(numbered))) or (items and numbered):
        raise _refusal(path, "numbers that are not 0, 1, 2 ...")
    return items or [numbered[number] for number in range(len(numbered))]


def _of_line(text: str, path: Path) -> str:
    matched = _IN_LINE.match(text)
    if matched is None or (matched["plain"] is None and _COMMENT.sub("", text[matched.end() :]).strip()):
        raise _refusal(path, text)
    return _scalar(matched, path)


def _scalar(matched: re.Match[str], path: Path) -> str:
    """The name that one quoted or plain text says; a break of lines in it is a blank."""
    if matched["single"] is not None:
        text = matched["single"].replace("''", "'")
    elif matched["double"] is not None:
        text = matched["double"]
    else:
        text = _COMMENT.sub("", matched["plain"]).strip()
        if _NO_PLAIN.search(text):
            raise _refusal(path, text)
    name = _BREAK.sub(" ", text)
    if not name.strip():
        raise _refusal(path, "a name without letters")
    if not can_be_label(name):
        raise _refusal(path, f"{name}, which is no name of a class")
    return name


def _refusal(path: Path, got: str) -> DataError:
    legal = "must name its classes as names: [a, b], or below names: in lines - a or 0: a"
    return DataError(f"{path} {legal}, got {visible(got.strip(), _MOST_SHOWN)}: give --classes FILE")
