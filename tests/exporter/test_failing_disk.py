"""A failure at each single operation on the disk: what is there is whole, and the next run ends as if nothing had been.

The same with whole builds, kills and signals: `make test-crashes`.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from faults import failing_disk, raising
from manifest_by_hand import manifest_by_hand

from mbexport.errors import OutputError, StorageError
from mbexport.pipeline.publish import Delivery, add, publish
from mbexport.provenance.read_manifest import read_manifest
from mbexport.workdir import Workdir

OLD = {"net.onnx": b"old" * 100, "labels.txt": b"cat\n", "android/a.txt": b"old", "ios/b.txt": b"old"}
NEW = {"net.onnx": b"new" * 100, "labels.txt": b"cat\n", "android/a.txt": b"new", "golden/c.txt": b"new"}
FAILURES = {
    "killed": KeyboardInterrupt(),
    "full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
}
each_failure = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)


def delivery(made: dict[str, bytes]) -> Delivery:
    told = {"report.json": b"report of " + made["net.onnx"][:3]}
    return Delivery(made=made, told=told, manifest=manifest_by_hand(files={}), sign=lambda content: content[:9])


def deliver(out: Path, made: dict[str, bytes]) -> None:
    with Workdir.open(out) as workdir:
        publish(workdir, delivery(made))


def contents(out: Path) -> dict[str, bytes]:
    found = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".mbexport/")}


def folders(out: Path) -> set[str]:
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_dir()}
    return {name for name in found if not name.startswith(".mbexport")}


def failed_at(number: int, failure: BaseException, work: Callable[[], None]) -> bool:
    """Whether there is an operation of that number, at which `work` failed with nothing but what may be expected."""
    with failing_disk(number, raising(failure)) as disk, suppress(KeyboardInterrupt, OutputError, StorageError):
        work()
    return disk.count >= number


@each_failure
def test_a_delivery_that_fails_anywhere_leaves_whole_files_and_is_made_by_the_next_run(tmp_path, failure):
    deliver(tmp_path / "expected", NEW)
    expected, number = contents(tmp_path / "expected"), 0
    whole = {*OLD.items(), *expected.items(), ("report.json", b"report of old")}
    while True:
        out, number = tmp_path / str(number), number + 1
        deliver(out, OLD)
        old = contents(out)
        if not failed_at(number, failure, lambda out=out: deliver(out, NEW)):
            break
        found = contents(out)
        assert {name: each for name, each in found.items() if "manifest" not in name}.items() <= whole
        assert found["manifest.json"] in (old["manifest.json"], expected["manifest.json"])
        if found["manifest.json"] == expected["manifest.json"]:
            assert all(name in found for name in read_manifest(out / "manifest.json").files)
        deliver(out, NEW)
        assert contents(out) == expected
        assert folders(out) == folders(tmp_path / "expected")
        assert list((out / ".mbexport" / "tmp").iterdir()) == []
    assert number > 30


@each_failure
def test_a_stage_that_fails_anywhere_counts_whole_or_not_at_all(tmp_path, failure):
    def finish(out: Path, key: str, content: bytes) -> None:
        with Workdir.open(out) as workdir:
            workdir.finish("train", key, {"a": content, "b": content}, seconds=1)

    number = 0
    while True:
        out, number = tmp_path / str(number), number + 1
        finish(out, "old", b"old")
        if not failed_at(number, failure, lambda out=out: finish(out, "new", b"new")):
            break
        with Workdir.open(out) as workdir:
            for key in ("old", "new"):
                record = workdir.finished("train", key)
                assert record is None or {path.read_bytes() for path in record.files.values()} == {key.encode()}
        finish(out, "new", b"new")
        with Workdir.open(out) as workdir:
            assert workdir.finished("train", "new") is not None
    assert number > 10


@each_failure
def test_a_new_folder_that_fails_anywhere_is_there_whole_or_not_at_all(tmp_path, failure):
    def report(out: Path) -> None:
        with Workdir.open(out) as workdir:
            add(workdir, {"report.json": b"{}"})

    number = 0
    while True:
        out, number = tmp_path / str(number) / "out", number + 1
        if not failed_at(number, failure, lambda out=out: report(out)):
            break
        assert not out.exists() or contents(out) in ({}, {"report.json": b"{}"})
        report(out)
        assert contents(out) == {"report.json": b"{}"}
    assert number > 5
