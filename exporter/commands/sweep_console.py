"""Run a sweep and show what came out, or show only its points and about how long they take."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, Final

from mbexport.commands.console import ConsoleProgress
from mbexport.commands.sweep_progress import SweepProgress
from mbexport.errors import EXIT_DONE
from mbexport.escaping.terminal import json_text, visible_lines
from mbexport.quiet import Streams
from mbexport.report.sweep_page.render import PAGE, sweep_page
from mbexport.report.sweep_terminal import print_sweep
from mbexport.sweep.estimate import estimate_s, estimated_points_s
from mbexport.sweep.job import Engine
from mbexport.sweep.run import Sweep, require_place, run_sweep
from mbexport.sweep.table import TABLE, sweep_csv

Json = dict[str, Any]
_SHOWN: Final = MappingProxyType({PAGE: sweep_page, TABLE: sweep_csv})


def run_and_show(
    sweep: Sweep, engine: Callable[[], AbstractContextManager[Engine]], streams: Streams, *, as_json: bool
) -> int:
    """Build and time the points, print the table of all of them, and return the exit code."""
    progress = ConsoleProgress(streams.err)
    with SweepProgress(streams.err) as display:
        try:
            outcome = run_sweep(sweep, engine, _SHOWN, display=display, progress=progress)
        finally:
            progress.close()
    print_sweep(outcome.document, streams.out, out=sweep.out, as_json=as_json)
    return outcome.exit_code


def show_points(sweep: Sweep, *, jobs: int, streams: Streams, as_json: bool) -> int:
    """Print the points that would be built, with what they cost, and return the exit code."""
    require_place(sweep, _SHOWN)
    rows: list[Json] = [
        {
            "name": point.name,
            "mult_adds": point.planned.network.mult_adds,
            "parameters": point.planned.network.parameters,
            "to_run": [stage.name for stage in point.planned.stages if stage.seconds is None],
            "estimated_s": round(seconds),
        }
        for point, seconds in zip(sweep.points, estimated_points_s(sweep), strict=True)
    ]
    total = round(estimate_s(sweep, jobs=jobs))
    if as_json:
        streams.out.write(json_text({"points": rows, "jobs": jobs, "cores": sweep.cores, "estimated_s": total}) + "\n")
        return EXIT_DONE
    lines = [f"{'point':<16} {'mult-adds':>10} {'parameters':>11} {'stages to run':>14} {'about':>9}"]
    lines += [
        f"{row['name']:<16} {row['mult_adds'] / 1e6:>8.1f} M {row['parameters']:>11,} {len(row['to_run']):>14} "
        f"{_duration(row['estimated_s']):>9}"
        for row in rows
    ]
    lines.append(f"{len(rows)} points, {jobs} at once with {sweep.cores} core(s) each: about {_duration(total)}")
    lines.append("dry run: nothing was written")
    streams.out.write(visible_lines(lines) + "\n")
    return EXIT_DONE


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours, as exact as an estimate is."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
