"""The output folder: whole files only, one run at a time, and what counts as a finished stage."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbexport.errors import DataError, OutputError, StorageError
from mbexport.files import sha256_of
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.workdir import Workdir, stage_key

OPTIONS = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=4)
UPSTREAM = st.lists(st.text(max_size=4), max_size=3).map(tuple)


def temporaries(root: Path) -> list[Path]:
    return list((root / ".mbexport" / "tmp").iterdir())


def fail_with(code: int):
    def fail(*_given, **_named):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.fixture
def workdir(tmp_path):
    with Workdir.open(tmp_path / "out") as opened:
        yield opened


@pytest.fixture
def finished(workdir):
    """A work folder in which stage `train` finished with key `k1`."""
    workdir.finish("train", "k1", {"a.bin": b"one", "b.bin": b"two"}, seconds=1.5)
    return workdir


def test_writes_content_and_makes_the_folders_above(workdir):
    path = workdir.write("deep/er/file.bin", b"content")
    assert path == workdir.root / "deep" / "er" / "file.bin"
    assert path.read_bytes() == b"content"
    assert temporaries(workdir.root) == []


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
@settings(max_examples=25)
def test_last_write_wins_byte_for_byte(tmp_path_factory, contents):
    with Workdir.open(tmp_path_factory.mktemp("writes")) as workdir:
        for content in contents:
            path = workdir.write("file", content)
        assert path.read_bytes() == contents[-1]


def test_a_run_killed_before_the_move_leaves_the_old_file(workdir, monkeypatch):
    path = workdir.write("file", b"old")
    monkeypatch.setattr(os, "replace", fail_with(errno.ENOSPC))
    with pytest.raises(StorageError, match=r"cannot write to .*: No space left"):
        workdir.write("file", b"new")
    assert path.read_bytes() == b"old"
    assert temporaries(workdir.root) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_failing_disk_is_a_storage_error(workdir, monkeypatch, code):
    monkeypatch.setattr(os, "fsync", fail_with(code))
    with pytest.raises(StorageError):
        workdir.write("file", b"new")
    assert not (workdir.root / "file").exists()


def test_what_is_in_the_way_of_a_file_is_an_output_error(workdir):
    (workdir.root / "taken").mkdir()
    with pytest.raises(OutputError):
        workdir.write("taken", b"content")
    assert temporaries(workdir.root) == []


def test_remove_ignores_what_is_not_there(workdir):
    path = workdir.write("file", b"content")
    workdir.remove("file")
    workdir.remove("file")
    assert not path.exists()


def test_leftovers_are_swept_when_the_folder_is_opened(tmp_path):
    leftover = tmp_path / ".mbexport" / "tmp" / "4711-model.tflite"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half of a mod")
    with Workdir.open(tmp_path):
        assert temporaries(tmp_path) == []


def test_second_open_is_refused_and_disturbs_nothing(workdir):
    half_written = workdir.root / ".mbexport" / "tmp" / "1-file"
    half_written.write_bytes(b"half")
    with pytest.raises(OutputError, match="in use by another run"), Workdir.open(workdir.root):
        pass
    assert half_written.read_bytes() == b"half"


def test_second_process_is_refused(workdir):
    code = (
        "import sys, pathlib; from mbexport.workdir import Workdir\nwith Workdir.open(pathlib.Path(sys.argv[1])): pass"
    )
    done = subprocess.run([sys.executable, "-c", code, workdir.root], capture_output=True, text=True, check=False)
    assert "OutputError" in done.stderr
    assert "in use by another run" in done.stderr


def test_folder_can_be_opened_again_after_it_was_closed(tmp_path):
    for content in (b"one", b"two"):
        with Workdir.open(tmp_path / "out") as workdir:
            workdir.write("file", content)
    assert (tmp_path / "out" / "file").read_bytes() == b"two"


@pytest.mark.parametrize("below", ["", "sub", "sub/sub"])
def test_regular_file_in_the_way_of_the_folder(tmp_path, below):
    blocker = tmp_path / "blocker"
    blocker.write_bytes(b"keep me")
    with pytest.raises(OutputError, match="must be a folder"), Workdir.open(blocker / below):
        pass
    assert blocker.read_bytes() == b"keep me"


def test_folder_name_longer_than_the_file_system_allows(tmp_path):
    with pytest.raises(OutputError), Workdir.open(tmp_path / ("a" * 300)):
        pass


def test_folder_made_for_nothing_is_removed(tmp_path):
    with Workdir.open(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_folder_made_for_a_run_that_failed_is_removed_with_its_parents(tmp_path):
    with pytest.raises(ZeroDivisionError), Workdir.open(tmp_path / "new" / "out"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_folder_that_was_there_before_stays(tmp_path):
    with Workdir.open(tmp_path):
        pass
    assert tmp_path.is_dir()


def test_folder_made_for_a_run_with_bad_input_is_removed_with_its_finished_stages(tmp_path):
    def run(out: Path) -> None:
        with Workdir.open(out) as workdir:
            workdir.finish("check-images", "key", {"found.json": b"[]"}, seconds=1)
            raise DataError("the weights do not fit")

    with pytest.raises(DataError):
        run(tmp_path / "new" / "out")
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with pytest.raises(DataError):
        run(tmp_path / "old")
    assert (tmp_path / "old").is_dir()


def test_folder_with_a_finished_stage_stays_when_the_run_fails(tmp_path):
    def run(workdir: Workdir) -> None:
        workdir.finish("train", "k1", {"a.bin": b"one"}, seconds=1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Workdir.open(tmp_path / "out") as workdir:
        run(workdir)
    with Workdir.open(tmp_path / "out") as workdir:
        assert workdir.finished("train", "k1") is not None


def test_finished_stage_gives_its_files_back(finished):
    record = finished.finished("train", "k1")
    assert {name: path.read_bytes() for name, path in record.files.items()} == {"a.bin": b"one", "b.bin": b"two"}
    assert (record.key, record.seconds) == ("k1", 1.5)


def test_finished_stage_with_another_key_or_name_does_not_count(finished):
    assert finished.finished("train", "k2") is None
    assert finished.finished("quantize", "k1") is None


def test_finishing_again_replaces_the_record(finished):
    finished.finish("train", "k2", {"a.bin": b"three"}, seconds=2)
    assert finished.finished("train", "k1") is None
    assert list(finished.finished("train", "k2").files) == ["a.bin"]


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b"onf"), Path.unlink, lambda path: os.truncate(path, 1)]
)
def test_stage_whose_file_was_changed_does_not_count(finished, damage):
    damage(finished.finished("train", "k1").files["a.bin"])
    assert finished.finished("train", "k1") is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"key": "k1"}', '{"key": "k1", "seconds": 1, "files": ["a.bin"]}', "\udcff",
     '{"key": "k1", "seconds": null, "files": {}}'],
)  # fmt: skip
def test_stage_whose_record_is_damaged_does_not_count(finished, text):
    record = finished.root / ".mbexport" / "stages" / "train" / "record.json"
    record.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert finished.finished("train", "k1") is None


def test_stage_that_dies_between_its_files_does_not_count(finished, monkeypatch):
    write, written = finished.write, []

    def write_one(relative: str, content: bytes) -> Path:
        if written:
            raise StorageError("disk full")
        written.append(relative)
        return write(relative, content)

    monkeypatch.setattr(finished, "write", write_one)
    with pytest.raises(StorageError):
        finished.finish("train", "k1", {"a.bin": b"one", "b.bin": b"two"}, seconds=1)
    assert finished.finished("train", "k1") is None


def test_record_says_the_sha256_of_each_file(finished):
    record = json.loads((finished.root / ".mbexport" / "stages" / "train" / "record.json").read_text())
    assert record["files"]["a.bin"] == hashlib.sha256(b"one").hexdigest()


def test_sha256_of_the_standards_own_example(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.text(max_size=4), OPTIONS, UPSTREAM, st.randoms(use_true_random=False))
def test_stage_key_does_not_depend_on_the_order_of_options(stage, options, upstream, random):
    items = list(options.items())
    random.shuffle(items)
    assert stage_key(stage, dict(items), upstream) == stage_key(stage, options, upstream)


@given(st.tuples(st.text(max_size=4), OPTIONS, UPSTREAM), st.tuples(st.text(max_size=4), OPTIONS, UPSTREAM))
def test_stage_key_differs_when_an_ingredient_does(one, other):
    assert (stage_key(*one) == stage_key(*other)) == (one == other)


@pytest.mark.parametrize("changed", [{"alpha": 0.5}, {"resolution": Resolution.square(192)}, {"classes": 999}])
def test_stage_key_sees_into_a_model_spec(changed):
    key = stage_key("train", {"spec": ModelSpec()}, ())
    assert key == stage_key("train", {"spec": ModelSpec()}, ())
    assert key != stage_key("train", {"spec": ModelSpec(**changed)}, ())


def test_stage_key_sees_the_order_of_stages():
    assert stage_key("verify", {}, ("a", "b")) != stage_key("verify", {}, ("b", "a"))


def test_require_space_refuses_one_byte_too_many(workdir, monkeypatch):
    free = 5 << 20
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": free}))
    workdir.require_space(free)
    with pytest.raises(StorageError, match=r"needs about 5 MiB of free space, got 5 MiB: disk full"):
        workdir.require_space(free + 1)
