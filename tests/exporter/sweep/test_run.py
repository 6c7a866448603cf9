"""A sweep from its points to its files, with builds that only say how they ended."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from delivered_by_hand import contents_by_hand, deliver, with_proof

from mbexport.errors import OutputError
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.dry_run import PlannedStage, Status
from mbexport.progress import Silent
from mbexport.sweep import run as runs
from mbexport.sweep.job import Ended
from mbexport.sweep.run import Sweep, log_file, run_sweep
from mbexport.sweep.states import Phase
from mbexport.workdir import Workdir

FACTS = {"cpu": "a processor", "flags": ["avx2"], "variables": {}}


class Engine:
    """An engine whose jobs end with given codes; it keeps what it was told to run."""

    def __init__(self, codes, *, node=""):
        self.codes, self.node, self.asked = codes, node, []
        self.nodes = {node: FACTS} if node else {}
        self.warnings = ()

    @contextmanager
    def opened(self):
        yield self

    def run(self, jobs, tick):
        self.asked += [job.name for job in jobs]
        for job in jobs:
            tick()
            job.log.parent.mkdir(parents=True, exist_ok=True)
            job.log.write_text(f"Error: {job.name} cannot be built\n")
            yield Ended(name=job.name, code=self.codes[job.name], seconds=2.0, node=self.node)


class Display:
    """A display that keeps the states that it was shown last."""

    def __init__(self):
        self.states, self.is_closed = [], False

    def show(self, states):
        self.states = states

    def close(self):
        self.is_closed = True


def point(out: Path, name: str, mult_adds: int = 1) -> SimpleNamespace:
    planned = SimpleNamespace(
        stages=(PlannedStage(name="train", status=Status.TO_RUN),),
        network=SimpleNamespace(mult_adds=mult_adds, parameters=10),
        plan=SimpleNamespace(out=out / "points" / name),
    )
    spec = ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=10)
    return SimpleNamespace(
        name=name,
        spec=spec,
        planned=planned,
        arguments=("build", f"--alpha={name}"),
        local_arguments=("--cache=none",),
        folder=out / "points" / name,
    )


def sweep(out: Path, *names: str) -> Sweep:
    return Sweep(out=out, folder=out.parent, points=tuple(point(out, name) for name in names), cores=1, threads=None)


def made(swept: Sweep, engine: Engine, *, drawn: list[str] | None = None):
    def draw(document):
        if drawn is not None:
            drawn.append(document["points"][0]["name"])
        return b"page"

    display = Display()
    outcome = run_sweep(swept, engine.opened, {"sweep.html": draw}, display=display, progress=Silent())
    return outcome, display


@pytest.mark.parametrize(
    ("codes", "exit_code"),
    [([3, 3], 3), ([2, 3], 3), ([-9, -9], 3), ([143, 2], 3)],
)
def test_points_that_could_not_be_built_are_listed_with_the_reason(tmp_path, codes, exit_code):
    names = ("a", "b")
    engine = Engine(dict(zip(names, codes, strict=True)))
    outcome, display = made(sweep(tmp_path / "sweep", *names), engine)
    assert outcome.exit_code == exit_code
    written = json.loads((tmp_path / "sweep" / "sweep.json").read_bytes())
    assert [each["reason"] for each in written["points"]] == ["a cannot be built", "b cannot be built"]
    assert [each["status"] for each in written["points"]] == ["failed", "failed"]
    assert written["passed"] is False
    assert {each.phase for each in display.states} == {Phase.FAILED}
    assert display.is_closed


def test_jobs_are_told_all_that_a_build_needs(tmp_path):
    swept = sweep(tmp_path / "sweep", "a")
    told = []

    class Telling(Engine):
        def run(self, jobs, tick):
            told.extend(jobs)
            return super().run(jobs, tick)

    made(swept, Telling({"a": 3}))
    (job,) = told
    status = tmp_path / "sweep" / ".mbexport" / "status" / "a.json"
    assert job.arguments == ("build", "--alpha=a", "--cache=none", f"--status={status}")
    assert (job.folder, job.out, job.cores) == (tmp_path, tmp_path / "sweep" / "points" / "a", 1)
    assert dict(job.environment) == {"TF_NUM_INTRAOP_THREADS": "1"}
    assert log_file(tmp_path / "sweep", "a").is_absolute()


def test_what_is_finished_is_not_built_and_what_it_was_built_on_stays_known(tmp_path, monkeypatch):
    out = tmp_path / "sweep"
    first = Engine({"a": 3, "b": 3}, node="n1")
    made(sweep(out, "a", "b"), first)
    assert json.loads((out / "sweep.json").read_bytes())["nodes"] == {"n1": FACTS}
    ended = {name: Ended(name=name, code=3, seconds=2.0, node="n1") for name in ("a", "b")}
    monkeypatch.setattr(runs, "finished", lambda _workdir, asked: ended.get(asked.name))
    drawn: list[str] = []
    before = (out / "sweep.json").read_bytes()
    second = Engine({})
    _, display = made(sweep(out, "a", "b"), second, drawn=drawn)
    assert (second.asked, drawn) == ([], [])  # nothing is built, and nothing drawn again
    assert (out / "sweep.json").read_bytes() == before
    assert {each.phase for each in display.states} == {Phase.REUSED}
    (out / "sweep.html").unlink()
    made(sweep(out, "a", "b"), second, drawn=drawn)
    assert drawn == ["a"]
    third = Engine({"c": 3})
    made(sweep(out, "a", "b", "c"), third, drawn=drawn)
    assert (third.asked, drawn) == (["c"], ["a", "a"])
    assert json.loads((out / "sweep.json").read_bytes())["nodes"] == {"n1": FACTS}


@pytest.fixture
def home(tmp_path) -> Path:
    """Somebody's own folder, with a file x in it, beside that of the sweep."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "x").write_bytes(b"precious")
    return tmp_path / "home"


