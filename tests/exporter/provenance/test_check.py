"""Checks of an output folder: whatever differs from the delivery is found, and reported in one line."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from delivered_by_hand import MODEL, contents_by_hand, deliver, listing, with_proof
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.escaping.characters import is_hidden
from mbexport.escaping.terminal import visible
from mbexport.provenance.check import check
from mbexport.provenance.manifest import FileFacts
from mbexport.provenance.tree import Finding, Status

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CONTENTS = with_proof(contents_by_hand())
FILES = (*CONTENTS, "manifest.json", "manifest.json.sig")


@pytest.fixture(scope="module")
def signed(tmp_path_factory) -> Path:
    """A whole folder, which every test leaves as it was."""
    folder = tmp_path_factory.mktemp("signed")
    deliver(folder, CONTENTS, key=KEY)
    return folder


@pytest.fixture
def delivered(tmp_path) -> Path:
    deliver(tmp_path / "out", CONTENTS)
    return tmp_path / "out"


def failures(folder: Path, *, key: Ed25519PrivateKey | None = None) -> list[Finding]:
    return [each for each in check(folder, key.public_key() if key else None) if each.is_failure]


def told(folder: Path) -> list[tuple[str, str]]:
    return [(each.status.value, each.name) for each in failures(folder)]


def test_what_was_delivered_is_right(delivered, signed):
    assert check(delivered, None) == ()
    (valid,) = check(signed, KEY.public_key())
    assert valid.line == "note       manifest.json.sig: got a valid signature"
    (unchecked,) = check(signed, None)
    assert (unchecked.status, unchecked.got) == (Status.NOTE, "a signature and no key to check it with")


@given(st.sampled_from(FILES), st.integers(0, 1 << 20), st.integers(0, 7))
def test_any_flipped_bit_is_found(signed, name, at, bit):
    file = signed / name
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[at % len(whole)] ^= 1 << bit
    file.write_bytes(flipped)
    try:
        found = failures(signed, key=KEY)
    except DataError:
        assert name == "manifest.json"
    else:
        expected = "manifest.json.sig" if name == "manifest.json" else name
        assert expected in {each.name for each in found}
    finally:
        file.write_bytes(whole)


@given(st.sampled_from(FILES))
def test_any_removed_file_is_found(signed, name):
    (signed / name).rename(signed.parent / "removed")
    try:
        found = failures(signed, key=KEY)
        assert (Status.MISSING, name) in [(each.status, each.name) for each in found] or name == "manifest.json.sig"
        assert found
    except DataError:
        assert name == "manifest.json"
    finally:
        (signed.parent / "removed").rename(signed / name)


PARTS = st.sampled_from(
    ["android", "ios", "golden", "case_0", "a", "B", ".mbexport", "net_int8.tflite.", "manifest.json"]
)


@given(st.lists(PARTS, max_size=3), st.text("ab.", min_size=1, max_size=3).filter(lambda name: set(name) != {"."}))
def test_any_added_file_is_found(signed, folders, name):
    added = Path(*folders, name)
    if folders[:1] in ([".mbexport"], ["manifest.json"]):
        return
    before = set(signed.rglob("*"))
    (signed / added).parent.mkdir(parents=True, exist_ok=True)
    (signed / added).write_bytes(b"")
    try:
        (found,) = failures(signed, key=KEY)
        assert found.status is Status.EXTRA
        assert str(added).startswith(found.name)
    finally:
        new = sorted(set(signed.rglob("*")) - before)
        shutil.rmtree(new[0]) if new[0].is_dir() else new[0].unlink()


@given(st.sampled_from(sorted(CONTENTS)), st.sampled_from(sorted(CONTENTS)))
@example("android/README.md", "ios/Package.swift")
def test_two_swapped_files_are_found_unless_they_are_the_same(signed, one, other):
    (signed / one).write_bytes(CONTENTS[other])
    (signed / other).write_bytes(CONTENTS[one])
    try:
        found = {each.name for each in failures(signed, key=KEY)}
        assert found == ({one, other} if CONTENTS[one] != CONTENTS[other] else set())
    finally:
        for name in (one, other):
            (signed / name).write_bytes(CONTENTS[name])


def test_lines_say_what_was_got_and_expected(delivered):
    (delivered / MODEL).write_bytes(b"TFL3 by hanD")
    (delivered / "labels.txt").unlink()
    (delivered / "ios" / "Package.swift").write_bytes(b"")
    (delivered / "more").write_bytes(b"1")
    got, right = (hashlib.sha256(each).hexdigest() for each in (b"TFL3 by hanD", b"TFL3 by hand"))
    assert [each.line for each in check(delivered, None)] == [
        "altered    ios/Package.swift: got 0 bytes, expected 26 bytes",
        "missing    labels.txt: got nothing, expected 8 bytes",
        "extra      more: got 1 bytes, expected nothing",
        f"altered    net_int8.tflite: got sha256 {got}, expected sha256 {right}",
    ]


def test_names_that_differ_in_case_alone_are_other_names(delivered):
    (delivered / "labels.txt").rename(delivered / "Labels.txt")
    assert told(delivered) == [("extra", "Labels.txt"), ("missing", "labels.txt")]


def test_links_are_not_followed(delivered, tmp_path):
    (delivered / MODEL).rename(tmp_path / "elsewhere")
    (delivered / MODEL).symlink_to(tmp_path / "elsewhere")
    (delivered / "inner").symlink_to("labels.txt")
    (delivered / "ios").rename(tmp_path / "ios")
    (delivered / "ios").symlink_to(tmp_path / "ios")
    assert {("foreign", MODEL), ("foreign", "inner"), ("foreign", "ios"), ("missing", MODEL)} <= set(told(delivered))


def test_manifest_and_signature_are_no_links(signed, tmp_path):
    shutil.copytree(signed, tmp_path / "out")
    for name in ("manifest.json.sig", "manifest.json"):
        (tmp_path / "out" / name).rename(tmp_path / name)
        (tmp_path / "out" / name).symlink_to(tmp_path / name)
        if name == "manifest.json.sig":
            lines = [each.line for each in failures(tmp_path / "out", key=KEY)]
            assert "unreadable manifest.json.sig: got a link" in lines
    with pytest.raises(DataError, match=r"the manifest .*manifest.json cannot be read: a link$"):
        check(tmp_path / "out", KEY.public_key())


def test_folder_that_is_named_by_a_link_is_checked_as_it_is(delivered, tmp_path):
    (tmp_path / "link").symlink_to(delivered)
    assert check(tmp_path / "link", None) == ()


def test_nothing_waits_for_a_pipe(delivered):
    for name in ("labels.txt", "manifest.json.sig"):
        (delivered / name).unlink(missing_ok=True)
        os.mkfifo(delivered / name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(delivered / "socket"))
        assert {("foreign", "labels.txt"), ("foreign", "socket"), ("unreadable", "manifest.json.sig")} <= set(
            told(delivered)
        )
    (delivered / "manifest.json").unlink()
    os.mkfifo(delivered / "manifest.json")
    with pytest.raises(DataError, match=r"the manifest .*manifest.json cannot be read: no regular file$"):
        check(delivered, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is not a manifest of mbexport"),
        (listing({}).to_bytes(), "must list files, got none"),
    ],
)
def test_manifest_that_says_nothing_is_an_error(delivered, content, said):
    (delivered / "manifest.json").unlink()
    if content is not None:
        (delivered / "manifest.json").write_bytes(content)
    with pytest.raises(DataError, match=said):
        check(delivered, None)


def test_folder_that_is_none_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for name in ("file", "nothing"):
        with pytest.raises(DataError, match="cannot be read"):
            check(tmp_path / name, None)


def test_with_a_key_the_signature_must_be_there_and_of_that_key(delivered, signed):
    other = Ed25519PrivateKey.generate()
    assert [each.line for each in failures(delivered, key=other)] == [
        "unsigned   manifest.json: got no signature, expected manifest.json.sig"
    ]
    assert [each.line for each in failures(signed, key=other)] == [
        "invalid    manifest.json.sig: got another signature, expected one of manifest.json"
    ]


def test_private_folder_is_so_at_the_root_alone_and_as_a_folder(delivered):
    (delivered / "ios" / ".mbexport").mkdir()
    (delivered / ".mbexport" / "stages").mkdir()
    assert told(delivered) == [("extra", "ios/.mbexport")]
    shutil.rmtree(delivered / ".mbexport")
    (delivered / ".mbexport").write_bytes(b"")
    assert told(delivered) == [("extra", ".mbexport"), ("extra", "ios/.mbexport")]


def test_hostile_sizes_are_not_believed(delivered):
    """A file that is said to be huge is not read; one that is huge, and said to be small, neither."""
    manifest = listing({**CONTENTS})
    files = {**manifest.files, MODEL: FileFacts(sha256="0" * 64, size_bytes=1 << 62)}
    (delivered / "manifest.json").write_bytes(replace(manifest, files=files).to_bytes())
    with (delivered / "labels.txt").open("r+b") as sparse:
        sparse.truncate(1 << 40)
    lines = [each.line for each in check(delivered, None)]
    assert f"altered    {MODEL}: got 12 bytes, expected {1 << 62} bytes" in lines
    assert f"altered    labels.txt: got {1 << 40} bytes, expected 8 bytes" in lines


def test_thousands_of_files_and_deep_folders_are_told_one_by_one(delivered):
    names = ["/".join(["deep"] * 400) + f"/{each}" for each in range(5000)]
    facts = FileFacts.of(b"")
    (delivered / "manifest.json").write_bytes(listing({}).to_bytes())
    manifest = replace(listing({}), files=dict.fromkeys(names, facts))
    (delivered / "manifest.json").write_bytes(manifest.to_bytes())
    found = check(delivered, None)
    assert len([each for each in found if each.status is Status.MISSING]) == 5000
    assert max(len(each.line) for each in found) < 500


@given(st.text())
def test_no_name_breaks_a_line(text):
    line = Finding(status=Status.EXTRA, name=text, got=text, expected=text).line
    assert not any(map(is_hidden, line))
    assert visible(line) == line


def test_one_line_makes_the_manifest_what_sha256sum_takes(delivered):
    """`jq` would do as well."""
    if shutil.which("sha256sum") is None:
        pytest.skip("there is no sha256sum")
    script = "import json; [print(f['sha256'], '', n) for n, f in json.load(open('manifest.json'))['files'].items()]"
    sums = subprocess.run([sys.executable, "-c", script], cwd=delivered, capture_output=True, check=True).stdout
    done = subprocess.run(["sha256sum", "-c", "--strict"], cwd=delivered, input=sums, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines() == [f"{name}: OK" for name in sorted(CONTENTS)]
