"""Turns a report's layers and activation tensors into charts: what each costs, what range it has, what that wastes."""

from typing import Final

from mbexport.reporting.drawing import ACCENT, INT8, MUTED, ROW_PX, panels, rows, to_svg
from mbexport.reporting.page_words import Json, decimals, elided, number, percent

_CODES: Final = 256
_AROUND_PX: Final = 56  # title and scale
_TICKS: Final = 3


def layer_chart(found: Json | None) -> str | None:
    """The signal-to-noise ratio of each layer, and the share of the divergence that is its own."""
    layers = (found or {}).get("layers")
    if not layers:
        return None
    figure, (noise, share) = panels(_AROUND_PX + ROW_PX * len(layers), 2)
    rows(noise, [elided(entry["layer"]) for entry in layers])
    for row, entry in enumerate(layers):
        if entry["snr_db"] is not None:
            noise.plot([0, entry["snr_db"]], [row, row], color=ACCENT, linewidth=1, alpha=0.5)
            noise.plot([entry["snr_db"]], [row], marker="o", markersize=5, color=ACCENT)
        if entry["share"] is not None:
            share.barh(row, 100 * entry["share"], height=0.6, color=INT8, linewidth=0)
    share.axvline(0, color=MUTED, linewidth=1)
    noise.set_xlim(left=0)
    for axes, title in ((noise, "SNR, dB"), (share, "share, %")):
        axes.set_title(title)
        axes.locator_params(axis="x", nbins=_TICKS)
        axes.grid(visible=False, axis="y")
    told = "; ".join(f"{e['layer']}: {decimals(e['snr_db'], 1)} dB, {percent(e['share'])}" for e in layers)
    return to_svg(figure, name="chart-layers", title="Error of each layer", description=told)


def range_chart(found: Json | None) -> str | None:
    """The range of each activation tensor, the share of values outside it, and the codes that never occur."""
    sites = (found or {}).get("sites")
    if not sites:
        return None
    figure, (span, clipped, unused) = panels(_AROUND_PX + ROW_PX * len(sites), 3)
    rows(span, [elided(site["site"]) for site in sites])
    for row, site in enumerate(sites):
        if site["low"] is not None and site["high"] is not None:
            span.plot([site["low"], site["high"]], [row, row], color=ACCENT, linewidth=5, solid_capstyle="butt")
        clipped.barh(row, 100 * (site["clipped"] or 0), height=0.6, color=INT8, linewidth=0)
        unused.barh(row, site["unused_codes"] or 0, height=0.6, color=INT8, linewidth=0)
    span.axvline(0, color=MUTED, linewidth=1)
    clipped.set_xlim(0, max(1.0, *(105 * (site["clipped"] or 0) for site in sites)))
    unused.set_xlim(0, _CODES)
    for axes, title in ((span, "range"), (clipped, "clip %"), (unused, "unused")):
        axes.set_title(title)
        axes.locator_params(axis="x", nbins=_TICKS)
        axes.grid(visible=False, axis="y")
    unused.set_xticks([0, _CODES])
    told = "; ".join(
        f"{s['site']}: {number(s['low'])} to {number(s['high'])}, {percent(s['clipped'], 3)} clipped, "
        f"{number(s['unused_codes'])} codes unused"
        for s in sites
    )
    return to_svg(figure, name="chart-ranges", title="Ranges and wasted codes", description=told)
