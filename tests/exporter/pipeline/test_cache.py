"""When a stage runs again, when an earlier run's result serves, and what becomes of its checkpoint."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbexport.errors import StageError
from mbexport.pipeline.cache import StageRunner
from mbexport.progress import Silent
from mbexport.workdir import Workdir

OPTIONS = {"epochs": 3, "seed": 0}


class Recorder(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def start(self, stage: str) -> None:
        self.told.append(("start", stage))

    def finish(self, stage: str, seconds: float, *, reused: bool) -> None:
        assert seconds >= 0
        self.told.append(("finish", stage, reused))


@pytest.fixture
def workdir(tmp_path):
    with Workdir.open(tmp_path / "out") as opened:
        yield opened


@pytest.fixture
def stage(workdir):
    """Runs one stage, as a run of its own, and says whether it worked and what it made."""

    def run(options=OPTIONS, upstream=(), *, name="train", made=b"weights", resume=True):
        worked = []

        def work(_session):
            worked.append(True)
            return {"weights.npz": made}

        record = StageRunner(workdir, resume=resume, progress=Silent()).run(name, options, upstream, work)
        return bool(worked), record

    return run


def test_a_finished_stage_is_not_run_again(stage):
    assert stage(made=b"first")[0] is True
    worked, record = stage(made=b"second")
    assert worked is False
    assert record.files["weights.npz"].read_bytes() == b"first"


@pytest.mark.parametrize("changed", [{"epochs": 4}, {"seed": 1}, {"alpha": 0.5}, {"epochs": None}])
def test_a_changed_option_runs_the_stage_again(stage, changed):
    stage(made=b"first")
    worked, record = stage({**OPTIONS, **changed}, made=b"second")
    assert worked is True
    assert record.files["weights.npz"].read_bytes() == b"second"


def test_a_changed_stage_before_runs_the_stage_again(stage):
    _, before = stage(name="check-images")
    stage(upstream=(before,))
    assert stage(upstream=(before,))[0] is False
    _, changed = stage({"images": "others"}, name="check-images")
    assert stage(upstream=(changed,))[0] is True
    assert stage(upstream=())[0] is True


@pytest.mark.parametrize("what", ["code_fingerprint", "library_versions"])
def test_other_code_or_libraries_run_the_stage_again(stage, monkeypatch, what):
    stage()
    monkeypatch.setattr(f"mbexport.pipeline.cache.{what}", lambda: "changed")
    assert stage()[0] is True
    assert stage()[0] is False


def test_a_damaged_file_runs_the_stage_again(stage):
    _, record = stage()
    record.files["weights.npz"].write_bytes(b"damaged")
    worked, record = stage()
    assert worked is True
    assert record.files["weights.npz"].read_bytes() == b"weights"


def test_who_does_not_resume_runs_every_stage(stage):
    stage(made=b"first")
    worked, record = stage(made=b"second", resume=False)
    assert worked is True
    assert record.files["weights.npz"].read_bytes() == b"second"


@settings(max_examples=25)  # each one writes to the disk for certain
@given(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=6))
def test_a_stage_works_exactly_when_its_options_are_not_those_of_the_run_before(tmp_path_factory, seeds):
    worked = []
    with Workdir.open(tmp_path_factory.mktemp("runs")) as workdir:
        for index, seed in enumerate(seeds):
            runner = StageRunner(workdir, resume=True, progress=Silent())
            runner.run("train", {"seed": seed}, (), lambda _, index=index: worked.append(index) or {"a": b"1"})
    assert worked == [index for index, seed in enumerate(seeds) if index == 0 or seed != seeds[index - 1]]


def test_log_and_progress_tell_each_stage_and_whether_it_was_reused(workdir):
    for reused in (False, True):
        progress = Recorder()
        runner = StageRunner(workdir, resume=True, progress=progress)
        for name in ("train", "verify"):
            runner.run(name, {}, (), lambda _: {"a": b"1"})
        assert [(name, was) for name, _, was in runner.log] == [("train", reused), ("verify", reused)]
        starts = [] if reused else [("start", "train"), ("start", "verify")]
        assert [told for told in progress.told if told[0] == "start"] == starts
        assert [told for told in progress.told if told[0] == "finish"] == [
            ("finish", "train", reused),
            ("finish", "verify", reused),
        ]


def test_a_reused_stage_tells_the_seconds_that_it_took_then(workdir):
    key = StageRunner(workdir, resume=True, progress=Silent()).run("train", {}, (), lambda _: {"a": b"1"}).key
    workdir.finish("train", key, {"a": b"1"}, seconds=12.5)
    runner = StageRunner(workdir, resume=True, progress=Silent())
    runner.run("train", {}, (), lambda _: pytest.fail("the stage ran again"))
    assert runner.log == [("train", 12.5, True)]


def checkpoints(workdir: Workdir) -> list[bytes]:
    return [path.read_bytes()[32:] for path in (workdir.root / ".mbexport" / "checkpoints").glob("*")]


def test_checkpoint_of_a_finished_stage_is_forgotten(workdir):
    def work(session):
        session.save(b"epoch 1")
        assert session.load() == b"epoch 1"
        return {"a": b"1"}

    StageRunner(workdir, resume=True, progress=Silent()).run("train", {}, (), work)
    assert checkpoints(workdir) == []


def test_checkpoint_of_a_stage_that_failed_is_kept_and_found_by_the_next_run(workdir):
    def failing(session):
        assert session.load() is None
        session.save(b"epoch 1")
        raise StageError("out of memory")

    found = []
    runner = StageRunner(workdir, resume=True, progress=Silent())
    with pytest.raises(StageError):
        runner.run("train", OPTIONS, (), failing)
    assert runner.log == []
    assert checkpoints(workdir) == [b"epoch 1"]
    for options in ({**OPTIONS, "epochs": 4}, OPTIONS):
        runner.run("train", options, (), lambda session: found.append(session.load()) or {"a": b"1"})
    assert found == [None, b"epoch 1"]  # the checkpoint of other options does not count, and is not touched


def test_who_does_not_resume_finds_no_checkpoint(workdir):
    def failing(session):
        session.save(b"epoch 1")
        raise StageError("out of memory")

    with pytest.raises(StageError):
        StageRunner(workdir, resume=True, progress=Silent()).run("train", {}, (), failing)
    found = []
    anew = StageRunner(workdir, resume=False, progress=Silent())
    anew.run("train", {}, (), lambda session: found.append(session.load()) or {"a": b"1"})
    assert found == [None]


def test_curves_go_to_a_folder_of_the_stage(workdir, tmp_path):
    seen = []
    runner = StageRunner(workdir, resume=True, progress=Silent(), log_dir=tmp_path / "curves")
    runner.run("quantize", {}, (), lambda session: seen.append(session.log_dir) or {"a": b"1"})
    assert seen == [tmp_path / "curves" / "quantize"]
