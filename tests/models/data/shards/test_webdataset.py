"""Samples of WebDataset: what belongs together, which file is the image, and what is left out or refused."""

import io
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards_by_hand import END_OF_TAR, png, tar_member, tar_of

from mbexport.errors import DataError
from mbexport.models.data.left_out import LeftOut
from mbexport.models.data.shards.files import Window
from mbexport.models.data.shards.found import Found
from mbexport.models.data.shards.webdataset import WEBDATASET, scan

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="/.\0"), min_size=1, max_size=30).filter(
    lambda key: not key.startswith("__")
)
SAMPLES = st.dictionaries(KEYS, st.tuples(st.integers(0, 10**18 - 1), st.binary(max_size=700)), min_size=1, max_size=6)


def window_of(content: bytes) -> Window:
    return Window(lambda offset, size: content[offset : offset + size], path=Path("a.tar"), size_bytes=len(content))


def scanned(content: bytes) -> tuple[list[tuple[str, int, bytes]], LeftOut]:
    """(name, label, content) of each image, and what was left out."""
    found = Found()
    scan(window_of(content), 0, "a.tar", found)
    index = found.columns.finished()
    images = []
    for i in range(len(index)):
        _, offset, length = index.place(i)
        name = WEBDATASET.name_of(window_of(content), index, i)
        images.append((name, int(index.labels[i]), content[offset : offset + length]))
    return images, found.passed.left_out()


def refused(files: dict[str, bytes]) -> str:
    with pytest.raises(DataError) as caught:
        scanned(tar_of(files))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_two_samples_by_hand() -> None:
    images, left_out = scanned(tar_of({"a.jpg": b"A", "a.cls": b"3", "dir.v2/b.cls": b" 12\n", "dir.v2/b.jpg": b"B"}))
    assert images == [("a.jpg", 3, b"A"), ("dir.v2/b.jpg", 12, b"B")]
    assert not left_out


@pytest.mark.parametrize("ending", ["jpg", "JPEG", "png", "webp", "tiff", "bmp", "gif"])
def test_an_image_is_known_by_its_ending_in_any_letter_case(ending: str) -> None:
    images, _ = scanned(tar_of({f"a.{ending}": b"A", "a.CLS": b"1"}))
    assert images == [(f"a.{ending}", 1, b"A")]


@pytest.mark.parametrize("ending", ["img", "image", "data.bin"])
def test_an_image_with_another_ending_is_known_by_its_content(ending: str) -> None:
    content = png(1, 2, 3)
    images, left_out = scanned(tar_of({"a.txt": b"a dog", f"a.{ending}": content, "a.cls": b"1"}))
    assert images == [(f"a.{ending}", 1, content)]
    assert left_out.others == {".txt": 1}


def test_the_plain_ending_is_the_image_and_other_files_are_left_out() -> None:
    files = {"a.seg.png": b"S", "a.jpg": b"A", "a.json": b"{}", "a.cls": b"1", "a.aux.cls": b"9"}
    images, left_out = scanned(tar_of(files))
    assert images == [("a.jpg", 1, b"A")]
    assert left_out.others == {".cls": 1, ".json": 1, ".png": 1}
    assert not left_out.photos


def test_samples_without_label_or_image_are_left_out_and_photos_are_missed() -> None:
    images, left_out = scanned(
        tar_of({"a.jpg": b"A", "b.jpg": b"B", "b.cls": b"1", "c.cls": b"2", "d.heic": b"D", "d.cls": b"3", "e": b""})
    )
    assert images == [("b.jpg", 1, b"B")]
    assert left_out.photos == {".heic": 1, ".jpg": 1}
    assert left_out.others == {".cls": 2, "no ending": 1}
    reasons = {each.name: each.reason for each in left_out.listed}
    assert reasons["a.tar/a.jpg"] == "its sample has no label in a .cls file"
    assert reasons["a.tar/c.cls"] == reasons["a.tar/d.heic"] == "its sample has no image"


def test_meta_files_folders_and_links_are_no_samples() -> None:
    content = (
        tar_member("__meta__/a.jpg", b"1")
        + tar_member("dir/", kind=b"5")
        + tar_member("a.jpg", kind=b"1")
        + tar_of({"a.cls": b"1", "b.cls": b"1", "b.jpg": b"B"})
    )
    images, left_out = scanned(content)
    assert images == [("b.jpg", 1, b"B")]
    assert {each.name: each.reason for each in left_out.listed}["a.tar/a.jpg"] == "it is a link"
    assert left_out.photos == {".jpg": 1}


@given(SAMPLES, st.randoms(use_true_random=False), st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_samples_come_back_in_whatever_order_their_files_lie(
    wanted: dict[str, tuple[int, bytes]], order: random.Random, form: int
) -> None:
    files = [(f"{key}.cls", b"%d" % label) for key, (label, _) in wanted.items()]
    files += [(f"{key}.jpg", image) for key, (_, image) in wanted.items()]
    order.shuffle(files)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form) as tar:
        for name, blob in files:
            info = tarfile.TarInfo(name)
            info.size = len(blob)
            tar.addfile(info, io.BytesIO(blob))
    images, left_out = scanned(content.getvalue())
    assert sorted(images) == sorted((f"{key}.jpg", label, image) for key, (label, image) in wanted.items())
    assert not left_out


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.jpg": b"A", "a.cls": b"dog"}, "a.tar: a.cls must hold a label as a whole number, got b'dog'"),
        ({"a.jpg": b"A", "a.cls": b""}, "a.tar: a.cls must hold a label as a whole number, got b''"),
        ({"a.jpg": b"A", "a.cls": b"1_0"}, "got b'1_0'"),
        ({"a.jpg": b"A", "a.cls": b"1" * 10_000}, "a.cls must hold a label as a whole number, got b'111"),
        (
            {"a.jpg": b"A", "a.png": b"B", "a.cls": b"1"},
            "must hold one image and one label a sample, got a.jpg and a.png",
        ),
        ({"a.l.jpg": b"A", "a.r.jpg": b"B", "a.cls": b"1"}, "got a.l.jpg and a.r.jpg"),
        ({"a.jpg": b"A", "a.x.cls": b"1", "a.y.cls": b"1"}, "got a.x.cls and a.y.cls"),
    ],
)
def test_what_is_no_sample_is_refused_in_one_line(files: dict[str, bytes], message: str) -> None:
    assert message in refused(files)


def test_same_file_twice_is_refused() -> None:
    twice = tar_member("a.jpg", b"A") * 2 + tar_member("a.cls", b"1") + END_OF_TAR
    with pytest.raises(DataError, match=r"must hold one image and one label a sample, got a\.jpg and a\.jpg"):
        scanned(twice)
