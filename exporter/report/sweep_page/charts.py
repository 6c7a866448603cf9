"""Draw top-1 against each cost, a panel for each format: what lies on a front, what may, and what does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mbexport.escaping.markup import clean
from mbexport.formats.registry import FORMATS
from mbexport.report.page.numbers import decimals, elided, percent
from mbexport.report.page.palette import COLOURS
from mbexport.report.page.svg import INK, MUTED, PAPER, lay_out, panels, style, to_svg
from mbexport.report.sweep_page.labels import Box, Label, place, point_box, step_boxes
from mbexport.report.sweep_page.scales import log_scale, share_scale
from mbexport.report.sweep_page.view import PASSED, SweptFile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT_PX: Final = 300
LABEL_PX: Final = 12  # as all texts of charts
_LETTER_PX: Final = 7.0  # of that size, of the widest font that the page may be shown in
_PADDING_PX: Final = 3
_SHARE_OF_FAINT: Final = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One cost: its title in a sentence, the scale's name, and how many of its units are one of the scale."""

    title: str
    scale: str
    unit: float


COSTS: Final[Mapping[str, Axis]] = MappingProxyType(
    {
        "latency": Axis(title="latency", scale="latency p50, ms", unit=1),
        "size": Axis(title="size", scale="file size, MB", unit=1e6),
        "mult_adds": Axis(title="mult-adds", scale="mult-adds, millions", unit=1e6),
    }
)


def front_charts(files: Sequence[SweptFile]) -> dict[str, str]:
    """An SVG for each format and cost, by `<format>-<cost>`; those for which nothing was measured are left out."""
    found = {}
    judged = [each for each in files if each.top1 is not None]
    with style():
        for file_format in FORMATS:
            for axis in COSTS:
                drawn = [each for each in judged if each.format == file_format.name and each.cost(axis)]
                if drawn:
                    name = f"{file_format.name}-{axis}"
                    found[name] = _front_chart(drawn, axis, name=name, title=file_format.title, judged=judged)
    return found


def _front_chart(drawn: list[SweptFile], axis: str, *, name: str, title: str, judged: Sequence[SweptFile]) -> str:
    """Draw the files of one format; all panels have the scale of all `judged` files."""
    figure, (axes,) = panels(HEIGHT_PX)
    cost = COSTS[axis]
    log_scale(axes, [value / cost.unit for each in judged if (value := each.cost(axis))])
    share_scale(axes, [_interval(each) for each in judged])
    axes.set_xlabel(cost.scale)
    axes.set_title("top-1, %")
    front = sorted((each for each in drawn if each.entry["estimated"][axis]), key=lambda each: _place(each, axis))
    axes.plot(
        *zip(*(_place(each, axis) for each in front), strict=True), color=MUTED, linewidth=1, drawstyle="steps-post"
    )
    for each in sorted(drawn, key=lambda each: _ORDER.index(each.entry["front"][axis])):
        _draw(axes, each, axis)
    lay_out(figure)  # decides where there is room for labels
    by_certainty = sorted(front, key=lambda each: -_ORDER.index(each.entry["front"][axis]))
    write_labels(
        axes,
        [(*_place(each, axis), _texts(each)) for each in by_certainty],
        others=[_place(each, axis) for each in drawn],
        steps=[_place(each, axis) for each in front],
    )
    described = "; ".join(_described(each, axis) for each in front)
    return to_svg(
        figure,
        name=f"chart-{name}",
        title=f"{title}: top-1 against {cost.title}",
        description=f"{len(drawn)} files. The front of their values: {described}",
        is_laid_out=True,
    )


_ORDER: Final = ("dominated", "undecided", "on")  # in which they are drawn: what matters most comes last
_MARKERS: Final = {each.name: each.marker.chart for each in FORMATS}


def _draw(axes: "Axes", file: SweptFile, axis: str) -> None:
    """Draw one file: filled on the front, hollow where it may be on it, small and grey where it is not."""
    x, y = _place(file, axis)
    standing = file.entry["front"][axis]
    drawn = MUTED if standing == "dominated" else COLOURS.get(file.entry["precision"], INK)
    faint = _SHARE_OF_FAINT if standing != "dominated" else _SHARE_OF_FAINT / 2
    axes.plot([x, x], [100 * end for end in _interval(file)], color=drawn, linewidth=1, alpha=faint)
    if axis == "latency":
        axes.plot(file.entry["latency_ms"]["ci95"], [y, y], color=drawn, linewidth=1, alpha=faint)
    look: dict[str, Any] = {
        "on": {"markersize": 7, "markeredgecolor": PAPER},
        "undecided": {"markersize": 5.5, "markeredgecolor": drawn, "markerfacecolor": PAPER, "markeredgewidth": 1.4},
        "dominated": {"markersize": 4.5, "markeredgecolor": PAPER, "markeredgewidth": 0.5, "alpha": 0.7},
    }[standing]
    axes.plot([x], [y], marker=_MARKERS[file.format], color=drawn, **look)
    if file.point.status != PASSED:
        axes.plot([x], [y], marker="x", color=INK, markersize=9, markeredgewidth=1.2)


def write_labels(
    axes: "Axes",
    points: Sequence[tuple[float, float, Sequence[str]]],
    *,
    others: Sequence[tuple[float, float]],
    steps: Sequence[tuple[float, float]] = (),
) -> None:
    """Write beside each of `points`, (x, y, texts), the first of its texts for which there is room.

    The places of `others` stay clear, and so does a line of `steps`. The figure must have been laid out.
    """
    transform = axes.transData
    labels = []
    for x, y, texts in points:
        seen_x, seen_y = map(float, transform.transform((x, y)))
        labels.append(Label(x=seen_x, y=seen_y, texts=tuple((text, len(text) * _LETTER_PX) for text in texts)))
    taken = [point_box(*map(float, transform.transform(each))) for each in others]
    taken += step_boxes([(float(x), float(y)) for x, y in map(transform.transform, steps)])
    inner = axes.get_window_extent()
    bounds = Box(left=inner.x0 + _PADDING_PX, low=inner.y0 + _PADDING_PX, right=inner.x1, high=inner.y1 - _PADDING_PX)
    for found in place(labels, taken, bounds, height=LABEL_PX):
        if found is not None:
            text, box = found
            middle = transform.inverted().transform(((box.left + box.right) / 2, (box.low + box.high) / 2))
            axes.annotate(text, tuple(middle), ha="center", va="center_baseline")


def _texts(file: SweptFile) -> tuple[str, ...]:
    """What a label may say, the longest first: the point's name, or its number in the tables."""
    return clean(elided(file.point.name)), str(file.point.place)


def _place(file: SweptFile, axis: str) -> tuple[float, float]:
    cost = file.cost(axis)
    assert cost is not None
    assert file.top1 is not None
    return cost / COSTS[axis].unit, 100 * file.top1


def _interval(file: SweptFile) -> tuple[float, float]:
    low, high = file.entry["top1_ci95"] or [file.top1, file.top1]
    return float(low), float(high)


def _described(file: SweptFile, axis: str) -> str:
    x, _ = _place(file, axis)
    standing = file.entry["front"][axis]
    return f"{file.point.name} {file.entry['precision']}: {percent(file.top1)} at {decimals(x)}, {standing}"
