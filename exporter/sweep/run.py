"""Run a sweep: build the points that are not finished, time all of them, and write what came out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mbexport.errors import EXIT_DONE, EXIT_GATE_FAILED, EXIT_STAGE_FAILED, DataError
from mbexport.fingerprint import THREADS_VARIABLE
from mbexport.pipeline.publish import add, require_room
from mbexport.pipeline.status import Status, read_status
from mbexport.progress import Progress
from mbexport.report.content import to_bytes
from mbexport.sweep.job import Ended, Engine, Job, last_line
from mbexport.sweep.point import LOGS, Point, finished, in_turns, remember, report_of_point
from mbexport.sweep.results import POINTS, SWEEP, Json, PointResult, read_sweep, sweep_json
from mbexport.sweep.speed import judged
from mbexport.sweep.states import Display, Phase, PointState
from mbexport.sweep.timing import time_points
from mbexport.workdir import PRIVATE, Workdir

STATUS: Final = f"{PRIVATE}/status"
_JUDGED: Final = (EXIT_DONE, EXIT_GATE_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A checked sweep: its points, built in `folder` with as many `cores` each, and how all of it is judged.

    Each learns from so many `images`. Nothing is timed where `threads`, those of one inference, is None. `limits` are
    those that the user set of gates on speed. With `force` files that no sweep left as they are may be replaced.
    """

    out: Path
    folder: Path
    points: tuple[Point, ...]
    cores: int
    images: int = 0
    threads: int | None = 1
    limits: Mapping[str, float] = field(default_factory=dict)
    strict: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a sweep made: the content of sweep.json, and the exit code that the points' add up to."""

    document: Json
    exit_code: int


def run_sweep(
    sweep: Sweep,
    engine: Callable[[], AbstractContextManager[Engine]],
    shown: Mapping[str, Callable[[Json], bytes]],
    *,
    display: Display,
    progress: Progress,
) -> Outcome:
    """Build the points that an earlier sweep did not finish on the `engine`, time all files, and write the results.

    The engine is opened only where there is something to build. `shown` makes each file that shows the results, by its
    name, from the content of sweep.json. `display` shows how far the points are, `progress` how far the bench behind
    them is. Raises `OutputError` for an output folder that cannot be used, or that another sweep is using.
    """
    with Workdir.open(sweep.out) as workdir:
        require_place(sweep, shown)
        course = _Course(sweep, workdir, display)
        jobs = course.jobs()
        course.show()
        nodes: dict[str, Json] = {}
        if jobs:
            with engine() as opened:
                for ended in opened.run(jobs, course.show):
                    course.end(ended)
                nodes = {name: dict(facts) for name, facts in opened.nodes.items()}
            course.show()
        display.close()
        results = [_result(sweep, point, course.ends[point.name]) for point in sweep.points]
        timed = None if sweep.threads is None else time_points(workdir, results, sweep.threads, progress=progress)
        document = sweep_json(
            results,
            timed.latencies if timed else {},
            threads=timed.threads if timed else None,
            machine=timed.machine if timed else None,
            speed_gates=judged(results, timed, sweep.limits, strict=sweep.strict),
            nodes={**_known_nodes(sweep.out, results), **nodes},
        )
        _write(workdir, document, shown, is_new=bool(jobs), force=sweep.force)
        return Outcome(document=document, exit_code=_exit_code(document))


def require_place(sweep: Sweep, shown: Iterable[str]) -> None:
    """Raise `OutputError`, before hours of work, for what no sweep left in the place of its files, or of a folder."""
    folders = (LOGS, POINTS, *(f"{POINTS}/{point.name}" for point in sweep.points))
    names = [*shown, SWEEP, *(f"{name}/" for name in folders)]
    require_room(Workdir(sweep.out), names, force=sweep.force, adds=True)


def _known_nodes(out: Path, results: Sequence[PointResult]) -> dict[str, Json]:
    """The machines on which an earlier sweep built points that are still there."""
    try:
        found = read_sweep(out / SWEEP)["nodes"]
    except DataError:
        return {}
    return {result.node: found[result.node] for result in results if result.node in found}


def _write(
    workdir: Workdir, document: Json, shown: Mapping[str, Callable[[Json], bytes]], *, is_new: bool, force: bool
) -> None:
    """Write sweep.json, last, and the files that show it; these are drawn again only where it changes."""
    content = to_bytes(document)
    is_same = not is_new and _lies(workdir, SWEEP) and workdir.folder.read(SWEEP) == content
    files = {name: make(document) for name, make in shown.items() if not (is_same and _lies(workdir, name))}
    if not is_same:
        files[SWEEP] = content
    if files:
        add(workdir, files, force=force)


