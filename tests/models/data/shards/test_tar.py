"""Tar files: members and their places, in every dialect that writers have, and damaged and hostile ones."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from shards_by_hand import BLOCK, END_OF_TAR, tar_header, tar_member, tar_of

from mbexport.errors import DataError
from mbexport.models.data.shards.files import OpenShard, Window
from mbexport.models.data.shards.tar import Member, member_at, members

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
NAMES = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=6).map("/".join).filter(lambda path: not path.startswith("./"))
FILES = st.dictionaries(PATHS, st.binary(max_size=1100), max_size=5)


def window_of(content: bytes) -> Window:
    return Window(lambda offset, size: content[offset : offset + size], path=Path("a.tar"), size_bytes=len(content))


def listed(content: bytes) -> list[Member]:
    return list(members(window_of(content)))


def tried(content: bytes) -> tuple[list[Member], str]:
    """The members, or why the file is refused."""
    try:
        return listed(content), ""
    except DataError as error:
        return [], str(error)


def files_in(content: bytes) -> list[tuple[str, bytes]]:
    return [
        (member.name, content[member.offset : member.offset + member.size_bytes])
        for member in listed(content)
        if member.is_file
    ]


def pax(records: bytes, *, kind: bytes = b"x") -> bytes:
    return tar_member("PaxHeaders/a", records, kind=kind)


# ---- by hand


def test_two_files_by_hand() -> None:
    first, second = listed(tar_of({"a.cls": b"7", "dir/a.png": b"x" * 513}))
    assert first[:4] == ("a.cls", 512, 1, 1)
    assert second[:4] == ("dir/a.png", 1024 + 512, 513, 1)
    assert [first.is_file, second.is_file, first.is_link] == [True, True, False]


def test_empty_tar_has_no_members() -> None:
    assert listed(END_OF_TAR) == listed(bytes(BLOCK)) == []


def test_what_follows_the_end_is_not_read() -> None:
    assert listed(END_OF_TAR + b"rubbish") == []


def test_prefix_comes_before_the_name() -> None:
    (member,) = listed(tar_member("b.png", prefix=b"folder/a") + END_OF_TAR)
    assert member.name == "folder/a/b.png"


def test_size_in_binary_as_gnu_writes_it() -> None:
    header = tar_header(b"a.png", 0, size_field=b"\x80" + (3).to_bytes(11, "big"))
    assert files_in(header + b"abc".ljust(BLOCK, b"\0") + END_OF_TAR) == [("a.png", b"abc")]


@pytest.mark.parametrize("kind", [b"\0", b"0", b"7"])
def test_kinds_of_regular_files(kind: bytes) -> None:
    assert files_in(tar_member("a.png", b"abc", kind=kind) + END_OF_TAR) == [("a.png", b"abc")]


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_links_devices_and_folders_are_no_files_and_have_no_content(kind: bytes) -> None:
    header = tar_header(b"a.png", 999, kind=kind)  # what some writers leave in the field
    first, second = listed(header + tar_of({"b.png": b"abc"}))
    assert (first.is_file, first.size_bytes, first.is_link) == (False, 0, kind in b"12")
    assert second.name == "b.png"


def test_folder_of_before_posix_is_no_file() -> None:
    assert files_in(tar_member("a/", kind=b"\0") + END_OF_TAR) == []


def test_long_name_as_gnu_writes_it() -> None:
    long = "d/" * 100 + "a.png"
    content = tar_member("././@LongLink", long.encode() + b"\0", kind=b"L") + tar_of({long[:99]: b"abc"})
    (member,) = listed(content)
    assert member.name == long
    assert member.lead_blocks == 3  # two headers, and a block of the name
    again = member_at(window_of(content), member.offset - 3 * BLOCK)
    assert again == member


def test_pax_header_gives_name_and_size() -> None:
    header = pax("19 path=dög/a.png\n".encode() + b"9 size=3\n")
    assert files_in(header + tar_header(b"short", 0) + b"abc".ljust(BLOCK, b"\0") + END_OF_TAR) == [
        ("dög/a.png", b"abc")
    ]


def test_pax_header_holds_for_one_member_alone() -> None:
    content = pax(b"17 path=long.png\n") + tar_of({"short.png": b"", "other.png": b""})
    assert [member.name for member in listed(content)] == ["long.png", "other.png"]


def test_pax_header_for_all_says_nothing_of_names() -> None:
    content = pax(b"15 comment=abc\n", kind=b"g") + tar_of({"a.png": b"1"})
    assert files_in(content) == [("a.png", b"1")]


# ---- laws


@given(FILES, st.sampled_from(sorted(FORMATS)))
def test_what_python_writes_is_read(files: dict[str, bytes], form: str) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=FORMATS[form]) as tar:
        written = []
        for name, blob in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(blob)
            try:
                tar.addfile(info, io.BytesIO(blob))
            except ValueError:  # a name that is too long for ustar
                continue
            written.append((name, blob))
    assert files_in(content.getvalue()) == written


@given(FILES.filter(bool), st.data())
def test_cut_anywhere_it_is_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, blob in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(blob)
            tar.addfile(info, io.BytesIO(blob))
        end = tar.offset  # the two empty blocks, and padding, come behind
    cut = data.draw(st.integers(0, end + BLOCK - 1))
    with pytest.raises(DataError) as caught:
        listed(content.getvalue()[:cut])
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=3 * BLOCK), st.integers(0, 3 * BLOCK))
@example(b"\xff" * BLOCK, 124)
def test_overwritten_anywhere_it_is_read_or_refused(junk: bytes, place: int) -> None:
    content = bytearray(pax(b"17 path=long.png\n") + tar_of({"a.png": b"abc" * 300, "a.cls": b"1"}))
    content[place : place + len(junk)] = junk
    found, refusal = tried(bytes(content))
    assert "\n" not in refusal
    assert all(member.offset + member.size_bytes <= len(content) for member in found)


@given(st.binary(max_size=300))
def test_any_pax_records_are_read_or_refused(records: bytes) -> None:
    _, refusal = tried(pax(records) + tar_of({"a.png": b"abc"}))
    assert "\n" not in refusal


# ---- hostile


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "at byte 0 it must have the empty block that ends a tar"),
        (b"PK\x03\x04".ljust(BLOCK, b"\0"), "at byte 0 it must have a header with a right checksum"),
        (tar_header(b"a.png", 8**11 - 1), "at byte 512 it must have 8589934591 bytes of a.png"),
        (tar_header(b"a", 0, size_field=b"\xff" * 12), "bytes of a"),
        (tar_header(b"a", 0, size_field=b"99999999999\0"), "at byte 0 it must have a header with a right checksum"),
        (tar_member("a", kind=b"S") + END_OF_TAR, "must hold whole files, got a, a sparse one"),
        (pax(b"22 GNU.sparse.major=1\n") + tar_of({"a": b""}), "must hold whole files, got one, a sparse one"),
        (tar_header(b"a", 1 << 30, kind=b"L"), "at byte 512 it must have an extended header of 1073741824 bytes"),
        (pax(b"999999 path=a\n") + END_OF_TAR, "at byte 512 it must have a pax header of records such as"),
        (pax(b"0 path=a\n") + END_OF_TAR, "at byte 512 it must have a pax header of records such as"),
        (pax(b"11 size=-1\n") + tar_of({"a": b""}), "it must have a size in digits"),
        (pax(b"17 path=long.png\n") + END_OF_TAR, "at byte 1024 it must have a header with a right checksum"),
    ],
    ids=range(12),
)
def test_damaged_and_hostile_tars_are_refused_in_one_line(content: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        listed(content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_headers_in_front_of_a_member_have_an_end() -> None:
    with pytest.raises(DataError, match="it must have a member behind all its headers"):
        listed(pax(b"15 comment=abc\n", kind=b"g") * 9000 + END_OF_TAR)


# ---- GNU tar


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "pax"])
def test_what_gnu_tar_writes_is_read(tmp_path: Path, form: str) -> None:
    source = tmp_path / "source"
    files = {"a.cls": b"1", "folder/a.png": b"x" * 1000, "folder/" + "n" * 80 + ".png": b"y"}
    if form in ("gnu", "oldgnu", "pax"):
        files |= {"dög/" + "n" * 200 + ".png": b"z"}
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    file = tmp_path / "a.tar"
    subprocess.run(["tar", f"--format={form}", "-cf", file, "-C", source, "."], check=True)
    shard = OpenShard(file)
    window = Window(shard.read, path=file, size_bytes=shard.size_bytes)
    found = {each.name: shard.read(each.offset, each.size_bytes) for each in members(window) if each.is_file}
    assert found == files


def test_hole_that_gnu_tar_left_out_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(1 << 20)
    for form in ("gnu", "pax"):
        subprocess.run(
            ["tar", f"--format={form}", "--sparse", "-cf", tmp_path / "a.tar", "-C", tmp_path, "a.png"], check=True
        )
        with pytest.raises(DataError, match="must hold whole files"):
            listed((tmp_path / "a.tar").read_bytes())
