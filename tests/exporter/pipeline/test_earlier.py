"""Which files in an output folder a run may replace or remove: what an earlier run left, as it left it."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifest_by_hand import manifest_by_hand

from mbexport.errors import OutputError
from mbexport.pipeline.earlier import Earlier
from mbexport.pipeline.publish import Delivery, add, publish, require_room
from mbexport.provenance.manifest import FileFacts
from mbexport.seal import SECRET_VARIABLE
from mbexport.workdir import Workdir

PRECIOUS = b"precious"


@pytest.fixture
def out(tmp_path) -> Path:
    """What a run delivered; beside it somebody's own folder."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "x").write_bytes(PRECIOUS)
    deliver(tmp_path / "out", {"net.onnx": b"1", "android/a.txt": b"1"})
    return tmp_path / "out"


def deliver(out: Path, made: dict[str, bytes], *, force: bool = False, is_listed: bool = True) -> None:
    with Workdir.open(out) as workdir:
        publish(workdir, Delivery(made=made, manifest=manifest_by_hand(files={}) if is_listed else None), force=force)


def contents(folder: Path) -> dict[str, bytes]:
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".mbexport" not in path.parts
    }
    found.pop("manifest.json", None)
    return found


def index_of(files: dict[str, bytes]) -> dict[str, list[str]]:
    return {name: [hashlib.sha256(content).hexdigest()] for name, content in files.items()}


def test_a_run_takes_the_place_of_the_one_before(out):
    deliver(out, {"net.onnx": b"2"})
    assert contents(out) == {"net.onnx": b"2"}


@pytest.mark.parametrize("name", ["net.onnx", "android/a.txt", "labels.txt", "manifest.json"])
def test_a_file_of_the_user_is_named_and_kept(out, name):
    (out / name).write_bytes(PRECIOUS)
    before = contents(out)
    said = rf"out/{name} is not as a run of mbexport left it: move it, name another folder, or --force"
    with pytest.raises(OutputError, match=said):
        deliver(out, {"net.onnx": b"2", "labels.txt": b"cat\n"})
    assert (contents(out), (out / name).read_bytes()) == (before, PRECIOUS)
    deliver(out, {"net.onnx": b"2", "labels.txt": b"cat\n"}, force=True)
    assert contents(out) == {"net.onnx": b"2", "labels.txt": b"cat\n"}


def test_a_file_that_has_the_wanted_bytes_already_is_nobodys_loss(out):
    (out / "labels.txt").write_bytes(b"cat\n")
    deliver(out, {"labels.txt": b"cat\n"})
    assert contents(out) == {"labels.txt": b"cat\n"}


def test_files_beside_the_delivery_are_not_looked_at(out):
    (out / "android" / "notes.txt").write_bytes(PRECIOUS)
    os.mkfifo(out / "pipe")
    deliver(out, {"net.onnx": b"2"})
    assert contents(out) == {"net.onnx": b"2", "android/notes.txt": PRECIOUS}


@pytest.mark.parametrize("name", ["../home/x", "/etc/hostname", "android/../../home/x", "a\\..\\x", ".mbexport/lock"])
@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_planted_index_makes_nobody_delete_a_file(out, name, is_sealed):
    index = out / ".mbexport" / "published.json"
    planted = index_of({name: PRECIOUS, "net.onnx": b"1"})
    with Workdir.open(out) as workdir:
        if is_sealed:  # by ourselves: names are looked at all the same
            Earlier(workdir=workdir, listed={}, manifest=None).record(planted)
        else:
            index.write_text(json.dumps({"files": planted}))
    deliver(out, {"net.onnx": b"2"})
    assert (out.parent / "home" / "x").read_bytes() == PRECIOUS
    assert Path("/etc/hostname").exists()
    assert (out / ".mbexport" / "lock").exists()


@pytest.mark.parametrize("content", [b'["../home/x"]', b'["net.onn', b"", b"{}", b"null", b'{"files": 3, "seal": ""}'])
def test_an_index_that_is_damaged_or_of_another_version_is_none(out, content):
    """One of version 0.1.0, a list of names, said nothing of the bytes; manifest.json does."""
    (out / ".mbexport" / "published.json").write_bytes(content)
    deliver(out, {"net.onnx": b"2"})
    assert contents(out) == {"net.onnx": b"2"}


def test_the_index_of_another_user_is_none_and_the_manifest_counts(out, monkeypatch):
    monkeypatch.setenv(SECRET_VARIABLE, "another user's secret of 32 letters and more")
    deliver(out, {"net.onnx": b"2"})
    (out / "manifest.json").unlink()
    monkeypatch.setenv(SECRET_VARIABLE, "and one more that nobody has seen before now")
    with pytest.raises(OutputError, match=r"net\.onnx is not as a run"):
        deliver(out, {"net.onnx": b"3"})


def test_a_folder_of_another_machine_is_replaced_by_its_manifest_alone(out):
    (out / ".mbexport" / "published.json").unlink()
    (out / "manifest.json.sig").write_bytes(b"signature")
    deliver(out, {"net.onnx": b"2"})
    assert contents(out) == {"net.onnx": b"2"}
    (out / ".mbexport" / "published.json").unlink()
    (out / "net.onnx").write_bytes(PRECIOUS)
    with pytest.raises(OutputError, match=r"net\.onnx is not as a run"):
        deliver(out, {"net.onnx": b"3"})


