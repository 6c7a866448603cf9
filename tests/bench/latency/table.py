"""The tables of latency as Markdown, and the verdict on the targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from latency.networks import GOOGLE, ORT_STATIC, TFLITE_PTQ, our_name
from latency.timing import Row, Timed
from quality.table import NONE, failure, title_of, written_ratio

from mbexport.latency.interleaved import Ratio

_HEAD: Final = (
    "| made by | file | p50 ms | x its runtime's PTQ [95 %] | times as fast as our fp32 [95 %] | int8 convs | MB "
    "| x our fp32's MB |",
    "|---|---|---|---|---|---|---|---|",
)
_COLUMNS: Final = 8
_WIDEST: Final = 1.25  # ends of an interval that are farther apart come from a busy machine, and decide nothing
_FP32, _INT8 = our_name("fp32"), our_name("int8")
BASELINES: Final = {"tflite": TFLITE_PTQ, "onnx": ORT_STATIC}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What our int8 file of one format must reach beside the file called `other`, in the network `title`.

    `latency`: its time over the other's, at most `limit`. `speedup`: the other's time over its own, at least `limit`.
    `size`: its bytes over the other's, at most `limit`.
    """

    title: str
    suffix: str
    quantity: str
    other: str
    limit: float


def targets(titles: Sequence[str], *, referenced: Sequence[str], fast: str) -> list[Target]:
    """Those of every network, those beside Google's file where there is one, and the speed-ups of the one `fast`."""
    found = []
    for title in titles:
        for suffix in ("onnx", "tflite"):
            found.append(Target(title=title, suffix=suffix, quantity="latency", other=BASELINES[suffix], limit=1.0))
            found.append(Target(title=title, suffix=suffix, quantity="size", other=_FP32, limit=0.28))
        if title in referenced:
            found.append(Target(title=title, suffix="tflite", quantity="latency", other=GOOGLE, limit=1.0))
        if title == fast:
            found.append(Target(title=title, suffix="onnx", quantity="speedup", other=_FP32, limit=1.8))
            found.append(Target(title=title, suffix="tflite", quantity="speedup", other=_FP32, limit=2.0))
    return found


def markdown(found: Timed) -> str:
    """The table of one network on one number of threads."""
    threads = "1 thread" if found.threads == 1 else f"{found.threads} threads"
    return "\n".join([f"### {found.title}, {threads}", "", *_HEAD, *(_line(row, found) for row in found.rows), ""])


def _line(row: Row, found: Timed) -> str:
    made = row.made
    if made.path is None or row.kernels is None:
        return failure(made, columns=_COLUMNS)
    key = (made.name, made.suffix)
    fp32 = found.find(_FP32, made.suffix)
    convolutions = row.kernels.int8_convs + row.kernels.float_convs
    cells = [
        title_of(made),
        f".{made.suffix}",
        f"{row.p50_ms:.2f}",
        written_ratio(found.ratio(key, (BASELINES[made.suffix], made.suffix))),
        written_ratio(found.ratio((_FP32, made.suffix), key)),
        f"{row.kernels.int8_convs} of {convolutions}",
        f"{row.size_bytes / 1e6:.2f}",
        f"{row.size_bytes / fp32.size_bytes:.3f}" if fp32 else NONE,
    ]
    return f"| {' | '.join(cells)} |"


def verdict(target: Target, found: Timed) -> str:
    """One line: whether `target` is reached in `found`. What was not measured is missed.

    "reached": with the whole 95 % interval. "reached by the median": it is within the limit, but a part of its interval
    is not. "reached by the interval": the median is beyond the limit, but not by more than chance explains.
    """
    sign = ">=" if target.quantity == "speedup" else "<="
    threads = "" if target.quantity == "size" else f", {found.threads} thread{'s' * (found.threads > 1)}"
    asked = (
        f"{target.title}{threads}, int8 .{target.suffix}: {target.quantity} {sign} {target.limit:.2f} x {target.other}"
    )
    own, other = found.find(_INT8, target.suffix), found.find(target.other, target.suffix)
    if own is None or other is None:
        return f"target {asked} missed: not measured"
    if target.quantity == "size":
        share = own.size_bytes / other.size_bytes
        return f"target {asked} {'reached' if share <= target.limit else 'missed'}: x {share:.3f}"
    mine, theirs = (_INT8, target.suffix), (target.other, target.suffix)
    ratio = found.ratio(theirs, mine) if sign == ">=" else found.ratio(mine, theirs)
    return f"target {asked} {_reached(ratio, target.limit, at_least=sign == '>=')}"


def _reached(ratio: Ratio | None, limit: float, *, at_least: bool) -> str:
    if ratio is None:
        return "missed: not measured"
    low, high = ratio.ci95
    text = f"x {ratio.ratio:.3f} [{low:.3f}, {high:.3f}]"
    if not high <= _WIDEST * low:
        return f"missed: too uncertain: {text}"
    sign = -1 if at_least else 1
    worst, best = (low, high) if at_least else (high, low)
    for value, word in ((worst, "reached"), (ratio.ratio, "reached by the median"), (best, "reached by the interval")):
        if sign * value <= sign * limit:
            return f"{word}: {text}"
    return f"missed: {text}"
