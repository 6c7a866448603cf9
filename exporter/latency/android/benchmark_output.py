"""Read what `benchmark_model` prints: TensorFlow Lite's, which LiteRT ships on, and that of LiteRT's CompiledModel.

Both time a warm-up, then the runs, and print a line of statistics behind each (microseconds; tsl/util/
stats_calculator.h). At the end the one prints a line (tensorflow/lite/tools/benchmark/benchmark_model.cc), the other a
block (litert/tools/benchmark_litert_model.h). Whatever else is printed is not read, and whatever of these is missing,
twice there or contradicts the rest is an error: a figure that was misread looks like any other.
"""

import math
import re
from dataclasses import dataclass
from typing import Final

from mbexport.errors import StageError

TFLITE: Final = "tflite"
LITERT: Final = "litert"

_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
_PREFIX: Final = r"^(?:[A-Z]+: )?(?:\[[^\]\n]*:[0-9]+\] )?"  # of either logger: severity; file and line of LiteRT's
_PERCENTILES: Final = r"(?: p5=[0-9]+ median=(?P<median>[0-9]+) p95=[0-9]+)?"
_COUNT_LINE: Final = re.compile(rf"{_PREFIX}count=.*$", re.MULTILINE)
_VARIED: Final = re.compile(
    rf"{_PREFIX}count=(?P<count>[0-9]+) first=(?P<first>[0-9]+) curr=[0-9]+ min=(?P<least>[0-9]+) max=(?P<most>[0-9]+) "
    rf"avg=(?P<mean>{_NUMBER}) std={_NUMBER}{_PERCENTILES}\s*"
)
_SAME: Final = re.compile(rf"{_PREFIX}count=(?P<count>[0-9]+) curr=(?P<mean>[0-9]+)(?:\(all same\))?{_PERCENTILES}\s*")
_TFLITE_END: Final = re.compile(
    rf"{_PREFIX}Inference timings in us: Init: ([0-9]+), First inference: ([0-9]+), "
    rf"Warmup \(avg\): ({_NUMBER}), Inference \(avg\): ({_NUMBER})\s*$",
    re.MULTILINE,
)
_LITERT_END: Final = re.compile(r"^=+ BENCHMARK RESULTS =+\s*$", re.MULTILINE)
_LITERT_ROWS: Final = {
    "init": re.compile(rf"{_PREFIX}Model initialization: +({_NUMBER}) ms\s*$", re.MULTILINE),
    "first": re.compile(rf"{_PREFIX}Warmup \(first\): +({_NUMBER}) ms\s*$", re.MULTILINE),
    "mean": re.compile(rf"{_PREFIX}Inference \(avg\): +({_NUMBER}) ms \(([0-9]+) runs\)\s*$", re.MULTILINE),
}
_GPU_WHOLE: Final = re.compile(r"pplied GPU delegate, and the model graph will be completely executed")
_REPLACED: Final = re.compile(r"Replacing ([0-9]+) out of ([0-9]+) node\(s\) with delegate")
_RELATIVE: Final = 2e-5  # streams print six digits of a mean
_HUNDREDTH_US: Final = 5.5  # half of the 0.01 ms that LiteRT's block is rounded to, and what float takes from it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """One run of the tool: milliseconds of the inferences behind the warm-up.

    `median_ms` is None in older versions, which print a mean only. `init_ms` is the loading of the file, `first_ms`
    the first inference. `is_whole_on_gpu` says that the tool had the GPU execute every op.
    """

    tool: str
    runs: int
    mean_ms: float
    median_ms: float | None
    min_ms: float
    max_ms: float
    init_ms: float
    first_ms: float
    is_whole_on_gpu: bool = False

    @property
    def typical_ms(self) -> float:
        """The median where the tool prints one, else the mean."""
        return self.mean_ms if self.median_ms is None else self.median_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statistics:
    """A line of statistics, in microseconds."""

    count: int
    first: float
    least: float
    most: float
    mean: float
    median: float | None


def read_output(text: str) -> Sitting:
    """The figures of a run that succeeded. Raises `StageError` for any other text than the tools' own."""
    lines = [_statistics(line[0]) for line in _COUNT_LINE.finditer(text)]
    if len(lines) != 2:
        raise _unreadable(f"it has {len(lines)} lines of statistics (count=...) and not 2")
    warmup, timed = lines
    tool, init_us, first_us, mean_us, tolerance_us = _end(text)
    if not abs(first_us - warmup.first) <= tolerance_us:
        raise _unreadable(f"its first inference took {warmup.first:g} us and {first_us:g} us")
    if not math.isclose(mean_us, timed.mean, rel_tol=_RELATIVE, abs_tol=tolerance_us):
        raise _unreadable(f"its inferences took {timed.mean:g} us and {mean_us:g} us on average")
    if tool == LITERT and timed.count != int(_row("mean", text)[2]):
        raise _unreadable(f"it counts {timed.count} and {_row('mean', text)[2]} runs")
    return Sitting(
        tool=tool,
        runs=timed.count,
        mean_ms=timed.mean / 1000,
        median_ms=None if timed.median is None else timed.median / 1000,
        min_ms=timed.least / 1000,
        max_ms=timed.most / 1000,
        init_ms=init_us / 1000,
        first_ms=first_us / 1000,
        is_whole_on_gpu=_is_whole_on_gpu(text, tool),
    )


