"""Regular files alone are opened, and no path below a folder is followed through a link."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.files import Folder, ForeignError, is_inside, open_regular, read_regular, sha256_of

LINK_OR_NOT = ("a link", "no regular file")


@pytest.fixture
def folder(tmp_path) -> Folder:
    """A folder with a file in a folder; beside it a file and a folder of somebody else's."""
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep" / "file").write_bytes(b"ours")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_bytes(b"precious")
    return Folder(tmp_path / "out")


def put(kind: str, place: Path, target: Path) -> None:
    """Puts something else than a regular file at `place`."""
    if kind == "link":
        place.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/dev/zero")


KINDS = ("link", "pipe", "folder", "device")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_neither_read_nor_waited_for(folder, kind):
    place = folder.root / "x"
    put(kind, place, folder.root.parent / "other" / "file")
    for read in (folder.read, folder.sha256):
        with pytest.raises(ForeignError) as caught:
            read("x")
        assert (caught.value.strerror, caught.value.filename) in [(each, "x") for each in LINK_OR_NOT]
    with pytest.raises(ForeignError), open_regular(place):
        pass


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_a_file_that_the_user_named_may_be_a_link_and_nothing_else(folder, kind):
    put(kind, folder.root / "x", folder.root)
    (folder.root / "named").symlink_to(folder.root / "x")
    for read in (read_regular, sha256_of):
        with pytest.raises(ForeignError, match="no regular file"):
            read(folder.root / "named")
    (folder.root / "good").symlink_to(folder.root.parent / "other" / "file")
    assert read_regular(folder.root / "good") == b"precious"


CHANGES = {
    "read": lambda folder: folder.read("way/file"),
    "write_new": lambda folder: folder.write_new("way/file", b"x", mode=0o600),
    "move to": lambda folder: folder.move("deep/file", "way/file"),
    "move from": lambda folder: folder.move("way/file", "moved"),
    "remove": lambda folder: folder.remove("way/file"),
    "make_private": lambda folder: folder.make_private("way/new"),
    "clear": lambda folder: folder.clear("way"),
    "status": lambda folder: folder.status("way/file"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_no_path_leads_through_a_link(folder, change):
    other = folder.root.parent / "other"
    (folder.root / "way").symlink_to(other)
    with pytest.raises(ForeignError, match="a link") as caught:
        change(folder)
    assert caught.value.filename == "way"
    assert [(path.name, path.read_bytes()) for path in other.iterdir()] == [("file", b"precious")]


def test_removing_and_replacing_a_link_leaves_what_it_leads_to(folder):
    other = folder.root.parent / "other" / "file"
    (folder.root / "one").symlink_to(other)
    (folder.root / "two").symlink_to(other)
    folder.remove("one")
    folder.write_new("two", b"new", mode=0o600)
    assert {path.name for path in folder.root.iterdir()} == {"deep", "two"}
    assert (folder.read("two"), other.read_bytes()) == (b"new", b"precious")


def test_a_folder_is_cleared_with_what_is_in_it_and_not_with_what_that_leads_to(folder):
    tmp, other = folder.root / "tmp", folder.root.parent / "other"
    (tmp / "a" / "b").mkdir(parents=True)
    (tmp / "a" / "link").symlink_to(other)
    (tmp / "link").symlink_to(other)
    (tmp / "a" / "b" / "half").write_bytes(b"half")
    os.mkfifo(tmp / "pipe")
    folder.clear("tmp")
    assert list(tmp.iterdir()) == []
    assert (other / "file").read_bytes() == b"precious"


def test_a_private_folder_is_one_that_others_cannot_write_to(folder):
    folder.make_private("deep/own")
    assert stat.S_IMODE(folder.status("deep/own").st_mode) == 0o700
    (folder.root / "deep" / "own").chmod(0o777)
    folder.make_private("deep/own")
    assert stat.S_IMODE(folder.status("deep/own").st_mode) == 0o700


def test_a_file_that_is_too_large_is_not_read(folder):
    assert folder.read("deep/file", limit_bytes=4) == b"ours"
    with pytest.raises(OSError, match="more than 3 bytes"):
        folder.read("deep/file", limit_bytes=3)
    with pytest.raises(OSError, match="more than 0 bytes"):
        read_regular(folder.root / "deep" / "file", limit_bytes=0)


@pytest.mark.parametrize(
    "name", ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a/", "./a", "a\\b", "a\0b"]
)
def test_only_paths_below_the_folder_are_walked(folder, name):
    assert not is_inside(name)
    for change in (folder.read, folder.remove, folder.sha256):
        with pytest.raises(ForeignError, match="no path below the folder"):
            change(name)


@given(st.text(st.sampled_from("a./\\\0é"), max_size=8))
def test_what_is_inside_stays_inside(name):
    if is_inside(name):
        assert not Path(name).is_absolute()
        assert ".." not in Path(name).parts
        assert Path(name).as_posix() == name
