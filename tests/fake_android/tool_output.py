"""What `benchmark_model` prints for given times, as its sources write it: TensorFlow Lite's tool, and LiteRT's."""

from collections.abc import Sequence
from statistics import pstdev

WHOLE_GPU = "Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate."


def tflite_output(
    warmup_us: Sequence[int], times_us: Sequence[int], *, init_us: int, delegate: str = "", is_old: bool = False
) -> str:
    """The log of TensorFlow Lite's tool; an old one prints no percentiles and no severities."""
    sections = [_section(each, percentiles=not is_old) for each in (warmup_us, times_us)]
    lines = [
        "STARTING!",
        *([delegate] if delegate else []),
        f"Initialized session in {init_us / 1000:g}ms.",
        *(line for section in sections for line in section),
        f"Inference timings in us: Init: {init_us}, First inference: {warmup_us[0]}, "
        f"Warmup (avg): {_mean(warmup_us):g}, Inference (avg): {_mean(times_us):g}",
        "Memory footprint delta from the start of the tool (MB): init=4.1 overall=5.2",
    ]
    return "".join(line if is_old or line == "\n" else f"INFO: {line}" for line in _ended(lines))


def litert_output(warmup_us: Sequence[int], times_us: Sequence[int], *, init_us: int) -> str:
    """The log of LiteRT's tool, which runs a CompiledModel."""
    sections = [_section(each, percentiles=True) for each in (warmup_us, times_us)]
    rows = [
        "\n========== BENCHMARK RESULTS ==========",
        f"Model initialization: {init_us / 1000:.2f} ms",
        f"Warmup (first):       {warmup_us[0] / 1000:.2f} ms",
        f"Warmup (avg):         {_mean(warmup_us) / 1000:.2f} ms ({len(warmup_us)} runs)",
        f"Inference (avg):      {_mean(times_us) / 1000:.2f} ms ({len(times_us)} runs)",
        f"Inference (min):      {min(times_us) / 1000:.2f} ms",
        f"Inference (max):      {max(times_us) / 1000:.2f} ms",
        f"Inference (std):      {pstdev(times_us) / 1000:.2f}",
        "======================================\n",
    ]
    logged = [f"[benchmark_litert_model.h:{77 + place}] {row}" for place, row in enumerate(rows)]
    lines = ["STARTING!", *(line for section in sections for line in section), *logged]
    return "".join(line if line == "\n" else f"INFO: {line}" for line in _ended(lines))


def _section(times_us: Sequence[int], *, percentiles: bool) -> list[str]:
    limits = "Running benchmark for at least 1 iterations and at least 0 seconds but terminate if exceeding 1 seconds."
    return [limits, statistics_line(times_us, percentiles=percentiles), ""]


def statistics_line(times_us: Sequence[int], *, percentiles: bool) -> str:
    """The line of statistics, with or without percentiles."""
    count, curr = len(times_us), times_us[-1]
    if min(times_us) == max(times_us):
        line = f"count={count} curr={curr}" + ("(all same)" if count > 1 else "")
    else:
        line = (
            f"count={count} first={times_us[0]} curr={curr} min={min(times_us)} max={max(times_us)} "
            f"avg={_mean(times_us):g} std={int(pstdev(times_us))}"
        )
    ordered = sorted(times_us)
    p5, median, p95 = (ordered[count * percent // 100] for percent in (5, 50, 95))
    return f"{line} p5={p5} median={median} p95={p95}" if percentiles else line


def _mean(times_us: Sequence[int]) -> float:
    return sum(times_us) / len(times_us)


def _ended(lines: Sequence[str]) -> list[str]:
    return [f"{line}\n" for line in lines]
