"""Turns a finished report into the files that lie beside report.json: a page for people, results for CI."""

from collections.abc import Mapping
from typing import Any, Final

from mbexport.reporting.junit import junit
from mbexport.reporting.page import page

PAGE: Final = "report.html"
JUNIT: Final = "junit.xml"


def rendered(report: dict[str, Any], pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    """The content of each file, by name; `pictures` are JPEGs by the names of the images that the report shows."""
    return {PAGE: page(report, pictures), JUNIT: junit(report)}
