"""Stored pixels equal decoded ones, each image is decoded once if the disk allows, and no file is left behind."""

import errno
import gc
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mbexport.models.training.pixel_store import PixelStore, open_store

SHAPE = (4, 4, 3)
RECORD_BYTES = 48


class Decoder:
    """Gives every index pixels of its own, and counts its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, index: int) -> NDArray[np.uint8]:
        self.calls.append(index)
        return np.random.default_rng(index).integers(0, 256, SHAPE, dtype=np.uint8)


def same(found: NDArray[np.uint8], index: int) -> bool:
    return found.dtype == np.uint8 and found.shape == SHAPE and bool((found == Decoder()(index)).all())


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 7), max_size=40))
def test_every_image_is_decoded_once_and_comes_back_as_it_was(tmp_path: Path, asked: list[int]) -> None:
    decode = Decoder()
    with PixelStore(tmp_path, count=8, shape=SHAPE) as store:
        assert all(same(store.pixels(index, decode), index) for index in asked)
    assert sorted(decode.calls) == sorted(set(asked))


@pytest.mark.parametrize("shape", [(3, 3, 1), (2, 5, 3)])
def test_any_shape_is_kept(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    store = PixelStore(tmp_path, count=2, shape=shape)
    for _ in range(2):
        np.testing.assert_array_equal(store.pixels(1, lambda _: pixels), pixels)


def test_pixels_that_are_no_solid_block_are_kept(tmp_path: Path) -> None:
    mirrored = Decoder()(0)[:, ::-1]
    store = PixelStore(tmp_path, count=1, shape=SHAPE)
    store.pixels(0, lambda _: mirrored)
    np.testing.assert_array_equal(store.pixels(0, Decoder()), mirrored)


def test_many_threads_get_what_they_ask_for(tmp_path: Path) -> None:
    decode = Decoder()
    store = PixelStore(tmp_path, count=50, shape=SHAPE)
    asked = np.random.default_rng(0).integers(0, 50, 2000).tolist()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda index: same(store.pixels(index, decode), index), asked))
    assert set(decode.calls) == set(range(50))
    assert len(decode.calls) <= 50 * 8  # at worst each thread missed each image once


def test_nothing_is_seen_in_the_folder(tmp_path: Path) -> None:
    store = PixelStore(tmp_path, count=2, shape=SHAPE)
    store.pixels(0, Decoder())
    assert list(tmp_path.iterdir()) == []
    assert same(store.pixels(0, Decoder()), 0)


def test_a_store_that_nothing_refers_to_is_closed(tmp_path: Path) -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names only
    stores = [PixelStore(tmp_path, count=2, shape=SHAPE) for _ in range(3)]
    assert len(os.listdir("/proc/self/fd")) == before + 3  # noqa: PTH208
    stores.clear()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_discarded_store_frees_its_space_and_still_answers(tmp_path: Path) -> None:
    decode = Decoder()
    with PixelStore(tmp_path, count=100, shape=SHAPE) as store:
        for index in range(100):
            store.pixels(index, decode)
        assert os.fstat(store._file).st_size == 100 * RECORD_BYTES
    assert os.fstat(store._file).st_size == 0
    assert same(store.pixels(3, decode), 3)
    assert os.fstat(store._file).st_size == 0
    assert decode.calls[100:] == [3]


def test_a_record_written_while_the_store_is_discarded_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, write = PixelStore(tmp_path, count=8, shape=SHAPE), os.pwrite

    def pwrite(file: int, record: bytes, offset: int) -> int:
        written = write(file, record, offset)
        store.discard()
        write(file, record, 7 * RECORD_BYTES)  # a late writer: what lies before it are zeros now
        return written

    monkeypatch.setattr(os, "pwrite", pwrite)
    assert all(same(store.pixels(2, Decoder()), 2) for _ in range(2))


def test_a_record_discarded_while_it_is_read_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, read = PixelStore(tmp_path, count=8, shape=SHAPE), os.pread
    store.pixels(2, Decoder())

    def pread(file: int, size: int, offset: int) -> bytes:
        store.discard()
        os.pwrite(file, bytes(RECORD_BYTES), 7 * RECORD_BYTES)
        return read(file, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    assert same(store.pixels(2, Decoder()), 2)


# ---- a disk that fails


def test_a_disk_that_fills_up_ends_the_writing_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, write, left = Decoder(), os.pwrite, [3]

    def pwrite(file: int, record: bytes, offset: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, record, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    store = PixelStore(tmp_path, count=8, shape=SHAPE)
    for _ in range(2):
        assert all(same(store.pixels(index, decode), index) for index in range(8))
    assert decode.calls == [*range(8), *range(8)]
    assert left == [-1]  # not tried again
    assert os.fstat(store._file).st_size == 0  # and the space is free for others


def test_a_record_that_was_written_in_part_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, record, offset: write(file, record[:10], offset))
    store = PixelStore(tmp_path, count=2, shape=SHAPE)
    assert all(same(store.pixels(0, Decoder()), 0) for _ in range(2))


@pytest.mark.parametrize("answer", [OSError(errno.EIO, "Input/output error"), b"short"])
def test_a_record_that_cannot_be_read_is_decoded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    def pread(*_: object) -> object:
        if isinstance(answer, OSError):
            raise answer
        return answer

    store = PixelStore(tmp_path, count=2, shape=SHAPE)
    store.pixels(0, Decoder())
    monkeypatch.setattr(os, "pread", pread)
    assert same(store.pixels(0, Decoder()), 0)


def test_a_file_size_limit_is_a_full_disk(tmp_path: Path) -> None:
    code = (
        "import resource, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from mbexport.models.training.pixel_store import PixelStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "calls = []\n"
        "def decode(i):\n"
        "    calls.append(i)\n"
        "    return np.full((4, 4, 3), i, np.uint8)\n"
        "store = PixelStore(Path(sys.argv[1]), count=40, shape=(4, 4, 3))\n"
        "assert all((store.pixels(i, decode) == i).all() for _ in range(2) for i in range(40))\n"
        "print(len(calls))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 40 + 40  # ten records of 48 bytes fit; then the store is given up


# ---- whether there is one


def test_a_store_is_opened_only_where_it_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_store(tmp_path, count=10, shape=SHAPE, limit_bytes=480) is not None
    assert open_store(tmp_path, count=10, shape=SHAPE, limit_bytes=479) is None
    for free, opens in ((960, True), (959, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert (open_store(tmp_path, count=10, shape=SHAPE) is not None) == opens


def test_at_most_4_gib_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 50))
    assert open_store(tmp_path, count=1 << 20, shape=(64, 64, 1)) is not None
    assert open_store(tmp_path, count=(1 << 20) + 1, shape=(64, 64, 1)) is None


def test_without_a_folder_there_is_no_store(tmp_path: Path) -> None:
    assert open_store(tmp_path / "missing", count=1, shape=SHAPE) is None
    (tmp_path / "file").write_text("")
    assert open_store(tmp_path / "file", count=1, shape=SHAPE) is None