def _statistics(line: str) -> _Statistics:
    found = _VARIED.fullmatch(line) or _SAME.fullmatch(line)
    if found is None:
        raise _unreadable(f"a line of statistics is {line.strip()[:200]}")
    given = {name: float(value) for name, value in found.groupdict().items() if value is not None}
    mean, median = given["mean"], given.get("median")
    first, least, most = (given.get(name, mean) for name in ("first", "least", "most"))
    ordered, slack = [least, *([] if median is None else [median]), most], _RELATIVE * most
    is_ordered = ordered == sorted(ordered) and least <= first <= most and least - slack <= mean <= most + slack
    if not (given["count"] >= 1 and is_ordered and min(mean, *ordered[1:]) > 0):
        raise _unreadable(f"a line of statistics is impossible: {line.strip()[:200]}")
    return _Statistics(count=int(given["count"]), first=first, least=least, most=most, mean=mean, median=median)


def _end(text: str) -> tuple[str, float, float, float, float]:
    """Which tool it is; loading, first and mean inference in microseconds, and to how many these are exact."""
    of_tflite, of_litert = list(_TFLITE_END.finditer(text)), list(_LITERT_END.finditer(text))
    if len(of_tflite) + len(of_litert) != 1:
        raise _unreadable(f"it has {len(of_tflite) + len(of_litert)} summaries and not 1")
    if of_tflite:
        init, first, _, mean = map(float, of_tflite[0].groups())
        return TFLITE, init, first, mean, 0.0
    init, first, mean = (float(_row(name, text)[1]) * 1000 for name in _LITERT_ROWS)
    return LITERT, init, first, mean, _HUNDREDTH_US


def _row(name: str, text: str) -> "re.Match[str]":
    found = list(_LITERT_ROWS[name].finditer(text))
    if len(found) != 1:
        raise _unreadable(f"its results have the {name} time {len(found)} times and not once")
    return found[0]


def _is_whole_on_gpu(text: str, tool: str) -> bool:
    """Whether the GPU executed every op, of a run that was asked to use it.

    TensorFlow Lite's tool says so. LiteRT's says nothing: without the CPU among its accelerators it ends with an error
    where an op is left over. Either lists what a delegate replaces, if it lists that at all.
    """
    is_partial = any(int(found[1]) < int(found[2]) for found in _REPLACED.finditer(text))
    return not is_partial and (tool == LITERT or _GPU_WHOLE.search(text) is not None)


def _unreadable(reason: str) -> StageError:
    return StageError(f"what benchmark_model printed cannot be read: {reason}")
