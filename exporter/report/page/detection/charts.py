"""Draw the charts of a detector's page: precision against recall of each file, and how its training went."""

from collections.abc import Sequence
from typing import Final

from mbexport.report.page.numbers import Json, decimals
from mbexport.report.page.palette import colour
from mbexport.report.page.svg import ACCENT, INT8, MUTED, panels, to_svg
from mbexport.report.page.task_page import Measure
from mbexport.report.page.view import NumberedArtifact

_CURVE_PX: Final = 190
_TRAINING_PX: Final = 210
_DIGITS: Final = 3
_TOLD_RECALLS: Final = (0.2, 0.5, 0.8)
_TICKS: Final = (0, 0.25, 0.5, 0.75, 1)
_ROOM_ABOVE: Final = 1.12
_DASHES: Final = (0, (4, 3))
_BARS: Final = "Bars are 95 % intervals; the dashed line and its band are the reference."


def measure(_report: Json) -> Measure:
    """AP, 0 to 1."""
    return Measure(
        key="ap", name="AP", title="AP", bars=_BARS, scale=1, unit="", text=lambda value: decimals(value, _DIGITS)
    )


def charts(report: Json, artifacts: Sequence[NumberedArtifact]) -> dict[str, str | None]:
    """The curve of each artifact, and AP and loss by evaluation."""
    training = report.get("training") or []
    return {
        **{f"curve-{one.place}": curve_chart(one, report["reference"]) for one in artifacts},
        "training-ap": training_chart(training, {"val_ap": "AP", "val_ap50": "AP50"}, name="training-ap"),
        "training-loss": training_chart(
            training, {"loss": "training", "val_loss": "held out"}, name="training-loss", title="loss"
        ),
    }


def curve_chart(one: NumberedArtifact, reference: Json) -> str | None:
    """Draw precision against recall at an overlap of 0.5, the mean of all classes, over the reference's."""
    curve, expected = one.entry["curve"], reference["curve"]
    if not curve:
        return None
    figure, (axes,) = panels(_CURVE_PX)
    if expected:
        axes.plot(_recalls(expected), expected, color=MUTED, linewidth=1.6, linestyle=_DASHES)
    axes.plot(_recalls(curve), curve, color=colour(one.entry), linewidth=2)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.set_xlabel("recall")
    axes.set_title("precision")
    told = ", ".join(f"{decimals(_at(curve, recall))} at recall {recall:g}" for recall in _TOLD_RECALLS)
    area = f"the mean over all recalls is AP50, {decimals(one.entry['ap50'], _DIGITS)}"
    beside = "" if reference["ap50"] is None else f"; the reference's is {decimals(reference['ap50'], _DIGITS)}"
    return to_svg(
        figure,
        name=f"chart-curve-{one.place}",
        title=f"{one.short}: precision against recall",
        description=f"precision {told}; {area}{beside}",
    )


def training_chart(evaluations: Sequence[Json], names: dict[str, str], *, name: str, title: str = "AP") -> str | None:
    """Draw figures by their two keys in `names`, the first solid, the second dashed; None without any.

    An evaluation is that of an epoch or, where epochs are short, of several.
    """
    drawn = {key: _values(evaluations, key) for key in names}
    drawn = {key: values for key, values in drawn.items() if values}
    if not drawn:
        return None
    figure, (axes,) = panels(_TRAINING_PX)
    for key, style, drawn_in in zip(names, ("solid", _DASHES), (ACCENT, INT8), strict=True):
        for values in filter(None, [drawn.get(key)]):
            axes.plot(*zip(*values, strict=True), color=drawn_in, linewidth=2, linestyle=style)
    axes.set_xlim(0, max(len(evaluations), 1))
    axes.set_ylim(0, _ROOM_ABOVE * max(value for values in drawn.values() for _, value in values))
    axes.set_xlabel("evaluation")
    axes.set_title(title)
    told = "; ".join(f"{names[key]}: {_told(values, is_best_high='loss' not in key)}" for key, values in drawn.items())
    return to_svg(figure, name=f"chart-{name}", title=f"{title} by evaluation", description=told)


def _at(curve: Sequence[float], recall: float) -> float:
    return curve[round(recall * (len(curve) - 1))]


def _recalls(curve: Sequence[float]) -> list[float]:
    return [place / (len(curve) - 1) for place in range(len(curve))]


def _values(evaluations: Sequence[Json], key: str) -> list[tuple[int, float]]:
    """The evaluations, from 1, that have a figure of this name, with the figure."""
    return [(number, each[key]) for number, each in enumerate(evaluations, 1) if each.get(key) is not None]


def _told(values: Sequence[tuple[int, float]], *, is_best_high: bool) -> str:
    """The last figure and the best."""
    best = (max if is_best_high else min)(values, key=lambda pair: pair[1])
    return f"{decimals(values[-1][1], _DIGITS)} at last, the best {decimals(best[1], _DIGITS)} in evaluation {best[0]}"
