"""Show a sweep: its points before they are built, how far each is, and what came out."""

from collections.abc import Callable, Sequence

from mbexport.commands.console import ConsoleProgress
from mbexport.errors import EXIT_DONE
from mbexport.quiet import Streams
from mbexport.sweep.job import Engine
from mbexport.sweep.run import PointState, Sweep, run_sweep


class Display(ConsoleProgress):
    def show(self, states: Sequence[PointState]) -> None:
        for s in states:
            if s.ended and s.name not in getattr(self, "seen", set()):
                self.seen = {*getattr(self, "seen", set()), s.name}
                self._console.print(
                    s.name, s.ended.code, f"{s.ended.seconds:.1f}", s.ended.attempts, "reused" if s.is_reused else ""
                )


def run_and_show(sweep: Sweep, engine: Callable[[], Engine], streams: Streams, *, as_json: bool) -> int:
    progress = Display(streams.err)
    try:
        outcome = run_sweep(sweep, engine, progress, lambda document: {})
    finally:
        progress.close()
    return outcome.exit_code


def show_points(sweep: Sweep, *, jobs: int, streams: Streams, as_json: bool) -> int:
    for p in sweep.points:
        streams.out.write(f"{p.name} {p.planned.network.mult_adds} {p.arguments} {p.local_arguments}\n")
    return EXIT_DONE
