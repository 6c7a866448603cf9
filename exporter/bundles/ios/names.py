"""Spell names and literals so that Swift, Ruby and Markdown read them as the text or number that they stand for."""

import re
import unicodedata
from typing import Final

# A module cannot have these names: Swift's own words, and modules and types that the bundle's sources name.
_TAKEN: Final = frozenset(
    {"Any", "AnyObject", "Classifier", "Element", "Encoding", "Engine", "Foundation", "Protocol", "Resources", "Score"}
    | {"Self", "Settings", "Swift", "Type", "XCTest", "Accelerate", "CoreGraphics", "CoreVideo", "Darwin", "ImageIO"}
    | {"LiteRT", "PackageDescription", "Pixels", "Preprocess", "TensorFlowLiteC", "Testing", "UIKit", "Orientation"}
)
_SURROGATES: Final = range(0xD800, 0xE000)  # halves of UTF-16 pairs: UTF-8 has no bytes for them


def module_name(stem: str) -> str:
    """`stem` in UpperCamelCase, of ASCII letters and digits, with `_` between numbers: legal in Swift and in Ruby."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    words = [word[0].upper() + word[1:] for word in re.findall("[A-Za-z0-9]+", plain)]
    name = re.sub(r"(?<=\d) (?=\d)", "_", " ".join(words)).replace(" ", "")
    if not name[:1].isalpha():
        name = f"Model{name}"
    return f"{name}Model" if name in _TAKEN else name


def file_name(file: str, *, name: str) -> str:
    """`file` if no tool on the way to an app reads its characters as syntax, else a name after the module."""
    return file if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", file) else f"{name}.tflite"


def swift(text: str) -> str:
    """A Swift string literal for `text`."""
    return '"' + "".join(_escaped(char, '"\\') for char in text) + '"'


def ruby(text: str) -> str:
    """A Ruby string literal for `text`."""
    return '"' + "".join(_escaped(char, '"\\#') for char in text) + '"'


def double(number: float) -> str:
    """A Swift literal for the same float64: the shortest decimal that reads back as it."""
    return repr(float(number))


def doubles(numbers: tuple[float, ...]) -> str:
    """A Swift array literal for the same float64 numbers."""
    return f"[{', '.join(map(double, numbers))}]"


def code(text: str) -> str:
    """`text` in Markdown's type for code, in one line."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"`{line}`"


def _escaped(char: str, special: str) -> str:
    if char in special:
        return f"\\{char}"
    if ord(char) in _SURROGATES:
        return "\ufffd"
    return char if char.isprintable() else f"\\u{{{ord(char):x}}}"