def _lies(workdir: Workdir, name: str) -> bool:
    return workdir.folder.status(name) is not None


class _Course:
    """How far a sweep is: `ends` are the points that have ended, by name, in this sweep or in an earlier one."""

    def __init__(self, sweep: Sweep, workdir: Workdir, display: Display) -> None:
        self._sweep, self._workdir, self._display = sweep, workdir, display
        found = {point.name: finished(workdir, point) for point in sweep.points}
        self.ends = {name: ended for name, ended in found.items() if ended is not None}
        self._reused = frozenset(self.ends)

    def jobs(self) -> list[Job]:
        """What has to be built; what an earlier sweep said of it is forgotten."""
        waiting = [point for point in in_turns(self._sweep.points) if point.name not in self.ends]
        self._workdir.folder.make_private(STATUS)
        for point in waiting:
            self._workdir.remove(f"{STATUS}/{point.name}.json")
            self._workdir.remove(_log(point.name))
        return [_job(self._sweep, point) for point in waiting]

    def end(self, ended: Ended) -> None:
        """Record how a point ended."""
        point = next(each for each in self._sweep.points if each.name == ended.name)
        if ended.code in _JUDGED:
            remember(self._workdir, point, ended)
        self.ends[ended.name] = ended

    def show(self) -> None:
        """Show how far each point is."""
        self._display.show([self._state(point.name) for point in self._sweep.points])

    def _state(self, name: str) -> PointState:
        ended = self.ends.get(name)
        if ended is None:
            return _running(name, read_status(status_file(self._sweep.out, name)))
        phase = {EXIT_DONE: Phase.DONE, EXIT_GATE_FAILED: Phase.GATE_FAILED}.get(ended.code, Phase.FAILED)
        return PointState(
            name=name,
            phase=Phase.REUSED if name in self._reused else phase,
            seconds=ended.seconds,
            attempt=ended.attempts,
            node=ended.node,
            reason=_reason(self._sweep, ended) if phase is Phase.FAILED else "",
        )


def _running(name: str, status: Status) -> PointState:
    if status.stage is None and not status.finished:
        return PointState(name=name)
    behind = status.finished[-1].name if status.finished else ""
    return PointState(
        name=name,
        phase=Phase.RUNNING,
        stage=status.stage or behind,
        done=status.done,
        total=status.total,
        text=status.text,
    )


def _reason(sweep: Sweep, ended: Ended) -> str:
    """Why a build failed, in one line."""
    return ended.reason or last_line(log_file(sweep.out, ended.name)).removeprefix("Error: ")


def status_file(out: Path, point: str) -> Path:
    """Where the build of a point says how far it is."""
    return out.absolute() / STATUS / f"{point}.json"


def log_file(out: Path, point: str) -> Path:
    """What the build of a point has written to its streams."""
    return out.absolute() / _log(point)


def _log(point: str) -> str:
    return f"{LOGS}/{point}.log"


def _job(sweep: Sweep, point: Point) -> Job:
    return Job(
        name=point.name,
        arguments=(*point.arguments, *point.local_arguments, f"--status={status_file(sweep.out, point.name)}"),
        folder=sweep.folder,
        out=point.folder.absolute(),
        root=sweep.out.absolute(),
        log=log_file(sweep.out, point.name),
        cores=sweep.cores,
        environment={THREADS_VARIABLE: str(sweep.cores)},
    )


def _result(sweep: Sweep, point: Point, ended: Ended) -> PointResult:
    network, spec = point.planned.network, point.spec
    assert network.mult_adds is not None
    assert network.parameters is not None
    report = report_of_point(point) if ended.code in _JUDGED else None
    conv = spec.variant.get("conv")
    return PointResult(
        name=point.name,
        arch=spec.architecture,
        alpha=spec.alpha,
        resolution=spec.resolution,
        conv=None if conv is None else str(conv),
        mult_adds=network.mult_adds,
        parameters=network.parameters,
        exit_code=ended.exit_code,
        reason=None if report is not None else _reason(sweep, ended) or None,
        attempts=ended.attempts,
        seconds=ended.seconds,
        node=ended.node,
        command=("mbexport", *point.arguments),
        report=report,
    )


def _exit_code(document: Json) -> int:
    """3 if a point failed, else 1 if a gate did, else 0."""
    if any(point["exit_code"] not in _JUDGED for point in document["points"]):
        return EXIT_STAGE_FAILED
    return EXIT_DONE if document["passed"] else EXIT_GATE_FAILED
