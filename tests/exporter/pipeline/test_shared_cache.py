"""The cache that output folders share: verified when it is read, bounded, and never the end of a run."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.pipeline.cache import StageRunner
from mbexport.pipeline.shared_cache import SharedCache, user_cache
from mbexport.progress import Silent
from mbexport.workdir import Workdir

KEY = "0" * 64
FILES = {"weights.npz": b"weights", "facts.json": b"{}"}


@pytest.fixture
def cache(tmp_path):
    return SharedCache(tmp_path / "cache", limit_bytes=10_000)


def blob(cache: SharedCache, content: bytes) -> Path:
    return cache.path(hashlib.sha256(content).hexdigest())


def run_stage(folder: Path, cache: SharedCache | None, *, resume: bool = True, work=lambda _: FILES) -> StageRunner:
    with Workdir.open(folder) as workdir:
        runner = StageRunner(workdir, resume=resume, progress=Silent(), cache=cache)
        record = runner.run("train", {"alpha": 1}, (), work, is_shared=True)
        assert {name: path.read_bytes() for name, path in record.files.items()} == FILES
        assert all(path.is_relative_to(folder) for path in record.files.values())
        return runner


def never(_session: object) -> dict[str, bytes]:
    pytest.fail("the stage ran again")


def test_another_output_folder_takes_what_the_first_one_made(cache, tmp_path):
    assert run_stage(tmp_path / "a", cache).log[0][2] is False
    assert run_stage(tmp_path / "b", cache, work=never).log[0][2] is True
    assert run_stage(tmp_path / "b", None, work=never).log[0][2] is True  # it lies in the folder by now


def test_a_run_that_resumes_nothing_takes_nothing_from_the_cache(cache, tmp_path):
    run_stage(tmp_path / "a", cache)
    assert run_stage(tmp_path / "b", cache, resume=False).log[0][2] is False


def test_what_is_not_shared_is_made_again(cache, tmp_path):
    for folder in ("a", "b"):
        with Workdir.open(tmp_path / folder) as workdir:
            runner = StageRunner(workdir, resume=True, progress=Silent(), cache=cache)
            runner.run("verify", {}, (), lambda _: FILES)
            assert runner.log[0][2] is False
    assert cache.records() == []


@pytest.mark.parametrize("damage", [b"", b"weightz", b"weights and more"])
def test_a_file_that_has_changed_does_not_count(cache, tmp_path, damage):
    run_stage(tmp_path / "a", cache)
    blob(cache, b"weights").write_bytes(damage)
    assert run_stage(tmp_path / "b", cache).log[0][2] is False
    assert cache.find("train", cache.records()[0].key) is not None  # and is whole again


def test_a_file_that_changes_between_two_looks_is_noticed(cache):
    cache.store("train", KEY, FILES)
    record = cache.find("train", KEY)
    blob(cache, b"weights").write_bytes(b"WEIGHTS")
    assert cache.read(record) is None
    assert cache.open(record.files["weights.npz"]) is None


def test_a_record_of_another_user_or_of_another_key_does_not_count(cache, monkeypatch):
    cache.store("train", KEY, FILES)
    place = cache.root / "records" / "train"
    shutil.copy(place / KEY, place / ("1" * 64))
    assert cache.find("train", "1" * 64) is None
    monkeypatch.setenv("MBEXPORT_CACHE_SECRET", "another secret, of another user!!")
    assert cache.find("train", KEY) is None
    assert cache.records() == []


def test_a_link_in_the_place_of_a_file_is_not_followed(cache, tmp_path):
    cache.store("train", KEY, FILES)
    elsewhere = tmp_path / "weights"
    elsewhere.write_bytes(b"weights")
    place = blob(cache, b"weights")
    place.unlink()
    place.symlink_to(elsewhere)
    assert cache.find("train", KEY) is None
    assert elsewhere.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": 3}', b"\xff" * 100])
def test_a_damaged_record_is_none(cache, content):
    cache.store("train", KEY, FILES)
    (cache.root / "records" / "train" / KEY).write_bytes(content)
    assert cache.find("train", KEY) is None
    assert cache.prune(10_000) > 0
    assert cache.size_bytes() == 0


def test_a_file_that_two_results_share_lies_there_once(cache):
    cache.store("train", KEY, {"a": b"x" * 1000})
    before = cache.size_bytes()
    cache.store("calibrate", KEY, {"b": b"x" * 1000})
    assert cache.size_bytes() - before < 1000
    assert cache.prune(cache.size_bytes() - 1) > 0
    assert [each.kind for each in cache.records()] == ["calibrate"]
    assert cache.find("calibrate", KEY) is not None


def test_what_was_not_used_for_the_longest_time_goes_first(cache):
    for number in range(5):
        cache.store("train", str(number) * 64, {"a": bytes([number]) * 2500})
        for path in (cache.root / "records" / "train").iterdir():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10))
        cache.find("train", KEY)
    kept = {each.key[0] for each in cache.records()}
    assert kept == {"0", "3", "4"}
    assert cache.size_bytes() <= 10_000


def test_what_is_larger_than_the_cache_is_not_kept(cache):
    assert not cache.store("train", KEY, {"a": b"x" * 10_001})
    assert cache.records() == []
    assert cache.store("train", KEY, {"a": b"x"})


def test_a_folder_that_cannot_be_written_to_ends_no_run(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    run_stage(tmp_path / "a", SharedCache(tmp_path / "file" / "cache"))
    run_stage(tmp_path / "b", SharedCache(tmp_path / "file"))


def test_a_large_file_is_copied_from_its_descriptor(cache, tmp_path):
    source = tmp_path / "pixels"
    source.write_bytes(b"0123456789")
    with source.open("rb") as file:
        assert cache.store_file("decoded-images", KEY, "pixels", file.fileno(), 10)
        assert not cache.store_file("decoded-images", "1" * 64, "pixels", file.fileno(), 11)  # it is shorter
    found = cache.find("decoded-images", KEY)
    with cache.open(found.files["pixels"]) as content:
        assert content.read() == b"0123456789"
    assert list((cache.root / "tmp").iterdir()) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.binary(max_size=60)), max_size=12))
def test_what_was_stored_last_is_found_whole_or_not_at_all(tmp_path_factory, stores):
    cache = SharedCache(tmp_path_factory.mktemp("cache"), limit_bytes=1500)
    last = {}
    for kind, key, content in stores:
        if cache.store(kind, f"{key:064x}", {"file": content}, seconds=1.0):
            last[kind, f"{key:064x}"] = content
        assert cache.size_bytes() <= 1500 + 500  # of the record that was written behind the check
    for (kind, key), content in last.items():
        record = cache.find(kind, key)
        assert record is None or cache.read(record) == {"file": content}
    if stores:
        kind, key, _ = stores[-1]
        assert cache.find(kind, f"{key:064x}") is not None


def test_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "mbexport"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache" / "mbexport"


def test_the_command_lists_and_prunes(cache, cli):
    cache.store("train", KEY, {"a": b"x" * 2000}, seconds=3.0)
    listed = cli("cache", "ls", "--cache", str(cache.root))
    assert "train" in listed.stdout
    assert "1 result, " in listed.stdout
    rows = json.loads(cli("cache", "ls", "--cache", str(cache.root), "--json").stdout)
    assert [(row["stage"], row["size_bytes"]) for row in rows["records"]] == [("train", 2000)]
    kept = json.loads(cli("cache", "prune", "--size", "1GB", "--cache", str(cache.root), "--json").stdout)
    assert kept["removed_bytes"] == 0
    assert cli("cache", "prune", "--cache", str(cache.root)).returncode == 0
    assert cache.records() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune", "--size", "much"], "--size must be a number of bytes such as 500MB or 2GB, got much"),
        (["prune", "--size", "-1GB"], "--size must be a number of bytes"),
        (["ls", "--size", "1GB"], "--size goes with prune, got ls --size 1GB"),
    ],
)
def test_wrong_options_are_refused(cache, cli, arguments, message):
    cache.root.mkdir()
    found = cli("cache", *arguments, "--cache", str(cache.root))
    assert found.returncode == 2
    assert message in found.stderr


def test_a_folder_that_is_not_there_is_refused(cli, tmp_path):
    found = cli("cache", "ls", "--cache", str(tmp_path / "none"))
    assert (found.returncode, "--cache must be a cache folder" in found.stderr) == (2, True)


@pytest.mark.parametrize("name", ["blobs", "records", "tmp", "blobs/aa", "records/train"])
def test_nothing_behind_a_planted_link_is_removed_touched_or_counted(cache, tmp_path, name):
    cache.store("train", KEY, FILES)
    home = tmp_path / "home"
    (home / "inner").mkdir(parents=True)
    for place in (home / "x", home / "inner" / "x"):
        place.write_bytes(b"precious")
        os.utime(place, (1, 1))
    link = cache.root / name
    shutil.rmtree(link, ignore_errors=True)
    link.symlink_to(home)
    sizes = cache.size_bytes()
    cache.prune(0)
    run_stage(tmp_path / "out", cache)
    assert sizes < 2_000
    assert [(place.read_bytes(), place.stat().st_mtime) for place in (home / "x", home / "inner" / "x")] == [
        (b"precious", 1)
    ] * 2
    assert sorted(path.name for path in home.iterdir()) == ["inner", "x"]


def test_files_of_the_users_own_in_a_folder_that_is_no_cache_stay(tmp_path, cli):
    own = [tmp_path / name for name in ("tmp/notes.txt", "records/2026/a.json", "blobs/ab/photo.jpg", "records/x")]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"precious")
        os.utime(path, (1, 1))
    assert cli("cache", "prune", "--cache", tmp_path).returncode == 0
    assert [path.read_bytes() for path in own] == [b"precious"] * 4


def test_the_time_of_a_file_behind_a_link_stays(cache, tmp_path):
    cache.store("train", KEY, FILES)
    (tmp_path / "x").write_bytes(b"weights")
    os.utime(tmp_path / "x", (1, 1))
    blob(cache, b"weights").unlink()
    blob(cache, b"weights").symlink_to(tmp_path / "x")
    assert cache.find("train", KEY) is None
    assert (tmp_path / "x").stat().st_mtime == 1
