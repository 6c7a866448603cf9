"""The output folder on real disks that are full or read-only: tiny mounts, where this user may make them."""

import subprocess
from pathlib import Path

import pytest

from mbexport.errors import StorageError
from mbexport.workdir import Workdir


def mount(*arguments: object) -> None:
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted: {done.stderr.strip()}")


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def read_only(tiny_disk) -> Path:
    """A folder that an earlier run used, on a disk that has become read-only since."""
    root = tiny_disk / "out"
    with Workdir.open(root) as workdir:
        workdir.write("report.json", b"old")
    mount("-o", "remount,ro", tiny_disk)
    return root


def test_full_disk_keeps_the_old_file_whole(tiny_disk):
    with Workdir.open(tiny_disk / "out") as workdir:
        path = workdir.write("model.tflite", b"old")
        with pytest.raises(StorageError, match="No space left"):
            workdir.write("model.tflite", b"x" * (1 << 20))
        assert path.read_bytes() == b"old"
        assert list((tiny_disk / "out" / ".mbexport" / "tmp").iterdir()) == []


def test_require_space_sees_the_real_disk(tiny_disk):
    with Workdir.open(tiny_disk / "out") as workdir:
        workdir.require_space(100 << 10)
        with pytest.raises(StorageError, match="disk full"):
            workdir.require_space(1 << 20)


def test_read_only_disk_refuses_to_open(read_only):
    with pytest.raises(StorageError, match="Read-only"), Workdir.open(read_only):
        pass
    with pytest.raises(StorageError, match="Read-only"), Workdir.open(read_only.parent / "other"):
        pass


def test_disk_that_becomes_read_only_during_the_run_is_a_storage_error(read_only):
    # Made without `open`, whose lock would keep the kernel from remounting: a dying disk is remounted all the same.
    with pytest.raises(StorageError, match="Read-only"):
        Workdir(read_only).write("report.json", b"new")
    assert (read_only / "report.json").read_bytes() == b"old"


def test_build_on_a_read_only_disk_exits_with_3(cli, read_only):
    done = cli("build", "--alpha", "0.25", "--out", read_only)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: cannot write to ")
    assert done.stderr.count("\n") == 1


def test_build_on_a_disk_too_small_exits_with_3_before_any_work(cli, tiny_disk):
    done = cli("build", "--alpha", "0.25", "--out", tiny_disk / "out")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.endswith("disk full\n")
    assert list(tiny_disk.iterdir()) == []
