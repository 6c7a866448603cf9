"""Render report.html: a report, and pictures of its images, as one page that loads nothing else."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from markupsafe import Markup

from mbexport.formats.registry import FORMATS
from mbexport.report.page import numbers
from mbexport.report.page import view as page_view
from mbexport.report.page.charts import charts
from mbexport.report.page.headline import gate_counts, tiles
from mbexport.report.page.numbers import Json
from mbexport.report.page.palette import COLOURS
from mbexport.report.page.registry import page_of
from mbexport.report.page.templates import page_templates
from mbexport.report.tasks.registry import network_title

_HERE: Final = "mbexport.report.page"


def page(report: Json, pictures: Mapping[str, bytes]) -> bytes:
    """Render the page as UTF-8 HTML; the same report and pictures give the same bytes.

    `report` is report.json of a build, an export or `verify`. `pictures` are JPEG files by the names of the images
    that the report shows; others are left out. Whatever names and labels hold is shown as text.
    """
    return page_templates(_HERE).get_template("page.j2").render(_context(report, pictures)).encode()


def _context(report: Json, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """The names that the templates use."""
    artifacts = page_view.numbered_artifacts(report)
    task, drawn = page_of(report), charts(report)
    sections = [each for each in task.sections if each.is_there(report, drawn)]
    return {
        "report": report,
        "artifacts": artifacts,
        "short": {one.entry["file"]: one.short for one in artifacts},
        "gates": page_view.gates(report),
        "network_title": network_title(report),
        "gate_counts": gate_counts(report),
        "tiles": tiles(report),
        "reason": page_view.reason(report),
        "caveats": page_view.caveats(report),
        "kernels_beside": page_view.kernels_beside,
        "charts": {name: Markup(svg) for name, svg in drawn.items()},
        "sections": sections,
        "folder": task.folder,
        "names": task.names,
        "measure": task.measure(report),
        "precisions": [name for name in COLOURS if any(one.entry["precision"] == name for one in artifacts)],
        "formats": [each for each in FORMATS if any(one.entry["format"] == each.name for one in artifacts)],
        "threads": page_view.threads(artifacts),
        "tool": _tool(report["tool"]),
        "batches": page_view.batches(artifacts),
        "in_float": page_view.in_float(report),
        "css": Markup("".join(files(_HERE).joinpath(name).read_text("utf-8") for name in ("page.css", *task.styles))),
        **task.context(report, artifacts, pictures),
    }


def _tool(tool: Json) -> list[tuple[str, str]]:
    """The names of packages, as they are, and their versions."""
    versions = {tool["name"]: tool.get("version"), **tool["libraries"]}
    return [(name, numbers.NOTHING if version is None else str(version)) for name, version in versions.items()]
