"""Write matplotlib figures as SVG for a page: colours and font are the page's, text stays text."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

from mbexport.escaping.markup import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_PX: Final = 340  # as wide as a phone's page, so that text is as large as it is drawn
ROW_PX: Final = 16  # of one line of names
_TEXT_PX: Final = 12
_PAD_PX: Final = 3  # around a panel with its names and scale

# Figures are drawn in these stand-in colours; `to_svg` replaces each by the CSS variable of the page, which differs in
# the light and the dark scheme.
INK: Final = "#010001"
MUTED: Final = "#020002"
LINE: Final = "#030003"
ACCENT: Final = "#040004"
FP32: Final = "#050005"
FP16: Final = "#060006"
INT8: Final = "#070007"
DYNAMIC: Final = "#080008"
INT16X8: Final = "#090009"
PAPER: Final = "#0a000a"
_VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        INK: "var(--ink)",
        MUTED: "var(--muted)",
        LINE: "var(--line)",
        ACCENT: "var(--accent)",
        FP32: "var(--fp32)",
        FP16: "var(--fp16)",
        INT8: "var(--int8)",
        DYNAMIC: "var(--dynamic)",
        INT16X8: "var(--int16x8)",
        PAPER: "var(--paper)",
    }
)
_STYLE: Final[Mapping[Any, Any]] = MappingProxyType(
    {
        "axes.axisbelow": True,
        "axes.edgecolor": LINE,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": MUTED,
        "axes.labelsize": _TEXT_PX,
        "axes.linewidth": 1,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": MUTED,
        "axes.titlelocation": "left",
        "axes.titlesize": _TEXT_PX,
        "axes.titley": 1.0,  # where it is anyway; otherwise found out from all ticks
        "axes.unicode_minus": True,
        "figure.dpi": 72,  # a point is a pixel
        "figure.facecolor": "none",
        "font.family": "DejaVu Sans",  # comes with matplotlib, and is wider than what pages are set in
        "font.size": _TEXT_PX,
        "grid.color": LINE,
        "grid.linewidth": 0.7,
        "svg.fonttype": "none",
        "svg.hashsalt": "mbexport",
        "text.color": INK,
        "text.parse_math": False,  # a name may hold $
        "xtick.labelcolor": MUTED,
        "xtick.labelsize": _TEXT_PX,
        "xtick.major.size": 0,
        "ytick.labelcolor": MUTED,
        "ytick.labelsize": _TEXT_PX,
        "ytick.major.size": 0,
    }
)
_HREF: Final = "{http://www.w3.org/1999/xlink}href"
_FAMILY: Final = re.compile(r"font-family: [^;]*; ?")


@contextmanager
def style() -> Iterator[None]:
    """Give figures that are made and saved in this context the look of the page, whatever a user has configured."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the page's font draws it
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def panels(height_px: float, count: int = 1) -> "tuple[Figure, list[Axes]]":
    """Make a figure of `count` panels side by side, which share the rows of the first; within `style` only."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_PX / 72, height_px / 72))
    first, *others = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    first.yaxis.set_label_coords(0, 0.5)  # there is none, and matplotlib would measure all ticks to find its place
    for axes in others:
        axes.yaxis.set_visible(False)  # its rows are named on the left; thirty hidden ticks cost as much as shown ones
    return figure, [first, *others]


def rows(axes: "Axes", names: list[str]) -> None:
    """Write names down the left side, the first one on top, and draw lines only across where values are read."""
    axes.set_yticks(range(len(names)), [clean(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def lay_out(figure: "Figure") -> None:
    """Give the panels of a figure equal widths and what room their names and scales leave, in one pass.

    What is added to a panel later moves nothing. matplotlib's own layouts measure all texts two to four times, which is
    most of the time that a chart takes.
    """
    width, height = figure.bbox.size
    margins = [_margins(axes) for axes in figure.axes]
    lefts, rights, bottoms, tops = (list(each) for each in zip(*margins, strict=True))
    panel = (width - sum(lefts) - sum(rights)) / len(margins)
    x = 0.0
    for axes, left, right in zip(figure.axes, lefts, rights, strict=True):
        lower, upper = max(bottoms), height - max(tops)
        axes.set_position(((x + left) / width, lower / height, panel / width, (upper - lower) / height))
        x += left + panel + right


def _margins(axes: "Axes") -> tuple[float, float, float, float]:
    """How far names, scale and title reach beyond the panel, in pixels: left, right, below, above."""
    inner, outer = axes.get_window_extent(), axes.get_tightbbox()
    outer = inner if outer is None else outer
    return (
        inner.x0 - outer.x0 + _PAD_PX,
        outer.x1 - inner.x1 + _PAD_PX,
        inner.y0 - outer.y0 + _PAD_PX,
        outer.y1 - inner.y1 + _PAD_PX,
    )


def to_svg(figure: "Figure", *, name: str, title: str, description: str, is_laid_out: bool = False) -> str:
    """Write the figure as an <svg> element whose ids begin with `name`; the same figure gives the same text.

    A screen reader takes it for one image: `title` says what it shows, `description` gives its values. A
    figure that `lay_out` has had, or that lays itself out, is one that `is_laid_out`.
    """
    if not is_laid_out:
        lay_out(figure)
    stream = io.BytesIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(stream, format="svg", metadata=metadata, transparent=True)
    root = ElementTree.fromstring(stream.getvalue())
    for child in list(root):
        if _plain(child.tag) in ("metadata", "defs") and not any(_plain(inner.tag) == "clipPath" for inner in child):
            root.remove(child)
    for element in root.iter():
        _ours(element, name)
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update(
        {"role": "img", "viewBox": view, "class": "chart", "aria-labelledby": f"{name}-title {name}-text"}
    )
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        label = ElementTree.Element(tag, {"id": f"{name}-{'title' if tag == 'title' else 'text'}"})
        label.text = clean(text)
        root.insert(position, label)
    return ElementTree.tostring(root, encoding="unicode")


def _ours(element: ElementTree.Element, name: str) -> None:
    """Make an element part of the page: without namespace and font, with unique ids and the page's colours."""
    element.tag = _plain(element.tag)
    if element.tag == "g":
        element.attrib.pop("id", None)
    if "id" in element.attrib:
        element.attrib["id"] = f"{name}-{element.attrib['id']}"
    if _HREF in element.attrib:
        element.attrib["href"] = f"#{name}-{element.attrib.pop(_HREF).removeprefix('#')}"
    if "clip-path" in element.attrib:
        element.attrib["clip-path"] = element.attrib["clip-path"].replace("url(#", f"url(#{name}-")
    if element.attrib.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    if "style" in element.attrib:
        text = _FAMILY.sub("", element.attrib["style"])
        for sentinel, variable in _VARIABLES.items():
            text = text.replace(sentinel, variable)
        element.attrib["style"] = text


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]
