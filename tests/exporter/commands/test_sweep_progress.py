"""A sweep while it runs: a line for each change where there is no terminal, a live table where there is one."""

import io
import re

import pytest
from hostile import TEXTS
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mbexport import progress
from mbexport.commands.sweep_progress import SweepProgress, line_of, summary, table_of
from mbexport.escaping.characters import is_hidden
from mbexport.sweep.states import Phase, PointState

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
RUNNING = PointState(name="0.25_128", phase=Phase.RUNNING, stage="train", done=3, total=12, text="epochs")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(*shown: list[PointState]) -> list[str]:
    stream = io.StringIO()
    with SweepProgress(stream) as display:
        for states in shown:
            display.show(states)
    return stream.getvalue().splitlines()


def table(states: list[PointState], *, width: int = 80, height: int = 40) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, height=height).print(table_of(states, height=height))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (RUNNING, "0.25_128       train"),
        (PointState(name="a", phase=Phase.RUNNING), "a              starting"),
        (PointState(name="a", phase=Phase.DONE, seconds=12.34), "a              done in 12.3 s"),
        (PointState(name="a", phase=Phase.REUSED, seconds=12.34), "a              reused (took 12.3 s)"),
        (PointState(name="a", phase=Phase.DONE, seconds=1, node="b"), "a              done in 1.0 s on b"),
        (
            PointState(name="a", phase=Phase.GATE_FAILED, seconds=1, reason="agreement"),
            "a              gate failed, done in 1.0 s: agreement",
        ),
        (PointState(name="a", phase=Phase.FAILED, reason="no space"), "a              failed: no space"),
        (
            PointState(name="a", phase=Phase.RETRYING, attempt=2, reason="killed by signal 9"),
            "a              trying again (attempt 2): killed by signal 9",
        ),
    ],
)
def test_a_line_by_hand(state, line):
    assert line_of(state) == line


def test_there_is_a_line_for_each_change_and_none_for_a_step():
    waiting, done = PointState(name="b"), PointState(name="0.25_128", phase=Phase.DONE, seconds=9)
    more = PointState(name="0.25_128", phase=Phase.RUNNING, stage="train", done=4, total=12)
    assert told([RUNNING, waiting], [more, waiting], [more, waiting], [done, waiting]) == [
        "0.25_128       train",
        "0.25_128       done in 9.0 s",
    ]


def test_the_table_by_hand():
    states = [
        RUNNING,
        PointState(name="0.5_128", phase=Phase.RETRYING, attempt=2, reason="the node was lost"),
        PointState(name="0.5_160"),
    ]
    assert table(states) == [
        "0.25_128  train                     ##-------- 3/12  epochs",
        "0.5_128   trying again (attempt 2)                   the node was lost",
        "0.5_160   waiting",
        "3 points: 1 running, 1 retrying, 1 waiting",
    ]


def test_a_low_terminal_shows_where_most_happens():
    states = [PointState(name=f"p{at}") for at in range(20)]
    states[12] = PointState(name="p12", phase=Phase.RUNNING, stage="train")
    states[3] = PointState(name="p3", phase=Phase.FAILED)
    lines = table(states, height=5)
    assert [line.split()[0] for line in lines] == ["p3", "p12", "20"]
    assert lines[-1] == "20 points: 1 running, 1 failed, 18 waiting; 18 not shown"


@pytest.mark.parametrize("columns", [40, 80])
def test_a_terminal_keeps_the_lines_of_what_is_over(monkeypatch, columns):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "24")
    stream = Terminal()
    display = SweepProgress(stream)
    display.show([RUNNING])
    assert "train" in stream.getvalue()
    display.show([PointState(name="0.25_128", phase=Phase.DONE, seconds=9)])
    display.close()
    shown = CONTROL.sub("", stream.getvalue())
    assert "0.25_128       done in 9.0 s" in shown
    assert "1 point: 1 running" in shown


def test_an_interrupt_is_raised():
    progress._requested.set()
    with pytest.raises(KeyboardInterrupt), SweepProgress(io.StringIO()) as display:
        display.show([RUNNING])


STATES = st.builds(
    PointState,
    name=st.text(max_size=30),
    phase=st.sampled_from(Phase),
    stage=st.text(max_size=20),
    done=st.integers(0, 10**6),
    total=st.integers(0, 10**6),
    text=TEXTS,
    seconds=st.floats(0, 1e6),
    attempt=st.integers(1, 3),
    node=TEXTS,
    reason=TEXTS,
)


@given(st.lists(STATES, max_size=6, unique_by=lambda state: state.name), st.integers(20, 120), st.integers(4, 12))
def test_a_table_fits_and_no_name_commands_the_terminal(states, width, height):
    lines = table(states, width=width, height=height)
    assert len(lines) <= max(height - 1, 2)
    assert not any(map(is_hidden, "".join(lines)))
    assert f"{len(states)} point" in summary(states)
    assert not any(map(is_hidden, "".join(told(states))))
