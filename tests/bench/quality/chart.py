"""Draw the README's picture: how like the float network each quantizer's file answers, against its latency.

`make chart` draws docs/images/quality.svg from docs/images/quality.json, which holds figures that `make bench-quality`
measured and a decision records. Nothing is measured here.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from mbexport.formats.registry import FORMATS
from mbexport.report.page.svg import FP16, INK, INT8, MUTED, PAPER, style, to_svg
from mbexport.verification.statistics import wilson_interval

IMAGES: Final = Path(__file__).resolve().parents[3] / "docs" / "images"
FIGURES, PICTURE = IMAGES / "quality.json", IMAGES / "quality.svg"
OURS, FLOAT = "mbexport", "float32"

_WIDTH_PX, _HEIGHT_PX, _MARGIN_PX = 760, 400, 16
# Light colours on a white card of the picture's own: an image cannot know whether its reader's page is dark.
_COLOURS: Final[Mapping[str, str]] = {
    "var(--ink)": "#1a1f26",
    "var(--muted)": "#566070",
    "var(--line)": "#dfe3e8",
    "var(--fp16)": "#0072b2",
    "var(--int8)": "#c8500a",
    "var(--paper)": "#ffffff",
}
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
# Where a label stands by its point: points right and up, and which end of the text is there. Of a name that has two
# points, the second one is labelled for both.
_PLACES: Final[Mapping[str, tuple[float, float, str]]] = {
    FLOAT: (12, -4, "left"),
    OURS: (12, -4, "left"),
    "NNCF": (-12, -4, "right"),
    "TFLite PTQ": (-12, -4, "right"),
    "ai-edge-quantizer": (12, -18, "left"),
}
_RIGHT: Final = (12, -4, "left")


def picture(figures: Mapping[str, Any]) -> str:
    """The chart as an SVG file's text: agreement with float in percent against milliseconds at the median."""
    from matplotlib.figure import Figure

    points, images = figures["points"], figures["images"]
    with style():
        figure = Figure(figsize=(_WIDTH_PX / 72, _HEIGHT_PX / 72), layout="constrained")
        axes = figure.subplots()
        for point in points:
            _point(axes, point, images)
        for name, group in _by_name(points).items():
            _label(axes, name, group)
        axes.set_xlim(0, 15)
        axes.set_ylim(84, 101)
        axes.set_title(f"same answers as the float network, % of {images} images, with 95 % intervals", fontsize=13)
        axes.set_xlabel(f"median latency of one image, ms ({figures['machine']})", fontsize=13)
        axes.tick_params(labelsize=13)
        told = "; ".join(f"{p['name']} .{p['format']}: {p['agreement']} % at {p['p50_ms']} ms" for p in points)
        title = f"int8 quantizers side by side: {figures['network']}"
        return _standalone(to_svg(figure, name="quality", title=title, description=told, is_laid_out=True), title)


def _by_name(points: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for point in points:
        groups.setdefault(point["name"], []).append(point)
    return groups


def _point(axes: Any, point: Mapping[str, Any], images: int) -> None:
    """A marker of the format's shape, and the 95 % interval of the agreement."""
    colour = {OURS: INT8, FLOAT: MUTED}.get(point["name"], FP16)
    marker = next(each.marker.chart for each in FORMATS if each.name == point["format"])
    if point["name"] != FLOAT:  # float agrees with itself
        low, high = wilson_interval(round(point["agreement"] / 100 * images), images)
        axes.plot([point["p50_ms"]] * 2, [100 * low, 100 * high], color=colour, linewidth=1.6, alpha=0.6)
    size = 11 if point["name"] == OURS else 9
    x, y = point["p50_ms"], point["agreement"]
    axes.plot([x], [y], marker=marker, markersize=size, color=colour, markeredgecolor=PAPER, linestyle="none")


def _label(axes: Any, name: str, group: Sequence[Mapping[str, Any]]) -> None:
    right, up, end = _PLACES.get(name, _RIGHT)
    last = group[-1]
    text = f"{name}  {', '.join('.' + point['format'] for point in group)}"
    axes.annotate(
        text,
        (last["p50_ms"], last["agreement"]),
        xytext=(right, up),
        textcoords="offset points",
        ha=end,
        fontsize=14 if name == OURS else 13,
        fontweight="bold" if name == OURS else "normal",
        color=INT8 if name == OURS else INK,
    )


def _standalone(svg: str, title: str) -> str:
    """The chart in colours and a font of its own, on a white card beneath its title."""
    root = ElementTree.fromstring(svg)
    height = _HEIGHT_PX + 2 * _MARGIN_PX + 28
    width = _WIDTH_PX + 2 * _MARGIN_PX
    card = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "font-family": _FONT})
    card.attrib |= {"viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height)}
    card.attrib |= {name: root.attrib[name] for name in ("role", "aria-labelledby")}
    frame = {"x": "0.5", "y": "0.5", "width": str(width - 1), "height": str(height - 1), "rx": "8"}
    ElementTree.SubElement(card, "rect", frame | {"fill": "var(--paper)", "stroke": "var(--line)"})
    place = {"x": str(_MARGIN_PX + 6), "y": str(_MARGIN_PX + 16), "font-size": "16", "font-weight": "600"}
    ElementTree.SubElement(card, "text", place | {"fill": "var(--ink)"}).text = title
    chart = ElementTree.SubElement(card, "g", {"transform": f"translate({_MARGIN_PX} {_MARGIN_PX + 28})"})
    for child in root:
        (card if child.tag in ("title", "desc") else chart).append(child)
    text = ElementTree.tostring(card, encoding="unicode")
    for variable, colour in _COLOURS.items():
        text = text.replace(variable, colour)
    return text + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(json.loads(FIGURES.read_text("utf-8"))), "utf-8")
    print(f"drew {PICTURE.name} from {FIGURES.name}", file=sys.stderr)
