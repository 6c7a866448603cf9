"""The checkpoint of a stage: what counts, what does not, and where it may lie."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.pipeline.cache import TrainingSession
from mbexport.workdir import Workdir

KEY = "0123456789abcdef" * 4  # as long as a stage's key
OTHER = "f" + KEY[1:]


@pytest.fixture
def workdir(tmp_path):
    with Workdir.open(tmp_path / "out") as opened:
        yield opened


def session(workdir: Workdir, **given) -> TrainingSession:
    return TrainingSession(workdir, **{"stage": "train", "key": KEY, "resume": True, "log_dir": None, **given})


def the_file(workdir: Workdir) -> Path:
    (path,) = (workdir.root / ".mbexport" / "checkpoints").iterdir()
    return path


@pytest.mark.parametrize("content", [b"", b"\0", b"state" * 1000])
def test_a_later_session_of_the_same_stage_and_key_loads_what_was_saved(workdir, content):
    session(workdir).save(content)
    assert session(workdir).load() == content


def test_without_a_checkpoint_there_is_nothing_to_load(workdir):
    assert session(workdir).load() is None


def test_the_last_checkpoint_counts(workdir):
    session(workdir).save(b"epoch 1")
    session(workdir).save(b"epoch 2")
    assert session(workdir).load() == b"epoch 2"
    assert the_file(workdir).is_file()  # one file only: the first one is gone


@pytest.mark.parametrize("other", [{"key": OTHER}, {"stage": "quantize"}])
def test_the_checkpoint_of_another_key_or_stage_does_not_count(workdir, other):
    session(workdir).save(b"epoch 1")
    assert session(workdir, **other).load() is None
    session(workdir, **other).finish()
    assert session(workdir).load() == b"epoch 1"


def test_a_checkpoint_that_was_forgotten_is_gone(workdir):
    kept = session(workdir)
    kept.save(b"epoch 1")
    kept.finish()
    assert kept.load() is None
    assert list((workdir.root / ".mbexport" / "checkpoints").iterdir()) == []
    kept.finish()  # a stage without epochs saved none


def test_who_does_not_resume_starts_anew_and_still_saves(workdir):
    session(workdir).save(b"epoch 1")
    anew = session(workdir, resume=False)
    assert anew.load() is None
    anew.save(b"epoch 2")
    assert session(workdir).load() == b"epoch 2"


@given(st.data())
def test_a_checkpoint_with_any_byte_changed_or_missing_does_not_count(tmp_path_factory, data):
    with Workdir.open(tmp_path_factory.mktemp("damaged")) as workdir:
        session(workdir).save(b"epoch 1")
        path = the_file(workdir)
        whole = path.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            path.write_bytes(whole[:at])
        else:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
        assert session(workdir).load() is None


def test_a_checkpoint_that_cannot_be_read_does_not_count(workdir):
    session(workdir).save(b"epoch 1")
    path = the_file(workdir)
    path.unlink()
    path.mkdir()
    assert session(workdir).load() is None


def test_curves_of_each_stage_lie_in_a_folder_of_their_own(workdir, tmp_path):
    assert session(workdir, log_dir=tmp_path / "curves").log_dir == tmp_path / "curves" / "train"
    assert session(workdir).log_dir is None


def test_decoded_images_lie_where_the_next_run_sweeps(workdir):
    root = workdir.root
    assert workdir.temporary == root / ".mbexport" / "tmp"
