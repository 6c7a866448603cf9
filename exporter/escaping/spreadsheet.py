"""Text in CSV that a spreadsheet may open: nothing in it is a formula, a line break or a hidden character."""

from typing import Final

from mbexport.escaping.characters import LONGEST_TEXT, one_line

# What a cell begins with that Excel, LibreOffice or Google Sheets computes (OWASP, "CSV Injection"); line breaks and
# tabs, which do the same, have become spaces. Some programs strip what stands before it.
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_TEXT_MARK: Final = "'"  # what spreadsheets themselves put before text


def cell(text: str) -> str:
    """The text as the content of one cell, which the `csv` module quotes; a text that would be a formula gets a '."""
    shown = one_line(text, LONGEST_TEXT)
    return _TEXT_MARK + shown if shown.startswith(_FORMULA) else shown
