"""What the terminal shows of a sweep: a row for each point, in 80 columns, with colours and without."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from example_sweeps import KINDS, example, of_points, point_of, points
from hostile import TEXTS
from hypothesis import given

from mbexport.escaping.characters import is_hidden
from mbexport.models.mobilenet_v1.published import PUBLISHED
from mbexport.report.sweep_terminal import fronts_of, print_sweep

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that says that it is a terminal; COLUMNS says how wide."""

    def isatty(self) -> bool:
        return True


def printed(sweep: Any, stream: io.StringIO | None = None, **options: Any) -> list[str]:
    stream = stream or io.StringIO()
    print_sweep(sweep, stream, **{"out": Path("sweep"), **options})
    return stream.getvalue().splitlines()


def test_the_table_by_hand():
    lines = printed(example())
    assert lines[1].split() == ["point", "fp32", "int8", "tflite", "ms", "onnx", "ms", "MB", "front", "status"]
    assert lines[2].split() == ["0.25_128", "71.1%", "69.9%", "0.649", "0.716", "0.26", "L", ".", "M?", "passed"]
    assert "0.5_224   88.0%  87.2%       6.75     7.50  0.87  L? S? M?  gate failed" in lines
    assert lines[lines.index("    agreement") - 1].startswith("0.5_224")
    assert "    killed by signal 9 three times" in lines
    assert lines[-1] == "FAILED: 16 points: 14 passed, 1 failed a gate, 1 could not be built"
    assert any(line.startswith("Smallest within 1 point of the best: 1_224 int8 TFLite, 93.1%") for line in lines)


def test_says_where_it_lies_and_what_to_do_next():
    lines = printed(of_points([point_of(PUBLISHED[-1])]), out=Path("my sweep"), commands=("mbexport sweep --pick x",))
    place = lines.index("files: my sweep/")
    assert lines[place + 1] == "next:"
    assert lines[place + 2].endswith(" 'my sweep'/sweep.html")
    assert lines[place + 3] == "  mbexport sweep --pick x"
    assert lines[-1] == "PASSED: 1 point: 1 passed"


def test_a_front_has_a_letter_a_doubt_or_a_dot():
    front = {"latency": "on", "size": "undecided", "mult_adds": "dominated"}
    estimated = {"latency": True, "size": True, "mult_adds": False}
    assert fronts_of({"artifacts": [{"front": front, "estimated": estimated}]}) == "L  S? . "
    assert fronts_of({"artifacts": []}) == ".  .  . "


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [50, 80, 120])
def test_no_line_is_wider_than_the_terminal(monkeypatch, kind, columns):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = [COLOUR.sub("", line) for line in printed(KINDS[kind](), Terminal())]
    assert max(map(len, lines)) <= columns


def test_eighty_columns_are_enough_for_one_table(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    coloured = printed(example(), Terminal())
    assert [COLOUR.sub("", line) for line in coloured][1:20] == printed(example())[1:20]
    assert any(COLOUR.search(line) for line in coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not any("[32m" in line or "[31m" in line for line in printed(example(), Terminal()))


def test_json_is_the_document_itself():
    assert json.loads("\n".join(printed(example(), as_json=True))) == example()


def test_what_limits_the_sweep_is_told():
    noisy = example()
    noisy["machine"]["noise"] = "too noisy to tell"
    assert "WARNING: Too noisy to tell" in printed(noisy)
    assert "WARNING: No file was timed" in printed(of_points(points(), is_timed=False))


@given(TEXTS)
def test_no_name_commands_the_terminal(text):
    sweep = of_points([point_of(PUBLISHED[-1])])
    sweep["points"][0] |= {"name": text, "reason": text, "node": text}
    assert not any(map(is_hidden, "".join(printed(sweep))))
