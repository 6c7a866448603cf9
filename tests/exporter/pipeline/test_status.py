"""How far a run is, in a file: true at any moment, and never the end of the run."""

import pytest

from mbexport.pipeline import status
from mbexport.pipeline.status import FinishedStage, Status, StatusFile, read_status


class Shown:
    """A display that keeps what it is told."""

    def __init__(self):
        self.told = []

    def start(self, stage):
        self.told.append(("start", stage))

    def step(self, done, total, text):
        self.told.append(("step", done, total, text))

    def finish(self, stage, seconds, *, reused):
        self.told.append(("finish", stage, seconds, reused))


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(status, "_EVERY_S", 0.0)


def test_the_file_says_what_runs_and_what_is_done(tmp_path, at_once):
    file, shown = tmp_path / "status.json", Shown()
    assert read_status(file) == Status()
    told = StatusFile(file, shown)
    told.start("train")
    assert read_status(file) == Status(stage="train")
    told.step(3, 10, "loss 0.5")
    assert read_status(file) == Status(stage="train", done=3, total=10, text="loss 0.5")
    told.finish("train", 1.25, reused=False)
    told.finish("verify", 2.0, reused=True)
    done = (
        FinishedStage(name="train", seconds=1.25, is_reused=False),
        FinishedStage(name="verify", seconds=2.0, is_reused=True),
    )
    found = read_status(file)
    assert (found.finished, found.stage) == (done, None)
    told.start("golden")
    assert read_status(file) == Status(stage="golden", finished=done)
    assert [each[0] for each in shown.told] == ["start", "step", "finish", "finish", "start"]
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_steps_are_written_twice_a_second_at_most(tmp_path):
    told = StatusFile(tmp_path / "status.json", Shown())
    told.start("train")
    for step in range(1000):
        told.step(step, 1000, "")
    assert read_status(tmp_path / "status.json").done < 999


def test_a_file_that_cannot_be_written_ends_no_run(tmp_path, at_once):
    shown = Shown()
    told = StatusFile(tmp_path / "nowhere" / "status.json", shown)
    told.start("train")
    told.finish("train", 1.0, reused=False)
    assert len(shown.told) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"finished": 3}', b'{"finished": [{}], "stage": null, "done": 0, "total": 0, "text": ""}'],
)
def test_what_no_run_wrote_is_no_status(tmp_path, content):
    (tmp_path / "status.json").write_bytes(content)
    assert read_status(tmp_path / "status.json") == Status()


def test_a_build_keeps_its_file(cli, tmp_path):
    found = cli("build", "--status", str(tmp_path / "nowhere" / "x.json"), "--out", str(tmp_path / "out"))
    assert (found.returncode, "--status must be a file in a folder that exists" in found.stderr) == (2, True)
