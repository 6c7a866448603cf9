"""Draw what was published of the architectures in a sweep: accuracies on ImageNet, which are not those of the sweep."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mbexport.models.architectures import Architecture, architecture_named
from mbexport.models.published import Published
from mbexport.models.resolution import Resolution
from mbexport.report.page.numbers import Json, percent
from mbexport.report.page.svg import FP32, INT8, MUTED, PAPER, lay_out, panels, style, to_svg
from mbexport.report.sweep_page.charts import HEIGHT_PX, write_labels
from mbexport.report.sweep_page.scales import log_scale, share_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FAINT: Final = 0.4


def published_charts(sweep: Json) -> dict[str, tuple[str, str]]:
    """A title and an SVG for each architecture of the sweep of which checkpoints were published, by its name."""
    named = dict.fromkeys(point["arch"] for point in sweep["points"])
    rows = [each for each in map(architecture_named, named) if each is not None and each.published]
    with style():
        return {each.name: (each.title, _chart(each, sweep["points"])) for each in rows}


def _chart(architecture: Architecture, points: Sequence[Json]) -> str:
    """Draw top-1 on ImageNet against mult-adds; what the sweep has too is highlighted, and named."""
    figure, (axes,) = panels(HEIGHT_PX)
    rows = architecture.published
    swept = {_kind(point) for point in points if point["arch"] == architecture.name}
    log_scale(axes, [row.mult_adds_m for row in rows])
    accuracies = [each for row in rows for each in (row.top1_float, row.top1_int8) if each is not None]
    share_scale(axes, [(each, each) for each in accuracies])
    axes.set_xlabel("mult-adds, millions")
    axes.set_title("top-1 on ImageNet, %")
    for row in rows:
        _draw(axes, row, is_swept=_kind_of(row) in swept)
    lay_out(figure)
    named = [row for row in rows if _kind_of(row) in swept]
    write_labels(
        axes,
        [(row.mult_adds_m, 100 * row.top1_float, (_name(row),)) for row in named],
        others=[(row.mult_adds_m, 100 * each) for row in rows for each in (row.top1_float, row.top1_int8) if each],
    )
    described = "; ".join(
        f"{_name(row)}: {percent(row.top1_float)} float, {percent(row.top1_int8)} int8" for row in named or rows
    )
    return to_svg(
        figure,
        name=f"chart-published-{architecture.name}",
        title=f"{architecture.title}, as published: top-1 on ImageNet against mult-adds",
        description=described,
        is_laid_out=True,
    )


def _draw(axes: "Axes", row: Published, *, is_swept: bool) -> None:
    shares = [(FP32, row.top1_float), (INT8, row.top1_int8)]
    found = [(colour, 100 * share) for colour, share in shares if share is not None]
    alpha = 1.0 if is_swept else _FAINT
    axes.plot([row.mult_adds_m] * len(found), [share for _, share in found], color=MUTED, linewidth=1, alpha=alpha / 2)
    for colour, share in found:
        axes.plot(
            *([row.mult_adds_m], [share]),
            marker="o",
            color=colour,
            alpha=alpha,
            markersize=6.5 if is_swept else 5,
            markeredgecolor=PAPER,
        )


def _kind(point: Json) -> tuple[float | None, Resolution]:
    return point["alpha"], Resolution.parse(point["resolution_px"])


def _kind_of(row: Published) -> tuple[float, Resolution]:
    return row.alpha, row.spec.resolution


def _name(row: Published) -> str:
    return f"{row.alpha:g}_{row.spec.resolution}"