def test_the_manifest_of_another_program_is_the_users(tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "my web app", "files": {"notes.txt": {}}}')
    (tmp_path / "notes.txt").write_bytes(PRECIOUS)
    with pytest.raises(OutputError, match=r"manifest\.json is not as a run"):
        deliver(tmp_path, {"net.onnx": b"1"})
    deliver(tmp_path, {"net.onnx": b"1"}, is_listed=False)
    assert contents(tmp_path) == {"net.onnx": b"1", "notes.txt": PRECIOUS}


@pytest.mark.parametrize("name", ["net.onnx", "android", "android/a.txt"])
@pytest.mark.parametrize("force", [False, True])
def test_a_link_is_named_and_neither_followed_nor_removed(out, name, force):
    home = out.parent / "home"
    (out / name).rename(out.parent / "moved")
    (out / name).symlink_to(home if name == "android" else home / "x")
    for made in ({"net.onnx": b"2", "android/a.txt": b"2"}, {"labels.txt": b"cat\n"}):
        with pytest.raises(OutputError, match=rf"out/{name} is a link: remove it, or name another folder"):
            deliver(out, made, force=force)
    assert (out / name).is_symlink()
    assert contents(home) == {"x": PRECIOUS}


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_in_the_way_is_named(out, make):
    (out / "net.onnx").unlink()
    make(out / "net.onnx")
    with pytest.raises(OutputError, match=r"out/net\.onnx is no regular file: remove it"):
        deliver(out, {"net.onnx": b"2"}, force=True)


def test_who_is_killed_in_between_leaves_nothing_that_the_next_run_refuses(out, monkeypatch):
    write = Workdir.write
    for writes in range(1, 6):
        left = [writes]

        def dying(workdir: Workdir, name: str, content: bytes, left=left) -> Path:
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            return write(workdir, name, content)

        deliver(out, {"net.onnx": b"1", "android/a.txt": b"1"})
        monkeypatch.setattr(Workdir, "write", dying)
        with suppress(KeyboardInterrupt):
            deliver(out, {"net.onnx": b"2", "labels.txt": b"2"})
        monkeypatch.setattr(Workdir, "write", write)
        deliver(out, {"net.onnx": b"3"})
        assert contents(out) == {"net.onnx": b"3"}


NAMES = st.sampled_from(["a", "b", "c/a", "c/b", "d"])
FILES = st.dictionaries(NAMES, st.sampled_from([b"1", b"2"]), max_size=4)


@given(st.lists(FILES, min_size=1, max_size=4), FILES)
def test_runs_leave_their_own_files_and_those_of_the_user(tmp_path_factory, runs, own):
    out = tmp_path_factory.mktemp("out")
    for name, content in own.items():
        (out / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (out / "own" / name).write_bytes(content)
    for made in runs:
        deliver(out, made)
    assert contents(out) == {**runs[-1], **{f"own/{name}": content for name, content in own.items()}}


# ---- what is added to a folder


def added(out: Path, content: bytes = b"report", *, force: bool = False) -> None:
    with Workdir.open(out) as workdir:
        add(workdir, {"report.json": content}, force=force)


def test_a_report_takes_the_place_of_the_one_before_and_of_nothing_else(tmp_path):
    (tmp_path / "notes.txt").write_bytes(PRECIOUS)
    added(tmp_path, b"1")
    added(tmp_path, b"2")
    assert contents(tmp_path) == {"report.json": b"2", "notes.txt": PRECIOUS}
    (tmp_path / "report.json").write_bytes(PRECIOUS)
    with pytest.raises(OutputError, match=r"report\.json is not as a run"):
        added(tmp_path)
    added(tmp_path, force=True)
    assert contents(tmp_path)["report.json"] == b"report"


@pytest.mark.parametrize("force", [False, True])
def test_a_finished_folder_is_not_made_unsound(out, force):
    before = contents(out)
    with pytest.raises(OutputError, match=r"out holds what a run delivered, with manifest\.json"):
        added(out, force=force)
    assert contents(out) == before


def test_what_was_added_goes_when_a_run_delivers(tmp_path):
    added(tmp_path)
    deliver(tmp_path, {"net.onnx": b"1"})
    assert contents(tmp_path) == {"net.onnx": b"1"}


# ---- before hours of work


def test_what_will_be_refused_is_refused_at_once(out):
    (out / "labels.txt").write_bytes(PRECIOUS)
    (out / "ios").symlink_to(out.parent / "home")
    workdir = Workdir(out)
    require_room(workdir, ["net.onnx", "android/", "golden/"])
    with pytest.raises(OutputError, match=r"labels\.txt is not as a run"):
        require_room(workdir, ["net.onnx", "labels.txt"])
    with pytest.raises(OutputError, match="out/ios is a link"):
        require_room(workdir, ["ios/"], force=True)
    require_room(workdir, ["labels.txt"], force=True)
    with pytest.raises(OutputError, match="holds what a run delivered"):
        require_room(workdir, ["bench.json"], adds=True)
    require_room(Workdir(out / "nowhere"), ["net.onnx", "ios/"], adds=True)


def test_a_sound_manifest_says_what_may_go(out):
    with Workdir.open(out) as workdir:
        earlier = Earlier.in_folder(workdir)
    assert earlier.manifest.files["net.onnx"] == FileFacts.of(b"1")
    assert set(earlier.listed) == {"net.onnx", "android/a.txt", "manifest.json"}
