"""Text in Markdown, as GitHub and GitLab read it, and tables of it."""

import re
from collections.abc import Sequence
from typing import Final

from mbexport.escaping.characters import LONGEST_NAME, LONGEST_TEXT, one_line

_BREAK: Final = "\u200b"
_PLAIN: Final = re.compile(r"[\w.,/+=()-]+(?: [\w.,/+=()-]+)*")
# Underscores inside words are none, by GitHub's and GitLab's rules.
_MARKUP: Final = re.compile(rf"[&<>|`*~$^{{}}\[\]\\{_BREAK}]|_(?![^\W_])|(?<![^\W_])_")
# What either server makes a link of, even behind an entity: @user, #1, !1, %1, ~label, :emoji:, http://, www., GH-1.
_LINKED: Final = re.compile(r'([@#!%&~$^:](?=[\w"/])|www(?=\.)|GH(?=-))')
# What makes a heading, a list or a rule of a line that begins with it: its last character is escaped.
_LEADING: Final = re.compile(r"^(?:[-+=]*(?=[-+=](?:\s|$))|\d{1,9}(?=[.)](?:\s|$))|#{0,5}(?=#(?:\s|$))).")


def code(text: str, longest: int = LONGEST_NAME) -> str:
    """Set a name as code, in which servers look for no users and no links."""
    line = one_line(text, longest)
    return f"`{line}`" if _PLAIN.fullmatch(line) else f"<code>{_escaped(line)}</code>"


def prose(text: str, longest: int = LONGEST_TEXT) -> str:
    """Escape a text so that it is shown as it is written, in one line."""
    line = one_line(text, longest)
    leading = _LEADING.match(line)
    if leading is None:
        return _escaped(line)
    return f"{leading[0][:-1]}&#{ord(leading[0][-1])};{_escaped(line[leading.end() :])}"


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
