"""The templates of pages: what is put into one is escaped, what it lacks is an error, and numbers have filters."""

from functools import cache
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mbexport.escaping.markup import clean
from mbexport.report.advice import advice
from mbexport.report.page import numbers
from mbexport.report.page.facts import facts

_NUMBERS: Final = (
    *("number", "percent", "points", "percents", "numbers", "ratios", "decimals", "milliseconds", "megabytes"),
    *("breakable", "probability", "sentence", "intervals"),
)


@cache
def page_templates(*packages: str) -> Environment:
    """The templates in the folders of `packages`; of two that have one name, that of the first package."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ".") for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters.update((word, getattr(numbers, word)) for word in _NUMBERS)
    environment.filters.update(facts=facts, advice=advice, spans=numbers.code_spans)
    return environment


def _finalized(value: Any) -> Any:
    """Text without the characters that no page may hold; Markup stays as it is."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
