"""An output folder that somebody else has been in: what was planted there neither counts nor leads anywhere."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from mbexport.errors import OptionError, OutputError
from mbexport.seal import SECRET_VARIABLE
from mbexport.workdir import Workdir


@pytest.fixture
def out(tmp_path) -> Path:
    """An output folder in which stage `verify` finished with key `k1`; beside it somebody's own folder."""
    with Workdir.open(tmp_path / "out") as workdir:
        workdir.finish("verify", "k1", {"measured.json": b"failed"}, seconds=1.5)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "x").write_bytes(b"precious")
    return tmp_path / "out"


def finished(out: Path, key: str = "k1") -> dict[str, bytes] | None:
    with Workdir.open(out) as workdir:
        record = workdir.finished("verify", key)
        return record and {name: path.read_bytes() for name, path in record.files.items()}


def plant(out: Path, record: dict[str, object], content: bytes) -> None:
    """Puts a stage's file and its record there as anybody can who knows how they look."""
    stage = out / ".mbexport" / "stages" / "verify"
    stage.mkdir(parents=True, exist_ok=True)
    (stage / "measured.json").write_bytes(content)
    files = {"measured.json": hashlib.sha256(content).hexdigest()}
    (stage / "record.json").write_text(json.dumps({"seconds": 1.5, "files": files, **record}))


def seal_of(out: Path) -> str:
    return json.loads((out / ".mbexport" / "stages" / "verify" / "record.json").read_text())["seal"]


def test_a_verdict_that_was_edited_with_its_hash_does_not_count(out):
    assert finished(out) == {"measured.json": b"failed"}
    plant(out, {"key": "k1", "seal": seal_of(out)}, b"passed")
    assert finished(out) is None


@pytest.mark.parametrize("seal", [None, "", "00" * 32, 3])
def test_a_stage_that_was_planted_does_not_count(tmp_path, seal):
    plant(tmp_path, {"key": "k1"} if seal is None else {"key": "k1", "seal": seal}, b"passed")
    assert finished(tmp_path) is None


def test_a_stage_of_another_user_is_made_again_and_that_of_a_shared_secret_is_reused(out, monkeypatch):
    ours = os.environ[SECRET_VARIABLE]
    monkeypatch.setenv(SECRET_VARIABLE, "another user's secret of 32 letters and more")
    assert finished(out) is None
    monkeypatch.setenv(SECRET_VARIABLE, ours)
    assert finished(out) == {"measured.json": b"failed"}


def test_a_secret_that_is_too_short_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv(SECRET_VARIABLE, "short")
    with pytest.raises(OptionError, match="MBEXPORT_CACHE_SECRET must have at least 32 characters"):
        Workdir.open(tmp_path / "new").__enter__()
    assert not (tmp_path / "new").exists()


def test_the_record_of_another_stage_or_key_does_not_count(out):
    stages = out / ".mbexport" / "stages"
    with Workdir.open(out) as workdir:
        workdir.finish("simulation", "k1", {"measured.json": b"passed"}, seconds=1)
    for name in ("measured.json", "record.json"):
        (stages / "verify" / name).write_bytes((stages / "simulation" / name).read_bytes())
    assert finished(out) is None
    assert finished(out, key="k2") is None


@pytest.mark.parametrize("mode", [0o660, 0o602, 0o666])
def test_a_file_that_others_may_write_is_made_again(out, mode):
    (out / ".mbexport" / "stages" / "verify" / "measured.json").chmod(mode)
    assert finished(out) is None


def test_files_of_another_owner_do_not_count(out, monkeypatch):
    with Workdir.open(out) as workdir:
        assert workdir.finished("verify", "k1") is not None
        monkeypatch.setattr("os.geteuid", lambda: out.stat().st_uid + 1)
        assert workdir.finished("verify", "k1") is None


def test_a_private_part_of_another_user_is_refused(out, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: out.stat().st_uid + 1)
    with pytest.raises(OutputError, match=r"out/\.mbexport must belong to you"), Workdir.open(out):
        pass


