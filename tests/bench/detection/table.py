"""The table of quantized detectors as Markdown, and which of their files are the same."""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

from quality.judging import Row
from quality.table import NONE, failure, title_of, written_ratio

from mbexport.verification.detection.comparison import Comparison, Drop
from mbexport.verification.detection.resampling import Share
from mbexport.verification.statistics import Interval

_COLUMNS: Final = (
    "quantizer",
    "file",
    "AP [95 %]",
    "AP50 [95 %]",
    "AP points lost [95 %]",
    "float's detections kept % [95 %]",
    "its own that float has % [95 %]",
    "MB",
    "p50 ms",
    "x its runtime's own PTQ [95 %]",
)


def markdown(rows: Sequence[Row[Comparison]]) -> str:
    """The table, and a line for each two files that are equal to the byte."""
    head = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    return "\n".join([*head, *map(_line, rows), "", *(f"{line}\n" for line in _same_files(rows))])


def _line(row: Row[Comparison]) -> str:
    made, found = row.made, row.answers
    if found is None or found.drop is None or found.paired is None:
        return failure(made, columns=len(_COLUMNS))
    quality = found.quality
    cells = [
        title_of(made),
        f".{made.suffix}",
        _fraction(quality.precision.ap, quality.ap_ci95),
        _fraction(quality.precision.ap50, quality.ap50_ci95),
        _lost(found.drop),
        _percent(found.paired.kept),
        _percent(found.paired.backed),
        f"{row.size_bytes / 1e6:.2f}",
        f"{row.p50_ms:.2f}",
        written_ratio(row.ratio),
    ]
    return f"| {' | '.join(cells)} |"


def _fraction(value: float, ci95: Interval) -> str:
    return f"{value:.3f} [{ci95[0]:.3f}, {ci95[1]:.3f}]"


def _lost(drop: Drop) -> str:
    low, high = drop.ap_ci95
    return f"{drop.ap * 100:z.1f} [{low * 100:z.1f}, {high * 100:z.1f}]"  # without a minus before 0.0


def _percent(share: Share) -> str:
    """The share of detections; none where there was no detection."""
    if not share.count:
        return NONE
    low, high = share.ci95
    return f"{share.value * 100:.1f} [{low * 100:.1f}, {high * 100:.1f}]"


def _same_files(rows: Sequence[Row[Comparison]]) -> list[str]:
    """A sentence on each two rows of one format whose files are equal: one of two ways changed nothing."""
    contents = [(row.made, row.made.path.read_bytes()) for row in rows if row.made.path is not None]
    return [
        f"The .{one.suffix} of {one.name} and that of {other.name} are one file, byte for byte."
        for (one, content), (other, others) in combinations(contents, 2)
        if one.suffix == other.suffix and content == others
    ]
