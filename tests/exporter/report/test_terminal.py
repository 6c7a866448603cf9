"""What the terminal shows of a report: where each number stands, and what an undecided gate is told as."""

import copy
import io
import json
from pathlib import Path
from typing import Any, Final

import pytest
from example_reports import with_named_paths
from hypothesis import given
from hypothesis import strategies as st

from mbexport.report import formatting as wording
from mbexport.report.terminal import print_latencies, print_report, print_warnings
from mbexport.verification.gates import GATES

EXAMPLE: Final = json.loads(Path(__file__).with_name("example_report.json").read_bytes())
INT8: Final = "mobilenet_v1_0.75_224_int8.tflite"


def printed(report: Any) -> list[str]:
    stream = io.StringIO()
    print_report(report, stream, out=None)
    return stream.getvalue().splitlines()


def warned(report: Any) -> str:
    stream = io.StringIO()
    print_warnings(report, stream)
    return stream.getvalue()


def judged(*gates: dict[str, Any], strict: bool = False) -> Any:
    """The example with other gates: what is not said of them is as in one that passes."""
    likes = {"ci95": [0.9, 0.95], "verdict": "pass", "passed": True, "subject": None, "advice": "", "meaning": "m"}
    whole = [{"value": 0.92, "limit": 0.9, "direction": "at least", **likes, **gate} for gate in gates]
    return {**EXAMPLE, "gates": whole, "strict": strict, "passed": all(gate["passed"] for gate in whole)}


UNDECIDED: Final = {"name": "agreement", "verdict": "undecided", "subject": "a.tflite", "advice": "more images"}
FAILED: Final = {"name": "size_ratio", "verdict": "fail", "passed": False, "subject": "b.onnx", "advice": "prune"}


def test_says_what_the_artifacts_are_compared_with():
    assert printed(EXAMPLE)[1] == "reference: top-1 79.20% [75.4%, 82.5%] on 500 images (Keras, float)"


def test_a_row_holds_every_number_of_its_artifact():
    row = next(line for line in printed(EXAMPLE) if line.startswith(f"{INT8} "))
    words = row.split("  ")
    assert [word.strip() for word in words if word.strip()] == [
        *(INT8, "2.72 MB", "78.40% [74.6%, 81.8%]", "0.8 [-0.3, 2.1]", "98.00%", "3.12", "4.43", "28 of 28"),
    ]


def test_table_fits_a_pipe():
    report = copy.deepcopy(EXAMPLE)
    report["artifacts"][2]["file"] = "mobilenet_v1_0.75_224_int16x8.tflite"
    table = [line for line in printed(report) if line.endswith(" of 28")]
    assert len(table) == 4
    assert all(len(line) <= 130 and "…" not in line for line in table)


def test_twins_and_kernel_paths_have_a_line_each():
    lines = printed(EXAMPLE)
    assert (
        f"{INT8} and mobilenet_v1_0.75_224_int8.onnx: 100.00% [99.2%, 100.0%] of the answers alike, at most 0 LSB apart"
    ) in lines
    assert (
        f"{INT8}, other kernels alike on 100 images: xnnpack/builtin 98.00%, 35 LSB; xnnpack/reference 98.00%, 35 LSB; "
        "builtin/reference 100.00%, 0 LSB"
    ) in lines


def test_named_paths_say_what_they_take_and_why_one_is_not_known():
    lines = printed(with_named_paths())
    assert "a.onnx, other kernels alike on 16 images: optimized/qnn-htp:v75 93.75%, 17 LSB" in lines
    assert (
        "a.onnx, qnn-htp:v75 on Hexagon v75, simulated: 140 of 144 ops in 1 piece(s); by the CPU: 1 Reshape, 3 Softmax"
    ) in lines
    (failed,) = (line for line in lines if line.startswith("b.tflite"))
    assert "xnnpack/webgpu not known: webgpu crashed (SIGSEGV)" in failed


@pytest.mark.parametrize(
    ("share", "line"),
    [
        ({"taken": 33, "total": 33}, "webgpu on Radeon: the whole graph, 33 ops"),
        ({"taken": None, "total": 33}, "webgpu on Radeon: not all of 33 ops; the runtime does not say which are left"),
        (
            {"taken": 3, "total": 3, "device": None, "arena_bytes": 990208},
            "webgpu, in an arena of 990,208 bytes: the whole graph, 3 ops",
        ),
        (
            {"taken": 1, "total": 3, "partitions": 1, "left": {"A": 2}, "executor": "LiteRT's own kernels"},
            "webgpu on Radeon: 1 of 3 ops in 1 piece(s); by LiteRT's own kernels: 2 A",
        ),
    ],
)
def test_share_of_a_path_by_hand(share, line):
    assert wording.taken({"path": "webgpu", "device": "Radeon", "arena_bytes": None, **share}) == line


def test_speedups_say_on_how_many_threads_they_hold():
    assert f"{INT8} is 2.41 [2.33, 2.49] times as fast as fp32" in printed(EXAMPLE)
    report = copy.deepcopy(EXAMPLE)
    report["speedups"][0]["threads"] = 2
    assert f"{INT8} is 2.41 [2.33, 2.49] times as fast as fp32 on 2 threads" in printed(report)


