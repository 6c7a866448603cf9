"""Format the numbers and names of a report as its page shows them."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from markupsafe import Markup, escape

from mbexport.escaping import characters
from mbexport.escaping.markup import clean

Json = dict[str, Any]

NOTHING: Final = "\u2013"  # what was not measured
_MINUS: Final = "\u2212"
_SURELY: Final = 0.001  # a smaller p-value is written as "< 0.001"
_LONGEST_NAME: Final = 22  # characters beside a chart on a phone


def number(value: float | None) -> str:
    """A number as `--gate` takes it: four digits, a true minus sign; a dash for what was not measured."""
    if value is None:
        return NOTHING
    return _signed(f"{value:,}" if isinstance(value, int) else f"{value:.4g}")


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction of 0..1 in percent."""
    return NOTHING if value is None else _signed(f"{100 * value:.{digits}f}") + "%"


def points(value: float | None) -> str:
    """A difference of two fractions in percentage points."""
    return NOTHING if value is None else _signed(f"{100 * value:.1f}")


def percents(interval: Sequence[float | None] | None, digits: int = 1) -> str:
    """An interval of fractions in percent, without the sign; empty if there is none."""
    return _interval(interval, lambda value: f"{100 * value:.{digits}f}")


def intervals(interval: Sequence[float | None] | None) -> str:
    """An interval of precisions, 0 to 1; empty if there is none."""
    return _interval(interval or None, lambda value: f"{value:.3f}")


def numbers(interval: Sequence[float | None] | None) -> str:
    """An interval of numbers; empty if there is none."""
    return _interval(interval, lambda value: f"{value:.4g}")


def ratios(interval: Sequence[float | None] | None) -> str:
    """An interval of ratios; empty if there is none."""
    return _interval(interval, lambda value: f"{value:.2f}")


def decimals(value: float | None, digits: int = 2) -> str:
    """A number with that many decimals."""
    return NOTHING if value is None else _signed(f"{value:.{digits}f}")


def milliseconds(value: float | None) -> str:
    """Three digits or more, without the unit: 3.12, 13.6, 174."""
    if value is None:
        return NOTHING
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def megabytes(value: float | None) -> str:
    """Bytes in millions of them, without the unit."""
    return NOTHING if value is None else f"{value / 1e6:.2f}"


def probability(value: float | None) -> str:
    """A p-value."""
    if value is None:
        return NOTHING
    return f"< {_SURELY}" if value < _SURELY else f"{value:.3f}"


def sentence(text: str) -> str:
    """The text with a capital at its beginning, unless that is a name: of a file, an option, a gate, a layer."""
    first = re.match(r"[^\s:,;]*", text)
    is_word = first is not None and first[0].isalpha() and first[0].islower()
    return text[:1].upper() + text[1:] if is_word else text


def code_spans(text: str) -> Markup:
    """The text, escaped, with what stands between backticks set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(clean(text)))))


def breakable(text: str) -> Markup:
    """A file's name, escaped, that may be broken after what stands between its words."""
    return Markup(re.sub(r"(?<=[_./])(?=\w)", "<wbr>", str(escape(clean(text)))))


def elided(text: str) -> str:
    """The text, or its two ends if it is longer than fits beside a chart."""
    return characters.elided(text, _LONGEST_NAME)


def short_names(files: Sequence[str]) -> list[str]:
    """Each name without the words that all of them begin with; the whole name where nothing would be left."""
    whole = [re.findall(r"[^_\-./ ]*[_\-./ ]?", name) for name in files]
    shared = 0
    if len(files) > 1:
        while all(len(words) > shared + 1 for words in whole) and len({words[shared] for words in whole}) == 1:
            shared += 1
    return ["".join(words[shared:]) or name for words, name in zip(whole, files, strict=True)]


def at_percentile(curve: Mapping[float, float], wanted: float) -> float:
    """The time at a percentile, between its neighbours if the curve does not hold it, its end beyond that."""
    known = sorted(curve)
    if wanted in curve or not known[0] <= wanted <= known[-1]:
        return curve[min(known, key=lambda one: abs(one - wanted))]
    below, above = next((low, high) for low, high in pairwise(known) if low <= wanted <= high)
    return curve[below] + (curve[above] - curve[below]) * (wanted - below) / (above - below)


def _interval(interval: Sequence[float | None] | None, form: Any) -> str:
    if interval is None or any(value is None for value in interval):
        return ""
    return " to ".join(_signed(form(value)) for value in interval)


def _signed(text: str) -> str:
    """A minus sign instead of a hyphen; zero has none."""
    return re.sub(r"^-(?=0(\.0*)?$)", "", text).replace("-", _MINUS)
