"""The table of quantizers as Markdown, and the verdict on the targets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from peers.making import Made
from quality.judging import Answers, Row

from mbexport.latency.interleaved import Ratio

_HEAD = (
    "| quantizer | file | top-1 % [95 %] | agreement with float %, answers changed | probability moved % | MB | p50 ms"
    " | x its runtime's own PTQ [95 %] | s |",
    "|---|---|---|---|---|---|---|---|---|",
)
_COLUMNS = 9
NONE = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What one of our ways must reach at one alpha; `quantity` is a key of what `_quantities` gives."""

    alpha: float
    name: str
    quantity: str
    limit: float


# Those of which more is better, and how each is written.
_AT_LEAST = frozenset({"agreement"})
_WRITTEN = {
    "agreement": ("{:.1f} %", 100),
    "top-1 lost": ("{:.1f} points", 100),
    "seconds": ("{:.0f} s", 1),
    "latency": ("x {:.3f}", 1),
    "size": ("x {:.3f}", 1),
}


def markdown(reference: Answers, rows: Sequence[Row[Answers]]) -> str:
    """The table of one network."""
    keras = f"| float | Keras | {_top1(reference)} | 100.0, 0 | 0.00 | {' | '.join([NONE] * 4)} |"
    return "\n".join([*_HEAD, keras, *map(_line, rows), ""])


def title_of(made: Made) -> str:
    """What a table calls a row: its quantizer, and the release of it."""
    return f"{made.name} ({made.version})" if made.version else made.name


def failure(made: Made, *, columns: int) -> str:
    """The line of a row without a file, in a table with so many columns: the reason stands in the third."""
    return f"| {title_of(made)} | .{made.suffix} | failed: {made.reason.replace('|', '/')} {'| ' * (columns - 3)}|"


def written_ratio(ratio: Ratio | None) -> str:
    """A ratio of times with its interval, as tables have it."""
    if ratio is None:
        return NONE
    low, high = ratio.ci95
    return f"{ratio.ratio:.2f} [{low:.2f}, {high:.2f}]"


def _line(row: Row[Answers]) -> str:
    made = row.made
    if row.answers is None:
        return failure(made, columns=_COLUMNS)
    seconds = NONE if math.isnan(made.seconds) else f"{made.seconds:.0f}"
    near = [f"{row.answers.agreement * 100:.1f}, {row.answers.changed}", f"{row.answers.moved * 100:.2f}"]
    size, p50 = f"{row.size_bytes / 1e6:.2f}", f"{row.p50_ms:.2f}"
    cells = [title_of(made), f".{made.suffix}", _top1(row.answers), *near, size, p50, written_ratio(row.ratio), seconds]
    return f"| {' | '.join(cells)} |"


def _top1(answers: Answers) -> str:
    low, high = answers.top1_ci95
    return f"{answers.top1 * 100:.1f} [{low * 100:.1f}, {high * 100:.1f}]"


def verdict(target: Target, reference: Answers, rows: Sequence[Row[Answers]], *, baseline: str) -> str:
    """One line: whether `target` is reached by the worse of its two files, of `rows` of its alpha.

    `baseline` is the quantizer whose .tflite ours must be as small and as fast as. What was not measured is missed.
    """
    own = [row for row in rows if row.made.name == target.name]
    peers = [row for row in rows if (row.made.name, row.made.suffix) == (baseline, "tflite") and row.answers]
    value = _quantities(own, reference, peers).get(target.quantity, math.nan)
    more_is_better = target.quantity in _AT_LEAST
    is_reached = value >= target.limit if more_is_better else value <= target.limit
    pattern, factor = _WRITTEN[target.quantity]
    found = "not measured" if math.isnan(value) else pattern.format(value * factor)
    limit = pattern.format(target.limit * factor)
    asked = f"alpha {target.alpha:g}, {target.name}: {target.quantity} {'>=' if more_is_better else '<='} {limit}"
    return f"target {asked} {'reached' if is_reached else 'missed'}: {found}"


def _quantities(own: Sequence[Row[Answers]], reference: Answers, peers: Sequence[Row[Answers]]) -> dict[str, float]:
    """The worst of each quantity over `own` files; only those that could be measured."""
    answers = [row.answers for row in own if row.answers]
    if not answers or len(answers) != len(own):
        return {}
    found = {
        "agreement": min(answer.agreement for answer in answers),
        "top-1 lost": max(reference.top1 - answer.top1 for answer in answers),
        "seconds": max(row.made.seconds for row in own),
    }
    for row in own:
        if row.made.suffix == "tflite" and row.ratio and peers:
            found |= {"latency": row.ratio.ratio, "size": row.size_bytes / peers[0].size_bytes}
    return found
