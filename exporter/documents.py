"""Read JSON and TOML that anybody may have written: parsed strictly, checked against a schema, or refused in one line.

This is the one place that parses such files. JSON here is what RFC 8259 calls interoperable: each name once, numbers
that fit into 64 bits, and neither NaN nor half a surrogate pair (decision 0034).
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mbexport.errors import DataError
from mbexport.escaping.terminal import visible
from mbexport.files import read_regular

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

MAX_BYTES: Final = 1 << 24  # of a document: the largest report has a few hundred kB, and to validate this takes seconds
_SHOWN_LETTERS: Final = 200
_SHOWN_VALUE: Final = 60
_MAX_DEPTH: Final = 100  # of lists and objects in each other: a report has ten
_TOO_DEEP: Final = "it is nested too deeply"
_SLOW_CHECKER: Final = "rfc3987_syntax"
_BITS: Final = 64
_DIGITS: Final = 20  # of a whole number that fits into those, with its sign
_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "object": "an object",
        "array": "a list",
        "string": "text",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "null": "null",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """What a document must be: `title` names it in errors ("a report of mbexport"), `schema` makes its JSON Schema.

    Schemas are of draft 2020-12, but that 1.0 is no whole number. With `holds_paths` a text may be a path that is not
    UTF-8, which Python writes as halves of surrogate pairs.
    """

    title: str
    schema: Callable[[], Mapping[str, Any]]
    holds_paths: bool = False


def read_json(content: bytes | str, form: Form, *, source: str | Path) -> Any:
    """The value in the JSON `content` that `source` holds. Raises `DataError`, in one line, unless it has that form."""
    try:
        value = parse_json(content, holds_paths=form.holds_paths)
    except ValueError as error:
        raise refusal(form, source, error) from None
    require_form(value, form, source=source)
    return value


def read_json_file(path: Path, form: Form) -> Any:
    """The same of the file at `path`; raises `DataError`, too, for one that cannot be read."""
    return read_json(read_document(path), form, source=path)


def require_form(value: object, form: Form, *, source: str | Path) -> None:
    """Raise `DataError` unless the parsed `value` has that form; the line says where, and what would be legal."""
    error = _jsonschema().exceptions.best_match(_validator(form).iter_errors(value))
    if error is not None:
        raise refusal(form, source, _reason(error))


def refusal(form: Form, source: str | Path, reason: object) -> DataError:
    """The error for a document in `source` that is not of that form."""
    return DataError(f"{source} is not {form.title}: {_shown(str(reason), _SHOWN_LETTERS)}")


def read_document(path: Path, *, limit_bytes: int = MAX_BYTES) -> bytes:
    """The content of the regular file at `path`, of at most `limit_bytes`.

    Raises `DataError` for anything else. Pipes and devices are not waited for.
    """
    try:
        return read_regular(path, limit_bytes=limit_bytes)
    except (OSError, ValueError) as error:  # the latter for a path with a NUL byte
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse_json(content: bytes | str, *, holds_paths: bool = False, dropped: Collection[str] = ()) -> Any:
    """The value that JSON holds, whatever form it has. Raises `ValueError` for all that readers do not agree upon.

    The values of names that are `dropped` are parsed and not kept: most of a large document may be none of ours.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        value = json.loads(
            text,
            object_pairs_hook=_hook(dropped),
            parse_float=_finite,
            parse_int=_bounded,
            parse_constant=_no_constant,
        )
        if "\\u" in text and not holds_paths:  # an escape is the only way to half a pair, which no text can hold
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise ValueError("it is no text in UTF-8") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _require_shallow(value)
    return value


def parse_toml(content: bytes) -> dict[str, Any]:
    """The table that TOML holds. Raises `ValueError` for anything else."""
    import tomllib

    try:
        value = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeError:
        raise ValueError("it is no text in UTF-8") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _require_shallow(value)
    return value


def _require_shallow(value: object) -> None:
    """Raise `ValueError` for what a parser can read and whoever prints it cannot."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        containers = (each for each in level if isinstance(each, list | dict))
        level = [inner for each in containers for inner in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _hook(dropped: Collection[str]) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    if not dropped:
        return _each_once
    return lambda pairs: {name: value for name, value in _each_once(pairs).items() if name not in dropped}


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):  # readers differ on which of two values counts
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"each name must be there once, got {name} again")
    return fields


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"numbers must be finite, got {text}")
    return value


def _bounded(text: str) -> int:
    value = int(text) if len(text) <= _DIGITS else 1 << _BITS
    if not -(1 << (_BITS - 1)) <= value < 1 << _BITS:
        raise ValueError(f"whole numbers must fit into {_BITS} bits, got {text}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"numbers must be finite, got {name}")


@cache
def _validator(form: Form) -> "Draft202012Validator":
    library = _jsonschema()
    draft = library.Draft202012Validator
    kinds = draft.TYPE_CHECKER.redefine("integer", _is_whole)
    validator: Draft202012Validator = library.validators.extend(draft, type_checker=kinds)(form.schema())
    return validator


@cache
def _jsonschema() -> Any:
    """The library, without a checker of formats that no form asks for: to import that one takes seconds.

    Where that checker is not installed, the library does without it in the same way.
    """
    blocked = _SLOW_CHECKER not in sys.modules
    if blocked:
        sys.modules[_SLOW_CHECKER] = None  # type: ignore[assignment]  # an import of it fails, and is passed over
    try:
        import jsonschema
    finally:
        if blocked:
            del sys.modules[_SLOW_CHECKER]
    return jsonschema


def _is_whole(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _reason(error: "ValidationError") -> str:
    """Where a value is not what the schema says, what it must be, and what it is."""
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    rule, wanted, got = str(error.validator), error.validator_value, error.instance
    if rule == "required":
        return f"{_place(where)} must hold {next(name for name in wanted if name not in got)!r}"
    if rule == "additionalProperties" and isinstance(got, dict):
        known = error.schema.get("properties", {})
        return f"{_place(where)} must hold no {next((name for name in got if name not in known), 'others')!r}"
    legal = _LEGAL.get(rule, lambda _: "be as its schema says")(wanted)
    return f"{_place(where)} must {legal}, got {_shown(json.dumps(got, ensure_ascii=False), _SHOWN_VALUE)}"


def _place(where: str) -> str:
    return where.removeprefix(".") or "it"


def _shown(text: str, letters: int) -> str:
    """The beginning of `text`, in one line that any terminal may show."""
    return visible(text if len(text) <= letters else f"{text[:letters]}…")


def _kinds(names: str | list[str]) -> str:
    return "be " + " or ".join(_NAMES[name] for name in ([names] if isinstance(names, str) else names))


# What each keyword of a schema demands, for the sentence "... must ...".
_LEGAL: Final[Mapping[str, Callable[[Any], str]]] = MappingProxyType(
    {
        "type": _kinds,
        "enum": lambda values: "be one of " + ", ".join(map(str, values)),
        "const": lambda value: f"be {value}",
        "minimum": lambda least: f"be at least {least}",
        "exclusiveMinimum": lambda least: f"be above {least}",
        "maximum": lambda most: f"be at most {most}",
        "minItems": lambda least: f"have at least {least} entries",
        "maxItems": lambda most: f"have at most {most} entries",
        "minLength": lambda _: "be a text that is not empty",
        "pattern": lambda pattern: f"match {pattern}",
    }
)
