"""Draw the charts of the page: quality against size and latency, latencies, speed-ups, layers, ranges."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mbexport.formats.registry import FORMATS
from mbexport.report.page.numbers import (
    Json,
    at_percentile,
    decimals,
    elided,
    milliseconds,
    number,
    percent,
    short_names,
)
from mbexport.report.page.palette import colour
from mbexport.report.page.registry import page_of
from mbexport.report.page.svg import (
    ACCENT,
    INT8,
    MUTED,
    PAPER,
    ROW_PX,
    lay_out,
    panels,
    rows,
    style,
    to_svg,
)
from mbexport.report.page.task_page import Measure
from mbexport.report.page.view import NumberedArtifact, numbered_artifacts

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_CODES: Final = 256
_AROUND_PX: Final = 56  # title and scale
_TICKS: Final = 3
_MARKERS: Final[Mapping[str, str]] = MappingProxyType({each.name: each.marker.chart for each in FORMATS})
_NEAR_PX: Final = 22  # points that are nearer to each other share a label
_SCATTER_PX: Final = 250
_MIDDLE_HALF: Final = (25, 75)
_MOST: Final = (5, 95)


def layer_chart(found: Json | None) -> str | None:
    """Draw the signal-to-noise ratio of each layer, and the share of the divergence that is its own."""
    layers = (found or {}).get("layers")
    if not layers:
        return None
    figure, (noise, share) = panels(_AROUND_PX + ROW_PX * len(layers), 2)
    rows(noise, [elided(entry["layer"]) for entry in layers])
    heard = [(entry["snr_db"], row) for row, entry in enumerate(layers) if entry["snr_db"] is not None]
    own = [(100 * entry["share"], row) for row, entry in enumerate(layers) if entry["share"] is not None]
    for value, row in heard:
        noise.plot([0, value], [row, row], color=ACCENT, linewidth=1, alpha=0.5)
    noise.plot(*_columns(heard), linestyle="none", marker="o", markersize=5, color=ACCENT)
    values, places = _columns(own)
    share.barh(places, values, height=0.6, color=INT8, linewidth=0)
    share.axvline(0, color=MUTED, linewidth=1)
    noise.set_xlim(left=0)
    for axes, title in ((noise, "SNR, dB"), (share, "share, %")):
        axes.set_title(title)
        axes.locator_params(axis="x", nbins=_TICKS)
        axes.grid(visible=False, axis="y")
    description = "; ".join(f"{e['layer']}: {decimals(e['snr_db'], 1)} dB, {percent(e['share'])}" for e in layers)
    return to_svg(figure, name="chart-layers", title="Error of each layer", description=description)


def _columns(pairs: Sequence[tuple[float, int]]) -> tuple[list[float], list[int]]:
    """The first values of all pairs, and the second ones."""
    return [first for first, _ in pairs], [second for _, second in pairs]


def range_chart(found: Json | None) -> str | None:
    """Draw the range of each activation tensor, the share of values outside it, and the codes that never occur."""
    sites = (found or {}).get("sites")
    if not sites:
        return None
    figure, (span, clipped, unused) = panels(_AROUND_PX + ROW_PX * len(sites), 3)
    rows(span, [elided(site["site"]) for site in sites])
    for row, site in enumerate(sites):
        if site["low"] is not None and site["high"] is not None:
            span.plot([site["low"], site["high"]], [row, row], color=ACCENT, linewidth=5, solid_capstyle="butt")
    for axes, lengths in (
        (clipped, [100 * (site["clipped"] or 0) for site in sites]),
        (unused, [site["unused_codes"] or 0 for site in sites]),
    ):
        axes.barh(range(len(sites)), lengths, height=0.6, color=INT8, linewidth=0)
    span.axvline(0, color=MUTED, linewidth=1)
    clipped.set_xlim(0, max(1.0, *(105 * (site["clipped"] or 0) for site in sites)))
    unused.set_xlim(0, _CODES)
    for axes, title in ((span, "range"), (clipped, "clip %"), (unused, "unused")):
        axes.set_title(title)
        axes.locator_params(axis="x", nbins=_TICKS)
        axes.grid(visible=False, axis="y")
    unused.set_xticks([0, _CODES])
    description = "; ".join(
        f"{s['site']}: {number(s['low'])} to {number(s['high'])}, {percent(s['clipped'], 3)} clipped, "
        f"{number(s['unused_codes'])} codes unused"
        for s in sites
    )
    return to_svg(figure, name="chart-ranges", title="Ranges and wasted codes", description=description)


def charts(report: Json) -> dict[str, str]:
    """Draw all charts: SVG by name, without those for which the report has no numbers."""
    artifacts, task = numbered_artifacts(report), page_of(report)
    measure = task.measure(report)
    with style():
        found = {
            "size": _cost(report, artifacts, "size", measure),
            "latency": _cost(report, artifacts, "latency", measure),
            "distribution": _distributions(artifacts),
            "ratios": _ratios(report),
            "layers": layer_chart(report.get("sensitivity")),
            "ranges": range_chart(report.get("calibration")),
            **task.charts(report, artifacts),
        }
    return {name: svg for name, svg in found.items() if svg is not None}


def _cost(report: Json, artifacts: list[NumberedArtifact], kind: str, measure: Measure) -> str | None:
    """Draw the quality `measure` of each artifact against size or latency (`kind`)."""
    key = measure.key
    unit = {"size": "MB", "latency": "ms"}[kind]
    prices = [(one, _price(one.entry, kind)) for one in artifacts if one.entry[key] is not None]
    taken = [(one, price) for one, price in prices if price is not None]
    if not taken:
        return None
    figure, (axes,) = panels(_SCATTER_PX)
    _reference_line(axes, report["reference"], measure)
    for one, price in taken:
        _point(axes, one.entry, kind, measure, price)
    axes.set_xlim(0, 1.12 * max(price for _, price in taken))
    axes.set_xlabel({"size": "file size, MB", "latency": "latency p50, ms"}[kind])
    axes.set_title(f"{measure.name}{measure.unit}")
    lay_out(figure)  # the layout decides which points are near each other
    _label_points(axes, [(price, measure.scale * one.entry[key], str(one.place)) for one, price in taken])
    description = "; ".join(
        f"{one.short}: {measure.text(one.entry[key])} at {price:.2f} {unit}" for one, price in taken
    )
    return to_svg(
        figure,
        name=f"chart-{kind}",
        title=f"{measure.name} against {kind} of each artifact",
        description=description,
        is_laid_out=True,
    )


def _price(entry: Json, kind: str) -> float | None:
    """Megabytes, or the median of the milliseconds."""
    if kind == "size":
        return float(entry["size_bytes"]) / 1e6
    latency = entry["latency_ms"]
    return None if latency is None or latency["p50"] is None else float(latency["p50"])


def _reference_line(axes: "Axes", reference: Json, measure: Measure) -> None:
    """Draw the reference's own quality, where it has one."""
    value, interval = reference.get(measure.key), reference.get(f"{measure.key}_ci95")
    if value is None:
        return
    axes.axhline(measure.scale * value, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    if interval:
        low, high = interval
        axes.axhspan(measure.scale * low, measure.scale * high, color=MUTED, alpha=0.08, linewidth=0)


def _point(axes: "Axes", entry: Json, kind: str, measure: Measure, price: float) -> None:
    value, drawn = measure.scale * entry[measure.key], colour(entry)
    if interval := entry[f"{measure.key}_ci95"]:
        axes.plot([price, price], [measure.scale * end for end in interval], color=drawn, linewidth=1.4, alpha=0.75)
    if kind == "latency" and (curve := dict(entry["latency_ms"].get("percentiles") or [])):
        spread = [at_percentile(curve, end) for end in _MIDDLE_HALF]
        axes.plot(spread, [value, value], color=drawn, linewidth=1.4, alpha=0.75)
    axes.plot([price], [value], marker=_MARKERS[entry["format"]], color=drawn, markersize=7, markeredgecolor=PAPER)


def _label_points(axes: "Axes", placed: list[tuple[float, float, str]]) -> None:
    """Write the number of each point above it, towards the middle; points that hide each other share a label."""
    groups: list[list[tuple[float, float, str]]] = []
    for x, y, text in placed:
        seen_x, seen_y = axes.transData.transform((x, y))
        for group in groups:
            near_x, near_y = axes.transData.transform(group[0][:2])
            if abs(near_x - seen_x) < _NEAR_PX and abs(near_y - seen_y) < _NEAR_PX:
                group.append((x, y, text))
                break
        else:
            groups.append([(x, y, text)])
    middle = sum(axes.get_xlim()) / 2
    for group in groups:
        is_left = group[0][0] < middle  # there is room beside it
        x, y, _ = max(group) if is_left else min(group)
        text = ", ".join(text for _, _, text in group)
        axes.annotate(
            text,
            (x, y),
            xytext=(7 if is_left else -7, 6),
            textcoords="offset points",
            ha="left" if is_left else "right",
            annotation_clip=False,
        )


def _distributions(artifacts: list[NumberedArtifact]) -> str | None:
    """Draw the times of each artifact: the middle half, 5 to 95 %, the median, and p99."""
    taken = [one for one in artifacts if one.entry["latency_ms"] and one.entry["latency_ms"].get("percentiles")]
    if not taken:
        return None
    figure, (axes,) = panels(60 + 1.6 * ROW_PX * len(taken))
    rows(axes, [one.label for one in taken])
    for row, one in enumerate(taken):
        latency, drawn = one.entry["latency_ms"], colour(one.entry)
        curve = dict(latency["percentiles"])
        low, high = (at_percentile(curve, end) for end in _MIDDLE_HALF)
        axes.plot([at_percentile(curve, end) for end in _MOST], [row, row], color=drawn, linewidth=1.4)
        axes.barh(row, high - low, left=low, height=0.55, color=drawn, alpha=0.45, linewidth=0)
        axes.plot([latency["p50"]] * 2, [row - 0.34, row + 0.34], color=drawn, linewidth=2.4)
        axes.plot([latency["p99"]], [row], marker="o", markersize=4, color=drawn)
    axes.set_xlim(left=0)
    axes.set_xlabel("ms, one thread")
    description = "; ".join(
        f"{one.short}: " + ", ".join(f"{p} {milliseconds(one.entry['latency_ms'][p])}" for p in ("p50", "p90", "p99"))
        for one in taken
    )
    return to_svg(figure, name="chart-distribution", title="Latency of each artifact, ms", description=description)


def _ratios(report: Json) -> str | None:
    """Draw how many times as fast as fp32 int8 is, with intervals; the dashed line stands at 1, equally fast."""
    taken = [ratio for ratio in report["speedups"] if ratio["latency_ratio"] is not None]
    if not taken:
        return None
    files = [entry["file"] for entry in report["artifacts"]]
    short = dict(zip(files, short_names(files), strict=True))
    figure, (axes,) = panels(64 + 1.6 * ROW_PX * len(taken))
    names = [short.get(ratio["b"], ratio["b"]) for ratio in taken]
    rows(axes, [f"{elided(name)}, {ratio['threads']} thr." for name, ratio in zip(names, taken, strict=True)])
    axes.axvline(1, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for row, ratio in enumerate(taken):
        if interval := ratio["latency_ratio_ci95"]:
            axes.plot(interval, [row, row], color=INT8, linewidth=2)
        axes.plot([ratio["latency_ratio"]], [row], marker="o", markersize=6, color=INT8, markeredgecolor=PAPER)
    axes.set_xlim(left=0)
    axes.set_xlabel("times as fast")
    description = "; ".join(
        f"{name}: {ratio['latency_ratio']:.2f} with {ratio['threads']} threads"
        for name, ratio in zip(names, taken, strict=True)
    )
    return to_svg(figure, name="chart-ratios", title="Speed against fp32", description=description)
