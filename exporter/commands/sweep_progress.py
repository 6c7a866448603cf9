"""Show a sweep while it runs: on a terminal a table of all points, elsewhere a line for each change."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TextIO

from mbexport.escaping.terminal import LONGEST_CELL, visible
from mbexport.progress import raise_if_interrupted
from mbexport.sweep.states import Phase, PointState

if TYPE_CHECKING:
    from rich.console import RenderableType

_REFRESH_S: Final = 0.25
_AROUND_LINES: Final = 3  # the summary, the line of those that are not shown, and the cursor's
_BAR: Final = 10  # letters
_KEPT: Final = (24, 18, 0, 0)  # of a column on a narrow terminal: names and what happens, rather than how far it is
_STYLES: Final = {
    Phase.RUNNING: "cyan",
    Phase.RETRYING: "yellow",
    Phase.DONE: "green",
    Phase.REUSED: "green",
    Phase.GATE_FAILED: "bold red",
    Phase.FAILED: "bold red",
}
# Which points a terminal shows that is too low for all of them: those where most happens.
_URGENCY: Final = (
    Phase.RUNNING,
    Phase.RETRYING,
    Phase.FAILED,
    Phase.GATE_FAILED,
    Phase.DONE,
    Phase.REUSED,
    Phase.WAITING,
)


class SweepProgress:
    """A display of all points of a sweep: a live table on a terminal, else a line whenever a point goes on.

    Use it as a context manager, or `close` it: the table is taken away, the lines of what is over stay.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # a tenth of a second that --help does without
        from rich.live import Live

        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._shown: dict[str, PointState] = {}
        self._shown_at = 0.0

    def __enter__(self) -> "SweepProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, states: Sequence[PointState]) -> None:
        """Show the states as they are now; see `Display.show`."""
        raise_if_interrupted()
        changed = [each for each in states if _has_gone_on(self._shown.get(each.name), each)]
        self._shown = {each.name: each for each in states}
        if self._console.is_terminal:
            self._refresh(states, is_due=bool(changed))
            changed = [each for each in changed if each.phase.is_over]
        for state in changed:
            self._console.print(visible(line_of(state)), soft_wrap=True)

    def close(self) -> None:
        """Take the table away, so that what is printed next stands on a clean line."""
        self._live.stop()

    def _refresh(self, states: Sequence[PointState], *, is_due: bool) -> None:
        """Draw the table anew, where a point has gone on or a moment has passed."""
        now = time.monotonic()
        if not is_due and now - self._shown_at < _REFRESH_S:
            return
        self._shown_at = now
        if not self._live.is_started:
            self._live.start()
        self._live.update(table_of(states, height=self._console.height), refresh=True)


def line_of(state: PointState) -> str:
    """What a point does, in one line."""
    words = [f"{state.name:<14}", _what(state)]
    if state.node:
        words.append(f"on {state.node}")
    if state.reason and state.phase in (Phase.FAILED, Phase.RETRYING, Phase.GATE_FAILED):
        words[-1] += f": {state.reason}"
    return " ".join(words)


def summary(states: Iterable[PointState]) -> str:
    """How many points do what: `16 points: 2 running, 5 done, 9 waiting`."""
    phases = [each.phase for each in states]
    found = [(phases.count(phase), phase) for phase in _URGENCY]
    return f"{len(phases)} point{'' if len(phases) == 1 else 's'}: " + ", ".join(
        f"{count} {phase.value}" for count, phase in found if count
    )


def table_of(states: Sequence[PointState], *, height: int) -> "RenderableType":
    """The table of as many points as fit `height` lines, in their order, and below it how many do what."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    room = max(1, height - _AROUND_LINES)
    by_urgency = sorted(states, key=lambda each: _URGENCY.index(each.phase))[:room]
    kept = [each for each in states if each in by_urgency]
    rows = [(state, (state.name, _what(state), _steps(state), _beside(state))) for state in kept]
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in range(len(rows[0][1]) if rows else 0):
        longest = max(len(visible(cells[column], LONGEST_CELL)) for _, cells in rows)
        table.add_column(no_wrap=True, overflow="ellipsis", min_width=min(longest, _KEPT[column]))
    for state, cells in rows:
        styles = ("", _STYLES.get(state.phase, "dim"), "", "")
        shown = (visible(cell, LONGEST_CELL) for cell in cells)
        table.add_row(*(Text(cell, style=style) for cell, style in zip(shown, styles, strict=True)))
    rest = len(states) - len(kept)
    last = summary(states) + (f"; {rest} not shown" if rest else "")
    return Group(table, Text(visible(last), style="bold", no_wrap=True, overflow="ellipsis"))


def _has_gone_on(before: PointState | None, now: PointState) -> bool:
    """Whether there is more to tell of a point than another step."""
    if before is None:
        return now.phase is not Phase.WAITING
    return (before.phase, before.stage, before.attempt) != (now.phase, now.stage, now.attempt)


def _what(state: PointState) -> str:
    attempt = f" (attempt {state.attempt})" if state.attempt > 1 else ""
    match state.phase:
        case Phase.RUNNING:
            return f"{state.stage or 'starting'}{attempt}"
        case Phase.DONE | Phase.GATE_FAILED:
            word = "done" if state.phase is Phase.DONE else "gate failed, done"
            return f"{word} in {state.seconds:.1f} s{attempt}"
        case Phase.REUSED:
            return f"reused (took {state.seconds:.1f} s)"
        case Phase.RETRYING:
            return f"trying again (attempt {state.attempt})"
        case _:
            return state.phase.value + attempt


def _steps(state: PointState) -> str:
    """How far the stage is, as a bar and as numbers."""
    if state.phase is not Phase.RUNNING or state.total <= 0:
        return ""
    full = min(_BAR, _BAR * state.done // state.total)
    return f"{'#' * full}{'-' * (_BAR - full)} {state.done}/{state.total}"


def _beside(state: PointState) -> str:
    told = state.text if state.phase is Phase.RUNNING else state.reason if state.phase is not Phase.DONE else ""
    return " ".join(filter(None, (told, f"on {state.node}" if state.node else "")))
