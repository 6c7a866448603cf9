"""Draw the charts of a classifier's page: how many images are how far from the reference."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from mbexport.report.page.numbers import Json, number, percent
from mbexport.report.page.svg import ACCENT, PAPER, panels, to_svg
from mbexport.report.page.task_page import Measure
from mbexport.report.page.view import NumberedArtifact

_HISTOGRAM_PX: Final = 130


def measure(report: Json) -> Measure:
    """Top-1, or agreement where there are no labels."""
    if report["reference"]["labelled"]:
        bars = "Bars are 95 % intervals; the dashed line and its band are the reference."
        return Measure(key="top1", name="top-1", title="Top-1", bars=bars, scale=100, unit=", %", text=percent)
    bars = "Bars are 95 % intervals of the agreement with the reference."
    return Measure(key="agreement", name="agreement", title="Agreement", bars=bars, scale=100, unit=", %", text=percent)


def charts(_report: Json, artifacts: Sequence[NumberedArtifact]) -> dict[str, str | None]:
    """The histograms of each artifact."""
    found: dict[str, str | None] = {}
    for one in artifacts:
        errors, lsb = one.entry["error_histogram"], one.entry["lsb"]
        found |= {
            f"errors-{one.place}": histogram(
                one, errors, name=f"errors-{one.place}", what="largest distance of a probability"
            ),
            f"lsb-{one.place}": histogram(
                one, lsb and lsb["histogram"], name=f"lsb-{one.place}", what="largest distance in LSB of the output"
            ),
        }
    return found


def histogram(artifact: NumberedArtifact, found: Json | None, *, name: str, what: str) -> str | None:
    """Draw how many images are how far from the reference; None without counts that fit their edges."""
    if not found or not found["counts"] or len(found["edges"]) != len(found["counts"]) + 1:
        return None
    edges, counts = found["edges"], found["counts"]
    figure, (axes,) = panels(_HISTOGRAM_PX)
    widths = [high - low for low, high in pairwise(edges)]
    axes.bar(edges[:-1], counts, width=widths, align="edge", color=ACCENT, alpha=0.8, edgecolor=PAPER, linewidth=1)
    axes.grid(visible=False, axis="x")
    axes.locator_params(axis="both", nbins=4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}".replace("-", "\u2212"))
    top = max(range(len(counts)), key=counts.__getitem__)
    description = (
        f"{number(sum(counts))} images, from {number(edges[0])} to {number(edges[-1])}; most of them, "
        f"{number(counts[top])}, between {number(edges[top])} and {number(edges[top + 1])}"
    )
    return to_svg(figure, name=f"chart-{name}", title=f"{artifact.short}: {what}, images", description=description)
