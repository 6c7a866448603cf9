"""Text in XML and HTML: pages, charts, junit.xml, POMs."""

from typing import Final
from xml.sax.saxutils import escape

from mbexport.escaping.characters import replaced

_WHITE: Final = "\t\n\r"  # the only controls that XML has (XML 1.0, section 2.2)


def clean(text: str) -> str:
    """The text without the characters that no document may hold, or that would turn the direction of a line.

    Whoever puts it into a document escapes it: Jinja2, ElementTree, or `escaped`.
    """
    return replaced(text, keep=_WHITE)


def escaped(text: str) -> str:
    """The text as the content of an element, or of an attribute between double quotes."""
    return escape(clean(text), {'"': "&quot;"})