def test_gates_that_did_not_pass_are_followed_by_what_to_do():
    lines = printed(judged({"name": "samples", "ci95": None, "advice": "never shown"}, UNDECIDED, FAILED))
    at = next(index for index, line in enumerate(lines) if line.startswith("gate "))
    assert lines[at : at + 6] == [
        "gate        value       [95 %]   limit",
        "samples      0.92               >= 0.9       pass",
        "agreement    0.92  [0.9, 0.95]  >= 0.9  undecided",
        "    a.tflite: give more test images: about 510 would decide it (an estimate; these were 500)",
        "size_ratio   0.92  [0.9, 0.95]  >= 0.9       FAIL",
        "    b.onnx: prune",
    ]


def test_without_a_report_nothing_points_into_one(tmp_path):
    report = judged({**FAILED, "name": "path_agreement", "advice": GATES["path_agreement"].advice})
    stream = io.StringIO()
    print_report(report, stream, out=tmp_path)
    assert "see the report's kernel paths" in stream.getvalue()
    assert "report's" not in "\n".join(printed(report))


@pytest.mark.parametrize(
    ("gates", "strict", "line"),
    [
        ([{"name": "samples"}], False, "PASSED"),
        ([UNDECIDED], False, "PASSED; 1 gate is undecided (agreement): --strict would fail it"),
        ([{**UNDECIDED, "passed": False}], True, "FAILED: agreement (m); 1 gate is undecided (agreement)"),
        (
            [FAILED, UNDECIDED, {**UNDECIDED, "name": "top1_drop"}],
            False,
            "FAILED: size_ratio (m); 2 gates are undecided (agreement, top1_drop): --strict would fail them",
        ),
        ([FAILED, {**UNDECIDED, "name": "samples", "verdict": "pass"}], True, "FAILED: size_ratio (m)"),
    ],
)
def test_last_line_is_the_verdict(gates, strict, line):
    assert printed(judged(*gates, strict=strict))[-1] == line


def test_an_interval_without_ends_is_left_out():
    assert wording.interval([0.5, 0.75], ".0%") == " [50%, 75%]"
    assert wording.interval(None, ".0%") == wording.interval([None, None], ".0%") == ""


def test_without_gates_nothing_passed():
    assert printed({**judged(), "passed": False})[-1] == "FAILED: there was nothing to judge"


VERDICTS: Final = st.lists(st.sampled_from(["pass", "fail", "undecided"]), max_size=12)


@given(VERDICTS)
def test_urgent_gates_come_first_and_none_is_lost(verdicts):
    gates = [{"name": str(number), "verdict": verdict} for number, verdict in enumerate(verdicts)]
    ordered = wording.by_urgency(gates)
    assert [gate["verdict"] for gate in ordered] == sorted(verdicts, key=["fail", "undecided", "pass"].index)
    for verdict in set(verdicts):
        names = [gate["name"] for gate in ordered if gate["verdict"] == verdict]
        assert names == [gate["name"] for gate in gates if gate["verdict"] == verdict]


def test_noise_is_a_warning():
    assert warned(EXAMPLE) == ""
    report = {**EXAMPLE, "machine": {**EXAMPLE["machine"], "noise": "the load was 3 on 2 cores"}}
    assert warned(report) == "WARNING: these latencies are not to be trusted: the load was 3 on 2 cores\n"


def benched(*entries: Any) -> str:
    stream = io.StringIO()
    ratios = [
        {
            "a": one["file"],
            "b": entries[0]["file"],
            "latency_ratio": ratio,
            "latency_ratio_ci95": [0.4, 0.6],
            "threads": n,
        }
        for n, ratio in ((1, 0.5), (2, 0.45))
        for one in entries[1:]
    ]
    result = {"threads": 1, "artifacts": entries, "ratios": ratios, "machine": {"noise": None}}
    print_latencies(result, stream, as_json=False)
    return stream.getvalue()


def test_bench_shows_starts_memory_and_throughput():
    said = benched(*EXAMPLE["artifacts"][:2])
    rows = [line.split() for line in said.splitlines()]
    assert rows[2][:4] == ["mobilenet_v1_0.75_224_fp32.onnx", "onnxruntime", "10.33", "MB"]
    assert rows[2][4:] == ["7.96", "8.94", "11.21", "0.50", "[0.40,", "0.60]"]
    assert rows[4] == ["mobilenet_v1_0.75_224_fp32.tflite", "4.37", "17.6", "29.96", "MB", "229.0", "297.7"]
    assert rows[5][-2:] == ["216.7", "-"]
    assert "mobilenet_v1_0.75_224_fp32.onnx, batch 8: the file takes 1 image at a time\n" in said


def test_bench_shows_a_dash_for_what_was_not_measured():
    entry = {**EXAMPLE["artifacts"][0], "cold_start_ms": None, "peak_memory_bytes": None, "throughput": []}
    assert benched(entry).splitlines()[3].split() == [entry["file"], "4.37", "-", "-"]


def test_layers_in_float_and_what_they_cost_have_a_line_each():
    assert not [line for line in printed(EXAMPLE) if "in float" in line or "in integers" in line]
    report = copy.deepcopy(EXAMPLE)
    report["calibration"] |= {"convolutions": 28, "in_float": [{"layer": "conv_dw_3", "weights": 1728}]}
    assert "1 of 28 convolutions of int8 files stays in float: conv_dw_3" in printed(report)
    report["calibration"]["in_float"].append({"layer": "conv_preds", "weights": 768000})
    report["in_float"] = [{"file": INT8, "latency_ratio": 1.08, "latency_ratio_ci95": [1.05, 1.11]}]
    lines = printed(report)
    assert "2 of 28 convolutions of int8 files stay in float: conv_dw_3, conv_preds" in lines
    assert f"{INT8} takes 1.08 [1.05, 1.11] times as long as with all layers in integers" in lines
