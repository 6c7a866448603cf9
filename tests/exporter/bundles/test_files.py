"""A zip's bytes depend on its files alone, and every program reads it."""

import io
import shutil
import subprocess
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.bundles.files import zip_bytes

NAMES = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}\.[a-z]{1,3}", fullmatch=True)


@given(st.dictionaries(NAMES, st.binary(max_size=200), max_size=5))
def test_what_went_in_comes_out(files):
    with zipfile.ZipFile(io.BytesIO(zip_bytes(files))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files


@given(st.dictionaries(NAMES, st.binary(max_size=50), min_size=2, max_size=5))
def test_the_order_of_files_does_not_matter(files):
    assert zip_bytes(dict(reversed(files.items()))) == zip_bytes(files)


def test_neither_does_the_clock_nor_its_zone(monkeypatch):
    first = zip_bytes({"a.txt": b"a"})
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        monkeypatch.setattr(time, "time", lambda: 2e9)
        assert zip_bytes({"a.txt": b"a"}) == first
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_phone_maps_stored_files_into_memory():
    content = zip_bytes({"a.tflite": b"0" * 999, "b.txt": b"0" * 999}, is_stored=lambda name: name.endswith(".tflite"))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sizes = {entry.filename: entry.compress_size for entry in archive.infolist()}
    assert sizes["a.tflite"] == 999
    assert sizes["b.txt"] < 20


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is not installed")
def test_unzip_finds_no_fault(tmp_path):
    (tmp_path / "files.zip").write_bytes(zip_bytes({"a/b.txt": b"b", "c.txt": b"c"}))
    assert subprocess.run(["unzip", "-tq", tmp_path / "files.zip"], check=False, capture_output=True).returncode == 0
