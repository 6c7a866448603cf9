"""Tell which characters act on the text around them instead of being seen, and write text without them."""

import unicodedata
from typing import Final

REPLACEMENT: Final = "\ufffd"
LONGEST_NAME: Final = 80  # characters: file names and labels are anybody's
LONGEST_TEXT: Final = 1000
_JOINERS: Final = "\u200c\u200d"  # what Persian, Indic scripts and emoji are spelt with
# The Unicode Standard, section 4.5: controls; formats, among which are those that turn a line's direction; halves of
# UTF-16 pairs, which Python puts where a name is not UTF-8; separators of lines and of paragraphs.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NONCHARACTERS: Final = range(0xFDD0, 0xFDF0)  # section 23.7: these, and the last two of each plane


def is_hidden(char: str) -> bool:
    """Whether a character is not seen but acts: controls a terminal, turns or ends a line, is no character at all."""
    if char.isprintable() or char in _JOINERS:
        return False
    code = ord(char)
    return unicodedata.category(char) in _HIDDEN or code in _NONCHARACTERS or code & 0xFFFE == 0xFFFE


def replaced(text: str, *, keep: str = "") -> str:
    """The text with U+FFFD in the place of each hidden character, but for those of `keep`."""
    if text.isprintable():
        return text
    return "".join(REPLACEMENT if is_hidden(char) and char not in keep else char for char in text)


def one_line(text: str, longest: int) -> str:
    """The text without line breaks and hidden characters; of one longer than `longest` both ends."""
    shown = (REPLACEMENT if is_hidden(char) and not char.isspace() else char for char in text)
    return elided(" ".join("".join(shown).split()), longest)


def elided(text: str, longest: int) -> str:
    """The text, or both ends of one that is longer than `longest` characters."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[: longest - half - 1]}…{text[-half:]}"
