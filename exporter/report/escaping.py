"""Escape text for Markdown, on GitHub and on GitLab, and write tables."""

import re
from collections.abc import Sequence
from typing import Final

LONGEST_NAME: Final = 80  # characters: file names and labels are anybody's
LONGEST_TEXT: Final = 1000
_JOINERS: Final = "\u200c\u200d"  # what Persian, Indic scripts and emoji are spelt with
_BREAK: Final = "\u200b"
_PLAIN: Final = re.compile(r"[\w.,/+=()-]+(?: [\w.,/+=()-]+)*")
# Underscores inside words are none, by GitHub's and GitLab's rules.
_MARKUP: Final = re.compile(rf"[&<>|`*~$^{{}}\[\]\\{_BREAK}]|_(?![^\W_])|(?<![^\W_])_")
# What either server makes a link of, even behind an entity: @user, #1, !1, %1, ~label, :emoji:, http://, www., GH-1.
_LINKED: Final = re.compile(r'([@#!%&~$^:](?=[\w"/])|www(?=\.)|GH(?=-))')


def code(text: str, longest: int = LONGEST_NAME) -> str:
    """Set a name as code, in which servers look for no users and no links."""
    line = one_line(text, longest)
    return f"`{line}`" if _PLAIN.fullmatch(line) else f"<code>{_escaped(line)}</code>"


def prose(text: str, longest: int = LONGEST_TEXT) -> str:
    """Escape a text so that it is shown as it is written, in one line."""
    return _escaped(one_line(text, longest))


def one_line(text: str, longest: int) -> str:
    """The text without line breaks and unprintable characters; of one longer than `longest` both ends."""
    shown = (char if char.isprintable() or char.isspace() or char in _JOINERS else "\ufffd" for char in text)
    line = " ".join("".join(shown).split())
    if len(line) <= longest:
        return line
    half = longest // 2
    return f"{line[: longest - half - 1]}…{line[-half:]}"


def table(names: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1, most: int = 40) -> str:
    """Write a table of cells that are Markdown; its first `texts` columns are left-aligned.

    At most `most` rows are shown; a last line counts those that are not.
    """
    marks = [":--"] * texts + ["--:"] * (len(names) - texts)
    lines = ["| " + " | ".join(cells) + " |" for cells in (names, marks, *rows[:most])]
    left_out = [f"\n… and {len(rows) - most} more: see report.json"] if len(rows) > most else []
    return "\n".join([*lines, *left_out])


def details(summary: str, body: str) -> str:
    """Fold `body` under `summary`. Servers read `body` as Markdown because of the empty lines around it."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _escaped(line: str) -> str:
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", _LINKED.sub(rf"\g<0>{_BREAK}", line))
