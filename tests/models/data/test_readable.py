"""Unreadable images are found, named and dropped, and too many of them are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from mbexport.errors import DataError, OptionError
from mbexport.models.data.imageset import ImageSet
from mbexport.models.data.open import open_data
from mbexport.models.data.readable import (
    ImageFindings,
    check_images,
    drop_unreadable,
    find_unreadable,
    parse_max_bad,
)


def images(labels: list[int], *, bad: set[int] = frozenset()) -> ImageSet:
    """Images "<label>/<index>"; those in `bad` cannot be read."""

    def read(index: int) -> Image.Image:
        if index in bad:
            raise DataError(f"number {index}\ncannot be decoded")
        return Image.new("RGB", (2, 2), (index, 0, 0))

    names = tuple(f"{label}/{index}" for index, label in enumerate(labels))
    return ImageSet(labels=np.array(labels, np.int64), names=names, read=read)


def damaged_folder(root: Path) -> Path:
    """Two classes of five: one image cut in half, one empty, one no image, one far too large."""
    for name in "ab":
        (root / name).mkdir(parents=True)
        for index in range(5):
            noise = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / name / f"{index}.png")
    whole = (root / "a" / "1.png").read_bytes()
    (root / "a" / "1.png").write_bytes(whole[: len(whole) // 2])
    (root / "a" / "4.png").write_bytes(b"")
    (root / "b" / "0.png").write_text("no image")
    Image.new("1", (20_000, 10_000)).save(root / "b" / "3.png")
    return root


def test_what_cannot_be_read_is_found_by_index(tmp_path: Path) -> None:
    found = find_unreadable(open_data(str(damaged_folder(tmp_path))).evaluation(0))
    assert list(found) == [1, 4, 5, 8]
    for index, said in ((1, "a/1.png"), (4, "a/4.png"), (5, "b/0.png"), (8, "b/3.png is too large to decode safely")):
        assert said in found[index]


@given(st.integers(0, 600), st.sets(st.integers(0, 599), max_size=5))
@example(count=513, bad={255, 256, 512})
def test_every_unreadable_image_is_found_and_no_other(count: int, bad: set[int]) -> None:
    found = find_unreadable(images([0] * count, bad=bad))
    assert found == {i: f"number {i} cannot be decoded" for i in sorted(bad) if i < count}


def test_unreadable_images_are_dropped_by_hand() -> None:
    readable = drop_unreadable([images([0, 0, 1, 1], bad={1}), images([5, 5, 5], bad={0, 2})], max_bad=0.5)
    assert [part.names for part in readable.sets] == [("0/0", "1/2", "1/3"), ("5/1",)]
    assert readable.bad == (
        ("0/1", "number 1 cannot be decoded"),
        ("5/0", "number 0 cannot be decoded"),
        ("5/2", "number 2 cannot be decoded"),
    )
    assert readable.checked == 7


def test_a_folder_is_checked_once_and_its_unreadable_images_are_dropped_again_without_a_look(tmp_path: Path) -> None:
    train, test = open_data(str(damaged_folder(tmp_path / "data"))).split(0)
    stored = check_images([train, test]).to_json()
    for file in tmp_path.rglob("*.png"):
        file.unlink()
    readable = drop_unreadable([train, test], max_bad=0.5, findings=ImageFindings.from_json(stored))
    assert {name for name, _ in readable.bad} == {"a/1.png", "a/4.png", "b/0.png", "b/3.png"}
    assert readable.checked == 10
    everything = {f"{c}/{i}.png" for c in "ab" for i in range(5)}
    assert {name for part in readable.sets for name in part.names} == everything - {name for name, _ in readable.bad}


INDICES = st.integers(0, 2**40)


@given(
    st.lists(
        st.tuples(st.dictionaries(INDICES, st.text(), max_size=2), st.dictionaries(INDICES, INDICES, max_size=2)),
        max_size=3,
    )
)
def test_findings_survive_json(parts: list[tuple[dict[int, str], dict[int, int]]]) -> None:
    findings = ImageFindings(unreadable=tuple(part[0] for part in parts), copies=tuple(part[1] for part in parts))
    assert ImageFindings.from_json(findings.to_json()) == findings
    assert len(json.loads(findings.to_json())) == len(parts)


def test_findings_on_other_sets_do_not_fit() -> None:
    with pytest.raises(ValueError, match="zip"):
        drop_unreadable([images([0])], max_bad=1, findings=ImageFindings.none(sets=2))


def test_more_than_may_be_bad_is_refused_in_one_line() -> None:
    labels = [0, 1] * 100
    with pytest.raises(DataError) as caught:
        drop_unreadable([images(labels, bad={7, 8, 9})], max_bad=0.01)
    assert str(caught.value) == (
        "3 of 200 images (1.50%) cannot be read, at most 1.00% may be (--max-bad); first: number 7 cannot be decoded"
    )


@given(st.integers(1, 400), st.integers(0, 100))
def test_exactly_as_many_as_may_be_bad_are_allowed(count: int, percent: int) -> None:
    limit = count * percent // 100
    max_bad = parse_max_bad(f"{percent}%")
    if limit < count:
        readable = drop_unreadable([images([0] * count, bad=set(range(limit)))], max_bad=max_bad)
        assert len(readable.sets[0]) == count - limit
        with pytest.raises(DataError):
            drop_unreadable([images([0] * count, bad=set(range(limit + 1)))], max_bad=max_bad)


def test_no_bad_image_is_allowed_by_default_of_zero() -> None:
    assert drop_unreadable([images([0, 1])], max_bad=0).bad == ()
    with pytest.raises(DataError, match=r"1 of 2 images \(50\.00%\) cannot be read, at most 0\.00% may be"):
        drop_unreadable([images([0, 1], bad={0})], max_bad=0)


def test_a_class_that_loses_every_image_is_refused() -> None:
    with pytest.raises(DataError, match="class 7 must hold an image that can be read, got none; first: number 1 "):
        drop_unreadable([images([3, 7, 7, 3], bad={1, 2})], max_bad=1)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(DataError, match="a set of images must hold at least one image, got none"):
        drop_unreadable([images([0]), images([])], max_bad=1)


@pytest.mark.parametrize("max_bad", [-0.01, 1.01, float("nan")])
def test_a_share_beyond_its_range_is_refused(max_bad: float) -> None:
    with pytest.raises(OptionError, match="--max-bad must be from 0 to 1"):
        drop_unreadable([images([0])], max_bad=max_bad)


@pytest.mark.parametrize(
    ("text", "fraction"),
    [("1%", 0.01), ("1 %", 0.01), (" 0.5 % ", 0.005), ("0.01", 0.01), ("0", 0), ("1", 1), ("100%", 1), ("1e-3", 0.001)],
)
def test_a_share_is_a_fraction_or_a_percentage(text: str, fraction: float) -> None:
    assert parse_max_bad(text) == fraction


@pytest.mark.parametrize("text", ["", "%", "one", "2", "-1%", "101%", "nan", "nan%", "inf", "1%%", "1/2", "sNaN"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"--max-bad must be from 0% to 100%, or from 0 to 1, got "):
        parse_max_bad(text)


# ---- copies


def written(root: Path, name: str, image: Image.Image, **options: object) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    image.save(root / name, **options)


def test_copies_are_found_by_their_pixels_however_they_are_written(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x010E] = "another description"
    written(tmp_path, "a/0.png", picture)
    written(tmp_path, "a/1.png", picture, exif=exif, compress_level=0)
    written(tmp_path, "a/2.png", picture.rotate(90))
    written(tmp_path, "b/0.bmp", picture)  # in another class, too
    written(tmp_path, "b/1.png", picture.crop((0, 0, 4, 8)))
    written(tmp_path, "b/2.png", picture)
    (tmp_path / "b" / "2.png").write_bytes((tmp_path / "a" / "0.png").read_bytes() + b"\0")
    images = open_data(str(tmp_path)).evaluation(0)
    assert check_images([images]).copies == ({1: 0, 3: 0, 5: 0},)
    readable = drop_unreadable([images], max_bad=0)
    assert readable.distinct[0].names == ("a/0.png", "a/2.png", "b/1.png")
    assert readable.sets[0].names == images.names
    assert readable.copies == ((("a/1.png", "a/0.png"), ("b/0.bmp", "a/0.png"), ("b/2.png", "a/0.png")),)


def test_images_that_cannot_be_read_are_no_copies_of_each_other() -> None:
    readable = drop_unreadable([images([0, 0, 0, 0], bad={0, 2})], max_bad=1)
    assert readable.distinct[0].names == ("0/1", "0/3")
    assert readable.copies == ((),)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_one_image_of_each_picture_is_left(shades: list[int]) -> None:
    copied = ImageSet(
        labels=np.zeros(len(shades), np.int64),
        names=tuple(map(str, range(len(shades)))),
        read=lambda index: Image.new("RGB", (2, 2), (shades[index], 0, 0)),
    )
    found = drop_unreadable([copied], max_bad=0)
    kept = [shades[int(name)] for name in found.distinct[0].names]
    assert kept == list(dict.fromkeys(shades))  # the first of each, in their order
    assert all(shades[int(name)] == shades[int(first)] for name, first in found.copies[0])
