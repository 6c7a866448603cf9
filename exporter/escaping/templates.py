"""Templates that fail closed: what is put into one is spelt for its language, or nothing is rendered."""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mbexport.escaping.characters import LONGEST_TEXT
from mbexport.escaping.markdown import code, prose
from mbexport.escaping.source import (
    Source,
    boolean,
    comment,
    double,
    doubles,
    identifier,
    integer,
    javascript,
    kotlin,
    rounded,
    ruby,
    swift,
)

_Filters = tuple[Callable[[Any], Source], ...]
_LANGUAGES: Final[Mapping[str, _Filters]] = MappingProxyType(
    {
        "swift": (swift, boolean, double, doubles, integer, identifier, comment),
        "ruby": (ruby, comment),
        "kotlin": (kotlin, identifier, comment),
        "java": (),
        "javascript": (javascript, boolean, double, doubles, integer, comment),
    }
)
_FENCED: Final[_Filters] = (swift, ruby, kotlin, javascript, double, rounded, identifier, comment)


@cache
def source_templates(package: str, language: str) -> Environment:
    """The templates in the folder of `package` that give source code, with the filters of that `language` alone.

    What has gone through none of them, and is no whole number, raises `TypeError`.
    """
    return _environment(package, _source, {each.__name__: each for each in _LANGUAGES[language]})


@cache
def markdown_templates(package: str) -> Environment:
    """The templates in the folder of `package` that give Markdown: text is shown as written, `Markup` is Markdown.

    The filter `code` sets a name as code. In a fenced block stands what a filter of its language gave, and `fenced`
    after that.
    """
    filters = {each.__name__: each for each in _FENCED}
    return _environment(package, _markdown, {**filters, "code": _code, "fenced": _fenced})


def _environment(
    package: str, finalize: Callable[[Any], Any], filters: Mapping[str, Callable[[Any], str]]
) -> Environment:
    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=False,  # that is HTML's; `finalize` is that of the language
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=finalize,
    )
    environment.filters.update(filters)
    return environment


def _source(value: Any) -> Any:
    if isinstance(value, Source) or type(value) is int:
        return value
    raise TypeError(f"a template of source code must spell each value by a filter of its language, got {value!r}")


def _markdown(value: Any) -> Any:
    return value if isinstance(value, Markup) or type(value) is int else prose(str(value))


def _code(text: str) -> Markup:
    return Markup(code(text, LONGEST_TEXT))


def _fenced(literal: Source) -> Markup:
    if not isinstance(literal, Source) or len(literal.splitlines()) > 1:
        raise TypeError(f"a fenced block must hold what a filter of its language gave, got {literal!r}")
    return Markup(literal)