@pytest.mark.parametrize("name", ["sweep.json", "sweep.html"])
def test_a_users_own_files_are_kept_and_it_is_said_before_any_work(tmp_path, name):
    out = tmp_path / "sweep"
    out.mkdir()
    (out / name).write_bytes(b"precious")
    engine = Engine({"a": 3})
    with pytest.raises(OutputError, match=rf"{name} is not as a run of mbexport left it"):
        made(sweep(out, "a"), engine)
    assert ((out / name).read_bytes(), engine.asked) == (b"precious", [])
    made(replace(sweep(out, "a"), force=True), engine)
    assert (out / name).read_bytes() != b"precious"
    made(sweep(out, "a"), engine)  # what a sweep left, the next one replaces
    (out / name).write_bytes(b"changed")
    with pytest.raises(OutputError, match=rf"{name} is not as a run of mbexport left it"):
        made(sweep(out, "a"), engine)


def test_a_sweep_in_the_folder_of_a_finished_run_is_refused(tmp_path):
    deliver(tmp_path / "sweep", with_proof(contents_by_hand()))
    with pytest.raises(OutputError, match="holds what a run delivered"):
        made(sweep(tmp_path / "sweep", "a"), Engine({"a": 3}))


@pytest.mark.parametrize("name", ["points", "points/a", "logs", "sweep.json"])
def test_no_link_in_the_folder_is_followed(tmp_path, home, name):
    link = tmp_path / "sweep" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(home / "x" if "." in name else home)
    engine = Engine({"a": 3})
    with pytest.raises(OutputError, match=rf"sweep/{name} is a link"):
        made(replace(sweep(tmp_path / "sweep", "a"), force=True), engine)
    assert [(path.name, path.read_bytes()) for path in home.iterdir()] == [("x", b"precious")]
    assert engine.asked == []


def test_an_old_log_is_removed_and_not_what_it_leads_to(tmp_path, home):
    log = log_file(tmp_path / "sweep", "a")
    log.parent.mkdir(parents=True)
    log.symlink_to(home / "x")
    made(sweep(tmp_path / "sweep", "a"), Engine({"a": 3}))
    assert not log.is_symlink()
    assert (home / "x").read_bytes() == b"precious"


def test_a_sweep_that_another_one_is_making_is_refused(tmp_path):
    with Workdir.open(tmp_path / "sweep"), pytest.raises(OutputError, match="in use by another run"):
        made(sweep(tmp_path / "sweep", "a"), Engine({}))
