"""What fits a terminal: no line is wider, nothing is cut, and a file or a pipe gets whole lines without colours."""

import copy
import io
import json
import re
from pathlib import Path
from typing import Final

import pytest
from hostile import TEXTS
from hypothesis import given
from hypothesis import strategies as st

from mbexport.escaping.characters import is_hidden
from mbexport.escaping.terminal import visible
from mbexport.report.screen import Screen, ShortNames, Table
from mbexport.report.terminal import print_check, print_latencies, print_report, print_sensitivity

EXAMPLE: Final = json.loads(Path(__file__).with_name("example_report.json").read_bytes())
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
OUT: Final = Path("dist/net")


class Terminal(io.StringIO):
    """A stream that says that it is a terminal; COLUMNS says how wide."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    """What a terminal of this width shows, in lines."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "LINES"):
        monkeypatch.delenv(name, raising=False)

    def show(report, columns: int = 80, out: Path | None = None, *, colours: bool = False) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        stream = Terminal()
        print_report(report, stream, out=out)
        text = stream.getvalue()
        return (text if colours else COLOUR.sub("", text)).splitlines()

    return show


def cells(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.split()}


@pytest.mark.parametrize("columns", [50, 72, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(columns, terminal):
    lines = terminal(EXAMPLE, columns)
    assert max(map(len, lines)) <= columns
    assert "…" not in "".join(lines)
    missing = cells(terminal(EXAMPLE, 1000)) - cells(lines)
    assert {name.removeprefix("mobilenet_v1_0.75_224_") for name in missing} <= cells(lines)


def test_at_80_columns_the_table_has_two_parts_and_names_without_what_all_share(terminal):
    lines = terminal(EXAMPLE)
    at = lines.index("the names of all artifacts begin with mobilenet_v1_0.75_224_")
    assert lines[at + 1].split() == ["artifact", "size", "top-1", "[95", "%]", "points", "lost", "agreement"]
    second = next(index for index, line in enumerate(lines) if line.split()[:2] == ["artifact", "p50"])
    assert lines[second].split() == ["artifact", "p50", "ms", "p99", "int8", "convs"]
    assert [line.split()[0] for line in lines[second + 1 :][:4]] == [
        entry["file"].removeprefix("mobilenet_v1_0.75_224_") for entry in EXAMPLE["artifacts"]
    ]


def test_a_wide_terminal_shows_one_table_with_whole_names(terminal):
    lines = terminal(EXAMPLE, 140)
    assert not any("begin with" in line for line in lines)
    assert sum(line.startswith("artifact ") for line in lines) == 1


@pytest.mark.parametrize(
    ("verdict", "style"), [("pass", "\x1b[32mpass"), ("undecided", "\x1b[33mundecided"), ("fail", "\x1b[1;31mFAIL")]
)
def test_verdicts_have_their_colours(verdict, style, terminal):
    report = copy.deepcopy(EXAMPLE)
    report["gates"][0] |= {"verdict": verdict, "passed": verdict != "fail"}
    report["passed"] = verdict != "fail"
    lines = terminal(report, 200, colours=True)
    row = next(line for line in lines if line.startswith(report["gates"][0]["name"]))
    assert style in row
    assert lines[-1].startswith("\x1b[1;31mFAILED" if verdict == "fail" else "\x1b[1;32mPASSED")


def test_without_latencies_there_are_no_columns_for_them(terminal):
    report = copy.deepcopy(EXAMPLE)
    for entry in report["artifacts"]:
        entry["latency_ms"] |= {"p50": None, "p99": None}
    header = next(line for line in terminal(report, 200) if line.startswith("artifact "))
    assert header.split()[-4:] == ["lost", "agreement", "int8", "convs"]
    assert "p50" in "".join(terminal(EXAMPLE, 200))


def test_speeds_fit_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    machine = {"noise": None}
    print_latencies(
        {"threads": 1, "artifacts": EXAMPLE["artifacts"], "ratios": [], "machine": machine}, stream, as_json=False
    )
    lines = COLOUR.sub("", stream.getvalue()).splitlines()
    assert max(map(len, lines)) <= 80
    assert {"int8.onnx", "runtime", "ratio", "peak", "images/s,"} <= cells(lines)


def test_no_color_is_respected(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = "\n".join(terminal(EXAMPLE, colours=True))
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text)


def test_a_pipe_gets_whole_lines_without_colours_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    print_report(EXAMPLE, stream, out=OUT)
    lines = stream.getvalue().splitlines()
    assert "\x1b" not in stream.getvalue()
    assert sum(line.startswith("artifact ") for line in lines) == 1
    assert any(len(line) > 100 for line in lines)


def test_a_finished_run_ends_with_commands_to_copy_and_then_the_verdict(terminal):
    lines = terminal(EXAMPLE, 60, Path("my models/net"))
    at = lines.index("next:")
    assert [line.strip() for line in lines[at + 1 : at + 5]] == [
        lines[at + 1].split()[0] + " 'my models/net'/report.html",
        "mbexport verify 'my models/net'/*.tflite --data YOUR_IMAGES",
        "mbexport bench 'my models/net'/*.tflite",
        "mbexport bundle --check 'my models/net'",
    ]
    assert lines[at + 5] == ""
    assert lines[at + 6].startswith("FAILED: size_ratio")
    assert lines[at + 7].startswith("    ")


def test_after_verify_only_the_report_can_be_opened_and_stage_times_are_not_repeated(terminal):
    report = {name: value for name, value in EXAMPLE.items() if name != "stages"}
    lines = terminal(report, out=OUT)
    assert lines[lines.index("next:") + 1].endswith(" dist/net/report.html")
    assert not any("mbexport" in line for line in lines[lines.index("next:") :])
    assert "next:" not in terminal(EXAMPLE)
    assert not any(line.startswith("stages") for line in terminal(EXAMPLE, out=OUT))


def test_warnings_come_before_the_verdict_on_a_terminal_that_shows_both():
    report = copy.deepcopy(EXAMPLE)
    report["machine"]["noise"] = "the load was 3 on 2 cores"
    stream = io.StringIO()
    print_report(report, stream, out=None, warnings=stream)
    warning, empty, verdict = stream.getvalue().splitlines()[-3:]
    assert (warning.split(":")[0], empty, verdict.split(":")[0]) == ("WARNING", "", "FAILED")


def test_as_json_warnings_go_to_their_own_stream():
    report = copy.deepcopy(EXAMPLE)
    report["machine"]["noise"] = "the load was 3 on 2 cores"
    stream, warnings = io.StringIO(), io.StringIO()
    print_report(report, stream, out=None, as_json=True, warnings=warnings)
    assert json.loads(stream.getvalue()) == report
    assert warnings.getvalue().startswith("WARNING: ")


def test_keras_files_do_not_say_how_many_convolutions_run_in_integers(terminal):
    report = copy.deepcopy(EXAMPLE)
    report["artifacts"][0]["kernels"] |= {"int8_convs": 0, "float_convs": 0}
    assert "0 of 0" not in "\n".join(terminal(report))


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["net_fp32.onnx", "net_int8.onnx"], ["fp32.onnx", "int8.onnx"]),
        (["net_fp32.onnx", "net_fp16.onnx"], ["fp32.onnx", "fp16.onnx"]),
        (["a.onnx", "b.onnx"], ["a.onnx", "b.onnx"]),
        (["only_one.tflite"], ["only_one.tflite"]),
        (["x" * 30, "y" * 30], ["[1]", "[2]"]),
        ([], []),
    ],
)
def test_names_lose_what_all_begin_with_or_become_numbers(names, short):
    found = ShortNames.of(names)
    assert [found.short[name] for name in names] == short
    assert (len(found.legend) > 0) is (names != short)


