"""Names of Android packages: make one from a model's name, and refuse those that Android or Java refuse."""

import re
from typing import Final

from mbexport.errors import OptionError

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")
_LONGEST: Final = 150  # characters: the package is the name of a folder of assets, which may have 255 bytes
# The Java Language Specification, 3.9 and 3.10: keywords and literals, none of which is an identifier.
KEYWORDS: Final = frozenset(
    """abstract assert boolean break byte case catch char class const continue default do double else enum extends
    final finally float for goto if implements import instanceof int interface long native new package private
    protected public return short static strictfp super switch synchronized this throw throws transient try void
    volatile while true false null""".split()  # noqa: SIM905 - fifty names read better so
)
# https://kotlinlang.org/docs/keyword-reference.html, the hard keywords that Java does not have: Kotlin quotes them.
_KOTLIN_KEYWORDS: Final = frozenset("as fun in is object typealias typeof val var when".split())  # noqa: SIM905


def default_package(stem: str) -> str:
    """A package for the artifacts called `stem`: `mbexport.mobilenet_v1_0_75_224` for mobilenet_v1_0.75_224."""
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower())[:100].strip("_")
    is_plain = name[:1].isalpha() and name not in KEYWORDS | _KOTLIN_KEYWORDS
    return f"mbexport.{name}" if is_plain else f"mbexport.model_{name}".rstrip("_")


def require_package(name: str) -> str:
    """`name`, if it can be a package in an app. Raises `OptionError` otherwise."""
    segments = name.split(".")
    # The Java virtual machine loads no class of a package that starts with java.
    is_legal = _NAME.fullmatch(name) and KEYWORDS.isdisjoint(segments) and segments[0] != "java"
    if not is_legal or len(name) > _LONGEST:
        raise OptionError(
            f"--android-package must be at least two words of letters, digits and _ that start with a letter, joined "
            f"by dots, no keyword of Java and at most {_LONGEST} characters (com.example.flowers), got {name!r}"
        )
    return name


def pack_name(package: str) -> str:
    """The name of the package's AI pack, and of the files in it: letters, digits and `_` alone."""
    return package.replace(".", "_")


def kotlin_name(package: str) -> str:
    """The package as Kotlin sources spell it: Kotlin's own keywords in backquotes."""
    return ".".join(f"`{each}`" if each in _KOTLIN_KEYWORDS else each for each in package.split("."))
