"""Render sweep.html: a sweep as one page that loads nothing else."""

from importlib.resources import files
from typing import Any, Final

from markupsafe import Markup

from mbexport.formats.registry import FORMATS
from mbexport.report.page.numbers import Json
from mbexport.report.page.palette import COLOURS
from mbexport.report.page.templates import page_templates
from mbexport.report.sweep_page.charts import COSTS, front_charts
from mbexport.report.sweep_page.headline import answer, counts, failures, tiles
from mbexport.report.sweep_page.published import published_charts
from mbexport.report.sweep_page.view import AXES, caveats, dominators, numbered_points, standing_counts, swept_files

PAGE: Final = "sweep.html"
_HERE: Final = "mbexport.report.sweep_page"
_PARTS: Final = "mbexport.report.page"


def sweep_page(sweep: Json) -> bytes:
    """Render the page as UTF-8 HTML; the same sweep gives the same bytes.

    `sweep` is the value in sweep.json, beside which the page is to lie: it links to each point's report. Whatever names
    and reasons hold is shown as text.
    """
    return page_templates(_HERE, _PARTS).get_template("sweep.j2").render(_context(sweep)).encode()


def _context(sweep: Json) -> dict[str, Any]:
    """The names that the templates use."""
    points = numbered_points(sweep)
    artifacts = swept_files(points)
    published = published_charts(sweep)
    fronts = front_charts(artifacts)
    drawn = {**fronts, **{f"published-{name}": svg for name, (_, svg) in published.items()}}
    return {
        "sweep": sweep,
        "points": points,
        "files": artifacts,
        "counts": counts(sweep),
        "failures": failures(sweep),
        "answer": answer(sweep),
        "tiles": tiles(sweep),
        "caveats": caveats(sweep, artifacts),
        "axes": AXES,
        "costs": COSTS,
        "dominators": dominators,
        "standing_counts": standing_counts,
        "charts": {name: Markup(svg) for name, svg in drawn.items()},
        "fronts": [each for each in FORMATS if any(f"{each.name}-{axis}" in fronts for axis in COSTS)],
        "published": {name: title for name, (title, _) in published.items()},
        "precisions": [name for name in COLOURS if any(each.entry["precision"] == name for each in artifacts)],
        "formats": (),  # markers need no explanation: each format has panels of its own
        "css": Markup(_style(_PARTS, "page.css") + _style(_HERE, "sweep.css")),
    }


def _style(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text("utf-8")