def test_nobody_else_may_write_where_stages_lie(out):
    private = out / ".mbexport"
    assert stat.S_IMODE(private.stat().st_mode) & 0o022 == 0
    private.chmod(0o777)
    assert finished(out) == {"measured.json": b"failed"}
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in private.rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_what_is_delivered_has_the_mode_that_the_user_wants(out):
    before = os.umask(0o027)
    try:
        with Workdir.open(out) as workdir:
            assert stat.S_IMODE(workdir.write("labels.txt", b"cat\n").stat().st_mode) == 0o640
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", [".mbexport", ".mbexport/tmp", ".mbexport/lock"])
def test_a_link_in_the_private_part_is_refused_and_not_followed(out, name):
    home = out.parent / "home"
    (out / name).rename(out.parent / "moved")
    (out / name).symlink_to(home / "x" if name.endswith("lock") else home)
    with (
        pytest.raises(OutputError, match=rf"out/{name} is a link; remove it, or name another folder"),
        Workdir.open(out),
    ):
        pass
    assert [(path.name, path.read_bytes()) for path in home.iterdir()] == [("x", b"precious")]


@pytest.mark.parametrize("name", ["stages", "stages/verify"])
def test_a_link_to_stages_elsewhere_is_refused_before_hours_of_work(out, name):
    place, moved = out / ".mbexport" / name, out.parent / "moved"
    place.rename(moved)
    place.symlink_to(moved)
    with pytest.raises(OutputError, match=rf"out/\.mbexport/{name} is a link; remove it"), Workdir.open(out):
        pass


def test_a_link_in_the_place_of_a_record_does_not_count_and_is_replaced(out):
    place, moved = out / ".mbexport" / "stages" / "verify" / "record.json", out.parent / "moved"
    place.rename(moved)
    place.symlink_to(moved)
    before = moved.read_bytes()
    assert finished(out) is None
    with Workdir.open(out) as workdir:
        workdir.finish("verify", "k2", {"measured.json": b"again"}, seconds=1)
    assert (finished(out, "k2"), moved.read_bytes()) == ({"measured.json": b"again"}, before)


@pytest.mark.parametrize("name", ["record.json", "measured.json"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda place: Path(place).symlink_to("/dev/zero"), os.mkdir])
def test_nothing_is_waited_for(out, name, make):
    place = out / ".mbexport" / "stages" / "verify" / name
    place.unlink()
    make(place)
    assert finished(out) is None


def test_a_pipe_in_the_place_of_the_lock_is_refused(out):
    (out / ".mbexport" / "lock").unlink()
    os.mkfifo(out / ".mbexport" / "lock")
    with pytest.raises(OutputError, match=r"\.mbexport/lock is no regular file"), Workdir.open(out):
        pass


def test_a_folder_that_is_a_link_is_not_written_through(out):
    (out / "android").symlink_to(out.parent / "home")
    with (
        Workdir.open(out) as workdir,
        pytest.raises(OutputError, match="out/android is a link; remove it, or name another folder"),
    ):
        workdir.write("android/x", b"ours")
    assert (out.parent / "home" / "x").read_bytes() == b"precious"
    assert list((out / ".mbexport" / "tmp").iterdir()) == []


def test_what_a_library_left_is_swept_with_its_folders_and_links(out):
    tmp = out / ".mbexport" / "tmp"
    (tmp / "tmpabc" / "variables").mkdir(parents=True)
    (tmp / "tmpabc" / "link").symlink_to(out.parent / "home")
    (tmp / "x").symlink_to(out.parent / "home" / "x")
    with Workdir.open(out):
        assert list(tmp.iterdir()) == []
    assert (out.parent / "home" / "x").read_bytes() == b"precious"


def test_the_output_folder_itself_may_be_a_link(out, tmp_path):
    (tmp_path / "named").symlink_to(out)
    assert finished(tmp_path / "named") == {"measured.json": b"failed"}
