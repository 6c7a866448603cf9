"""Turns the templates of this package into texts for developers: Markdown, Kotlin, Swift, Ruby."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment() -> Environment:
    """Where the templates are found; no HTML, so that each language's own filters escape what needs it."""
    return Environment(
        loader=PackageLoader("mbexport.bundles", "."),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
