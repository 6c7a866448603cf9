"""What identifies files, folders and our own code: contents and relative names, not where they lie."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import mbexport
from mbexport import fingerprint
from mbexport.errors import DataError
from mbexport.fingerprint import THREADS_VARIABLE, path_hash, tensorflow_threads

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


PACKAGE = {
    "__init__.py": b"",
    "workdir.py": b"import os\n",
    "bundles/registry.py": b"ROWS = ()\n",
    "bundles/ios/swift/Preprocess.swift": b"// first\n",
    "commands/build.py": b"import click\n",
    "report/page/page.j2": b"{{ title }}\n",
}
SUBPACKAGES = {
    "models": {"__init__.py": b"", "mobilenet_v1/spec.py": b"ALPHA = 1\n"},
    "calibration": {"affine.py": b"SCALE = 1\n", "ranges/auto.py": b""},
}


def wheel(place: Path) -> Path:
    """The package as a wheel installs it."""
    for name, files in SUBPACKAGES.items():
        fill(place / "mbexport" / name, files)
    return fill(place / "mbexport", PACKAGE)


def checkout(place: Path) -> Path:
    """The same files as a checkout keeps them: three folders beside each other, joined by links."""
    package = fill(place / "exporter", PACKAGE)
    for name, files in SUBPACKAGES.items():
        fill(place / name, files)
        (package / name).symlink_to(Path("..", name), target_is_directory=True)
    (place / "src").mkdir()
    (place / "src" / "mbexport").symlink_to(Path("..", "exporter"), target_is_directory=True)
    return place / "src" / "mbexport"


@pytest.fixture
def fingerprints(monkeypatch):
    """The fingerprints of code and tool, of a package at that place."""

    def of(root: Path) -> tuple[str, str]:
        monkeypatch.setattr(fingerprint, "_root", lambda: root)
        return fingerprint.code_fingerprint.__wrapped__(), fingerprint.tool_fingerprint.__wrapped__()

    return of


def test_a_checkout_and_a_wheel_have_the_same_fingerprints(fingerprints, tmp_path):
    assert fingerprints(checkout(tmp_path / "one")) == fingerprints(wheel(tmp_path / "other"))


def test_the_code_fingerprint_by_hand(fingerprints, tmp_path):
    files = {**PACKAGE, **{f"{name}/{each}": text for name, held in SUBPACKAGES.items() for each, text in held.items()}}
    of_stages = ("__init__.py", "workdir.py", "calibration/affine.py", "calibration/ranges/auto.py")
    of_stages += ("models/__init__.py", "models/mobilenet_v1/spec.py")
    parts = [mbexport.__version__.encode(), *(name.encode() + b"\0" + files[name] for name in of_stages)]
    assert fingerprints(wheel(tmp_path))[0] == hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize(
    "name", ["models/mobilenet_v1/spec.py", "calibration/ranges/auto.py", "workdir.py", "verify/added.py"]
)
def test_a_module_that_stages_stand_on_changes_both_fingerprints(fingerprints, tmp_path, name):
    package = checkout(tmp_path)
    before = fingerprints(package)
    fill(package, {name: b"changed"})
    after = fingerprints(package)
    assert after[0] != before[0]
    assert after[1] != before[1]


@pytest.mark.parametrize(
    "name", ["bundles/ios/swift/Preprocess.swift", "bundles/registry.py", "report/page/page.j2", "bundles/web/added.js"]
)
def test_what_bundles_and_reports_copy_is_part_of_the_tool_and_of_no_stage(fingerprints, tmp_path, name):
    package = checkout(tmp_path)
    before = fingerprints(package)
    fill(package, {name: b"changed"})
    after = fingerprints(package)
    assert (after[0], after[1] == before[1]) == (before[0], False)


def test_the_command_line_is_part_of_neither(fingerprints, tmp_path):
    package = checkout(tmp_path)
    before = fingerprints(package)
    fill(package, {"commands/build.py": b"changed"})
    assert fingerprints(package) == before


@pytest.mark.parametrize("folder", ["models", "bundles/ios", "."])
def test_what_python_and_editors_leave_behind_counts_for_nothing(fingerprints, tmp_path, folder):
    package = checkout(tmp_path)
    before = fingerprints(package)
    left = (
        "__pycache__/spec.py",
        "__pycache__/spec.cpython-311.pyc",
        "spec.py~",
        "#spec.py#",
        ".spec.py.swp",
        ".DS_Store",
    )
    fill(package / folder, dict.fromkeys(left, b"left behind"))
    (package / folder / ".#spec.py").symlink_to("somebody@somewhere.1234:1700000000")
    assert fingerprints(package) == before


def test_the_installed_package_has_fingerprints():
    assert fingerprint.code_fingerprint() != fingerprint.tool_fingerprint()
    assert fingerprint.code_fingerprint() == fingerprint.code_fingerprint.__wrapped__()


@pytest.mark.parametrize("said", ["", "0", "-1", "many", "2.0", "\N{SUPERSCRIPT TWO}"])
def test_tensorflow_has_a_thread_for_each_core_unless_a_number_is_said(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "3")
    assert tensorflow_threads() == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5, 7}, raising=False)
    monkeypatch.setenv(THREADS_VARIABLE, said)
    assert tensorflow_threads() == 4
    monkeypatch.delenv(THREADS_VARIABLE)
    assert tensorflow_threads() == 4
