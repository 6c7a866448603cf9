"""What `benchmark_model` prints: lines of real devices by hand, and that nothing else is taken for a figure."""

import statistics

import pytest
from fake_android.tool_output import WHOLE_GPU, litert_output, tflite_output
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import StageError
from mbexport.latency.android.benchmark_output import read_output

# From public logs: an ARM64 board with a GPU (2025), an older Android tool, and an NPU whose first run takes seconds.
GPU_LOG = """INFO: STARTING!
INFO: Created 1 GPU delegate kernels.
INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.
INFO: Initialized session in 1361.24ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=5 first=125113 curr=112537 min=111758 max=125113 avg=115344 std=4959 p5=111758 median=112912 p95=125113

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=50 first=119614 curr=115889 min=111842 max=119614 avg=115246 std=1329 p5=112107 median=115350 p95=116620

INFO: Inference timings in us: Init: 1361236, First inference: 125113, Warmup (avg): 115344, Inference (avg): 115246
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE.
"""
OLD_LOG = """STARTING!
Initialized session in 20.283ms.
count=2 first=339304 curr=266325 min=266325 max=339304 avg=302814 std=36489
count=50 first=266601 curr=266931 min=265837 max=268116 avg=266473 std=419
Inference timings in us: Init: 20283, First inference: 339304, Warmup (avg): 302814, Inference (avg): 266473
"""
LONG_FIRST_LOG = """Initialized session in 13.386ms.
count=1 curr=11403859

count=260 first=3918 curr=3711 min=3700 max=4026 avg=3756.87 std=35

Inference timings in us: Init: 13386, First inference: 11403859, Warmup (avg): 1.14039e+07, Inference (avg): 3756.87
"""
TIMES = st.lists(st.integers(1, 10**8), min_size=1, max_size=40)


def test_a_log_of_the_gpu_by_hand():
    sitting = read_output(GPU_LOG)
    assert (sitting.tool, sitting.runs, sitting.is_whole_on_gpu) == ("tflite", 50, True)
    assert (sitting.median_ms, sitting.mean_ms, sitting.typical_ms) == (115.350, 115.246, 115.350)
    assert (sitting.min_ms, sitting.max_ms, sitting.init_ms, sitting.first_ms) == (111.842, 119.614, 1361.236, 125.113)


def test_logs_of_old_tools_by_hand():
    old, long_first = read_output(OLD_LOG), read_output(LONG_FIRST_LOG)
    assert (old.median_ms, old.typical_ms, old.runs, old.is_whole_on_gpu) == (None, 266.473, 50, False)
    assert (long_first.typical_ms, long_first.first_ms, long_first.runs) == (pytest.approx(3.75687), 11403.859, 260)


@given(TIMES, TIMES, st.integers(0, 10**8), st.booleans())
def test_the_log_of_any_times_gives_these_times(warmup, times, init, is_old):
    """Law: for both tools. The means are rounded to the six digits of a stream."""
    logs = [tflite_output(warmup, times, init_us=init, is_old=is_old), litert_output(warmup, times, init_us=init)]
    for tool, log in zip(("tflite", "litert"), logs, strict=True):
        sitting = read_output(log)
        has_median = tool == "litert" or not is_old
        assert (sitting.tool, sitting.runs) == (tool, len(times))
        assert (sitting.min_ms, sitting.max_ms) == (min(times) / 1000, max(times) / 1000)
        assert sitting.mean_ms == pytest.approx(statistics.fmean(times) / 1000, rel=1e-5)
        assert sitting.median_ms == (sorted(times)[len(times) // 2] / 1000 if has_median else None)
        assert sitting.first_ms == pytest.approx(warmup[0] / 1000, abs=0.0051)
        assert sitting.init_ms == pytest.approx(init / 1000, abs=0.0051)


@given(TIMES, TIMES, st.data())
def test_a_log_without_one_of_its_lines_is_refused(warmup, times, data):
    """Law: for every line that a figure comes from, missing or twice."""
    make = data.draw(st.sampled_from([tflite_output, litert_output]))
    lines = make(warmup, times, init_us=7).splitlines(keepends=True)
    needed = ("count=", "Inference timings", "BENCHMARK RESULTS", "initialization", "(first)", "Inference (avg)")
    place = data.draw(st.sampled_from([at for at, line in enumerate(lines) if any(word in line for word in needed)]))
    for changed in (lines[:place] + lines[place + 1 :], lines[: place + 1] + lines[place:]):
        with pytest.raises(StageError, match="what benchmark_model printed cannot be read"):
            read_output("".join(changed))


@given(st.text())
def test_other_text_is_refused(text):
    with pytest.raises(StageError, match="cannot be read"):
        read_output(text)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (
            "count=50 first=1 curr=nan min=1 max=2 avg=1 std=0",
            "a line of statistics is INFO: count=50 first=1 curr=nan",
        ),
        ("count=0", "a line of statistics is INFO: count=0"),
        ("count=50 first=9 curr=9 min=9 max=5 avg=7 std=1", "impossible"),
        ("count=50 first=5 curr=9 min=5 max=9 avg=99 std=1", "impossible"),
        ("count=50 first=5 curr=9 min=5 max=9 avg=6 std=1 p5=5 median=10 p95=9", "impossible"),
        ("count=50 first=5 curr=9 min=5 max=9 avg=6 std=1", "its inferences took 6 us and 115246 us on average"),
        ("count=50 curr=0(all same)", "impossible"),
        ("count=50 first=5 curr=9 min=5 max=9 avg=-6 std=1", "a line of statistics is"),
    ],
)
def test_statistics_that_cannot_be_are_refused(seen, said):
    line = GPU_LOG[GPU_LOG.index("INFO: count=50") : GPU_LOG.index("\n\nINFO: Inference timings")]
    with pytest.raises(StageError, match="cannot be read") as raised:
        read_output(GPU_LOG.replace(line, f"INFO: {seen}"))
    assert said in str(raised.value)


def test_numbers_that_contradict_each_other_are_refused():
    with pytest.raises(StageError, match="its first inference took 125113 us and 125114 us"):
        read_output(
            GPU_LOG.replace("First inference: 125113", "First inference: 125114").replace("125113, W", "125114, W")
        )
    log = litert_output([30], [10, 11], init_us=5)
    with pytest.raises(StageError, match="it counts 2 and 3 runs"):
        read_output(log.replace("(2 runs)", "(3 runs)"))


@pytest.mark.parametrize(
    ("log", "is_whole"),
    [
        (tflite_output([3], [1, 2], init_us=1, delegate=WHOLE_GPU), True),
        (tflite_output([3], [1, 2], init_us=1, delegate=WHOLE_GPU.replace("Explicitly applied", "Applied")), True),
        (tflite_output([3], [1, 2], init_us=1, delegate=WHOLE_GPU.replace("completely", "partially")), False),
        (tflite_output([3], [1, 2], init_us=1, delegate=WHOLE_GPU.replace("GPU", "XNNPACK")), False),
        (tflite_output([3], [1, 2], init_us=1), False),
        (litert_output([3], [1, 2], init_us=1), True),
        (
            "VERBOSE: Replacing 31 out of 33 node(s) with delegate (L) node.\n" + litert_output([3], [1], init_us=1),
            False,
        ),
        (
            "VERBOSE: Replacing 33 out of 33 node(s) with delegate (L) node.\n" + litert_output([3], [1], init_us=1),
            True,
        ),
    ],
)
def test_the_gpu_counts_where_it_executes_all(log, is_whole):
    assert read_output(log).is_whole_on_gpu is is_whole