def test_a_name_that_begins_with_another_is_told_apart():
    found = ShortNames.of(["x" * 30, "x" * 30 + ".onnx"])
    assert found.apply(f"{'x' * 30}.onnx and {'x' * 30}") == "[2] and [1]"


WORDS: Final = st.text("abcdefgh0123456789", min_size=1, max_size=12)
TABLES: Final = st.integers(2, 8).flatmap(lambda count: st.lists(st.tuples(*[WORDS] * count), min_size=2, max_size=6))


@given(TABLES, st.integers(26, 120))
def test_every_cell_of_any_table_is_shown_once_and_in_its_column(rows, width):
    stream = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm")
        Screen(stream).table(Table(header=rows[0], rows=rows[1:]))
    lines = COLOUR.sub("", stream.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    parts = [lines[at : at + len(rows)] for at in range(0, len(lines), len(rows))]
    columns = [column for part in parts for column in list(zip(*map(str.split, part), strict=True))[1:]]
    assert columns == list(zip(*rows, strict=True))[1:]
    assert all(tuple(line.split()[0] for line in part) == next(zip(*rows, strict=True)) for part in parts)


def test_sensitivity_fits_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    stream = Terminal()
    print_sensitivity({"file": "f", **EXAMPLE["sensitivity"]}, stream, as_json=False)
    assert max(len(COLOUR.sub("", line)) for line in stream.getvalue().splitlines()) <= 50


@given(st.lists(TEXTS, min_size=2, max_size=4), st.booleans())
def test_no_text_commands_the_terminal(texts, is_terminal):
    stream = Terminal() if is_terminal else io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "60")
        patch.setenv("TERM", "xterm")
        screen = Screen(stream, names=texts)
        screen.table(Table(header=tuple("ab"), rows=[(each, "1") for each in texts], notes=texts))
        for each in texts:
            screen.line(each)
            screen.copyable(each)
    lines = COLOUR.sub("", stream.getvalue()).split("\n")
    assert not any(map(is_hidden, "".join(lines)))
    if not is_terminal:
        assert not [line for line in lines if line.lstrip().startswith("::") or re.search(r"##\w*\[", line)]
        assert max(map(len, lines)) <= max(310, *(len(visible(each)) + 4 for each in texts))


@pytest.mark.parametrize(("is_good", "verdict", "colour"), [(True, "SOUND", "32"), (False, "NOT SOUND", "31")])
def test_a_check_ends_with_its_verdict_in_colour_on_a_terminal_alone(monkeypatch, is_good, verdict, colour):
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        print_check(["a.tflite differs"], verdict, is_good=is_good, stream=stream)
    assert terminal.getvalue().splitlines() == ["a.tflite differs", f"\x1b[1;{colour}m{verdict}\x1b[0m"]
    assert pipe.getvalue().splitlines() == ["a.tflite differs", verdict]
