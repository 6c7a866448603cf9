"""Text on a terminal or in the log of a CI server: what would command either is shown as an escape."""

import json
import re
import shlex
from collections.abc import Iterable
from typing import Any, Final

from mbexport.escaping.characters import elided, is_hidden

LONGEST_CELL: Final = 300  # characters: a file's name has at most 255 bytes, a layer's may have any number
# Runners of GitHub and Azure obey a line that begins with `::`, and `##[` or `##vso[` anywhere in a line; TeamCity
# `##teamcity[`. (actions/runner, src/Runner.Common/ActionCommand.cs)
_COMMAND: Final = re.compile(r"^(\s*):(?=:)|##(?=\w*\[)")


def visible(text: str, longest: int | None = None) -> str:
    r"""The text in one line, its hidden characters shown as escapes such as `\x1b`; of a longer one than `longest`
    both ends.
    """
    shown = text if longest is None else elided(text, longest)
    if not shown.isprintable():
        shown = "".join(char.encode("unicode_escape").decode() if is_hidden(char) else char for char in shown)
    return _COMMAND.sub(lambda found: r"#\x23" if found[0] == "##" else rf"{found[1]}\x3a", shown)


def visible_lines(lines: Iterable[str]) -> str:
    """The lines, each of which stays one, joined by line breaks."""
    return "\n".join(map(visible, lines))


def json_text(value: Any) -> str:
    """The value as JSON that is as harmless on a terminal as it is in a file: letters stay, hidden ones are escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if not text.replace("\n", "").isprintable():
        text = "".join(json.dumps(char)[1:-1] if is_hidden(char) and char != "\n" else char for char in text)
    return re.sub(r"##(?=\w*\[)", r"#\\u0023", text)


def shell_word(path: str) -> str:
    """A path as one word of bash or zsh that no program takes for an option."""
    word = f"./{path}" if path.startswith("-") else path
    if not any(map(is_hidden, word)):
        return shlex.quote(word)
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    spelt = (_byte_escapes(char) if is_hidden(char) else char for char in plain)
    return f"$'{''.join(spelt)}'"


def posix_command(words: Iterable[str]) -> str:
    """The words as a command of any POSIX shell, such as Android's, that reads each of them back as it is."""
    return shlex.join(words)


def _byte_escapes(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
