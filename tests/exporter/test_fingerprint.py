"""What identifies a model's file or folder: content and names below it, not where it lies."""

import hashlib
import os
import shutil
from importlib.machinery import ModuleSpec

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport import fingerprint
from mbexport.errors import DataError
from mbexport.fingerprint import path_hash

NAMES = st.text(st.sampled_from("abc"), min_size=1, max_size=3)
CONTENTS = st.binary(max_size=4)


def fill(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_hash_of_a_file_by_hand(tmp_path):
    (tmp_path / "w.h5").write_bytes(b"abc")
    # The file is its own root: a path of ".", then the sha256 of "abc" from FIPS 180-2, appendix B.1.
    abc = bytes.fromhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert path_hash(tmp_path / "w.h5") == hashlib.sha256(b".\0" + abc).hexdigest()


def test_hash_of_a_folder_by_hand(tmp_path):
    fill(tmp_path, {"variables/b": b"", "a": b"abc"})
    parts = [b"a\0" + hashlib.sha256(b"abc").digest(), b"variables/b\0" + hashlib.sha256(b"").digest()]
    assert path_hash(tmp_path) == hashlib.sha256(b"".join(parts)).hexdigest()


def test_file_may_be_moved_and_renamed_but_not_changed(tmp_path):
    one, other, changed = (fill(tmp_path, {name: text}) / name for name, text in
                           (("a.h5", b"abc"), ("x/b.keras", b"abc"), ("c.h5", b"abd")))  # fmt: skip
    assert path_hash(one) == path_hash(other)
    assert path_hash(one) != path_hash(changed)


def test_file_renamed_inside_a_folder_changes_it(tmp_path):
    folder = fill(tmp_path / "model", {"saved_model.pb": b"abc"})
    before = path_hash(folder)
    (folder / "saved_model.pb").rename(folder / "other.pb")
    assert path_hash(folder) != before


@given(*[st.dictionaries(NAMES, CONTENTS, max_size=3)] * 2)
@example({"a": b"b"}, {"ab": b""})
@example({"a": b"", "b": b""}, {"a": b"b"})
def test_folders_hash_alike_exactly_if_they_hold_the_same(tmp_path_factory, one, other):
    folders = [fill(tmp_path_factory.mktemp("folder"), files) for files in (one, other)]
    assert (path_hash(folders[0]) == path_hash(folders[1])) is (one == other)


def test_name_that_is_no_text_is_hashed_like_any_other(tmp_path):
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"abc")
    one = path_hash(tmp_path)
    (tmp_path / os.fsdecode(b"\xff")).rename(tmp_path / os.fsdecode(b"\xfe"))
    assert path_hash(tmp_path) != one


@pytest.mark.parametrize("name", ["missing.h5", "missing/model"])
def test_what_is_not_there_is_a_data_error_that_names_it(tmp_path, name):
    with pytest.raises(DataError, match=rf"{name} cannot be read: No such file or directory$"):
        path_hash(tmp_path / name)


def test_what_bundles_copy_is_part_of_the_tool_and_of_no_stage(monkeypatch, tmp_path):
    import mbexport.bundles

    def both() -> tuple[str, str]:
        fingerprint.code_fingerprint.cache_clear()
        fingerprint.tool_fingerprint.cache_clear()
        return fingerprint.code_fingerprint(), fingerprint.tool_fingerprint()

    before = both()
    (copied,) = mbexport.bundles.__path__
    shutil.copytree(copied, tmp_path / "bundles")
    spec = ModuleSpec("mbexport.bundles", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "bundles")]
    real = fingerprint.find_spec
    monkeypatch.setattr(fingerprint, "find_spec", lambda name: spec if name == "mbexport.bundles" else real(name))
    assert both() == before
    (tmp_path / "bundles" / "swift" / "Preprocess.swift").write_bytes(b"// another")
    after = both()
    assert (after[0], after[1] == before[1]) == (before[0], False)
