"""Names, texts and numbers in source code: Swift, Ruby, Kotlin, JavaScript, and the properties of Java.

Each function takes a value that anybody chose, checks that it is of the type that belongs there, and gives `Source`;
templates of source code take nothing else.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from mbexport.errors import DataError
from mbexport.escaping.characters import LONGEST_TEXT, one_line

_LONGEST_SHOWN: Final = 60
_SURROGATES: Final = range(0xD800, 0xE000)  # halves of UTF-16 pairs: UTF-8 has no bytes for them
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|`[A-Za-z_][A-Za-z0-9_]*`")
_SPECIAL: Final = frozenset("\\ \t\f:=#!")  # java.util.Properties reads these as syntax


class Source(str):
    """Text that is spelt for the language of the file that it goes into."""

    __slots__ = ()


def swift(text: str) -> Source:
    """A Swift string literal for `text`."""
    return _braced(text, '"\\')


def ruby(text: str) -> Source:
    """A Ruby string literal for `text`."""
    return _braced(text, '"\\#')


def kotlin(text: str) -> Source:
    """A Kotlin string literal for `text`."""
    return _quoted(text, '"\\$')


def javascript(text: str) -> Source:
    """A JavaScript string literal for `text`; of a name that is not UTF-8, too, since strings hold halves of pairs."""
    return _quoted(text, '"\\')


def properties(values: Mapping[str, str]) -> bytes:
    """A file that `java.util.Properties` reads back as `values`: Latin-1 with escapes, in the order given."""
    lines = (f"{_property(name)}={_property(value)}\n" for name, value in values.items())
    return "".join(lines).encode("ascii")


def comment(text: str) -> Source:
    """`text` in a comment that ends with its line, in any of these languages."""
    return Source(one_line(_text(text), LONGEST_TEXT))


def identifier(name: str) -> Source:
    """The name of a type, a module or a package, whose parts are joined by dots; Kotlin quotes some with backticks."""
    if not all(map(_IDENTIFIER.fullmatch, _text(name).split("."))):
        raise _unusable("a name of letters, digits and _", name)
    return Source(name)


def integer(number: int) -> Source:
    """A literal for a whole number in any of these languages."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise _unusable("a whole number", number)
    return Source(number)


def double(number: float) -> Source:
    """A literal for the same float64 in any of these languages: the shortest decimal that reads back as it."""
    return Source(repr(_finite(number)))


def doubles(numbers: Sequence[float]) -> Source:
    """An array literal of Swift or JavaScript for the same float64 numbers."""
    return Source(f"[{', '.join(map(double, numbers))}]")


def rounded(number: float) -> Source:
    """A number for people, in at most six digits."""
    return Source(f"{_finite(number):g}")


def boolean(value: bool) -> Source:
    """true or false, in any of these languages."""
    if not isinstance(value, bool):
        raise _unusable("true or false", value)
    return Source("true" if value else "false")


def _braced(text: str, special: str) -> Source:
    r"""A literal whose escapes are those that Swift and Ruby share: `\"`, `\u{1b}`."""
    return Source('"' + "".join(_braced_letter(char, special) for char in _text(text)) + '"')


def _braced_letter(char: str, special: str) -> str:
    if char in special:
        return f"\\{char}"
    if ord(char) in _SURROGATES:
        return "\ufffd"
    return char if char.isprintable() else f"\\u{{{ord(char):x}}}"


def _quoted(text: str, special: str) -> Source:
    r"""A literal whose escapes are those that Kotlin and JavaScript share: `\"`, `\u001b`."""
    inside = "".join(f"\\{char}" if char in special else _quoted_letter(char) for char in _text(text))
    return Source(f'"{inside}"')


def _quoted_letter(char: str) -> str:
    return char if char.isprintable() else _units(char)


def _property(text: str) -> str:
    return "".join(map(_property_letter, _text(text)))


def _property_letter(letter: str) -> str:
    if letter in _SPECIAL:
        return "\\" + {"\t": "t", "\f": "f"}.get(letter, letter)
    return letter if " " < letter <= "~" else _units(letter)


def _units(letter: str) -> str:
    """A letter as escapes of the characters of Java, Kotlin and JavaScript: two of them beyond the first plane."""
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise _unusable("a text", value)
    return value


def _finite(number: float) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise _unusable("a finite number", number)
    return float(number)


def _unusable(legal: str, value: object) -> DataError:
    return DataError(f"a bundle's source code needs {legal} where it got {repr(value)[:_LONGEST_SHOWN]}")
