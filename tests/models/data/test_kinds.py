"""Images are told from other files by their first bytes where their ending does not tell."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.decode import read_image
from mbexport.models.data.kinds import DECODERS, IMAGE_SUFFIXES, Kind, kind_by_ending, kind_of, look_at

PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8))
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
HEIC_BY_ITS_SECOND_BRAND = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(40)


def encoded(kind: Kind) -> bytes:
    content = io.BytesIO()
    PICTURE.save(content, DECODERS[kind])
    return content.getvalue()


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_every_kind_that_is_decoded_is_known_by_its_bytes_and_read_under_any_name(tmp_path: Path, kind: Kind) -> None:
    content = encoded(kind)
    assert kind_of(content[:64]) is kind
    for name in ("x", "x.txt", "x.jpg_large", "x.heic", "x.JPG "):
        (tmp_path / name).write_bytes(content)
        assert look_at(str(tmp_path / name)).kind is kind
        assert read_image(tmp_path / name).size == (16, 16)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (HEIC, Kind.HEIC),
        (HEIC_BY_ITS_SECOND_BRAND, Kind.HEIC),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", Kind.AVIF),
        (b"\xff\x0a\xfa\x1f", Kind.JPEG_XL),
        (b"8BPS\0\x01", Kind.PSD),
        (b"P6\n# a comment\n16 16\n255\n", Kind.PPM),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", None),  # a film
        (b"BMW is a car, and this is a text of more than 32 letters", None),
        (b"P3 was the best of them", None),
        (b"P5\n", None),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", None),  # Thumbs.db
        (b"", None),
    ],
)
def test_first_bytes_by_hand(head: bytes, kind: Kind | None) -> None:
    assert kind_of(head) is kind


@given(st.binary(max_size=64))
def test_any_bytes_have_a_kind_or_none(head: bytes) -> None:
    assert kind_of(head) is None or kind_of(head) in Kind


@pytest.mark.parametrize("name", ["x.jfif", "x.JPE", "x.Jpg", "x.JPEG", "x.avif", "x.tif", "x.webp", "x.apng"])
def test_usual_endings_are_images_without_a_look(name: str) -> None:
    assert kind_by_ending(name) in DECODERS
    assert kind_by_ending(f"{name}~") is None


def test_what_is_decoded_has_an_ending_and_what_is_not_is_no_image_by_its_ending() -> None:
    assert {kind_by_ending(f"x{ending}") for ending in IMAGE_SUFFIXES} == set(DECODERS)
    assert not IMAGE_SUFFIXES & {".heic", ".cr2", ".psd", ".svg", ".txt"}


def test_raw_file_that_is_built_as_a_tiff_is_no_image(tmp_path: Path) -> None:
    for name, kind in (("x.CR2", Kind.RAW), ("x.dng", Kind.RAW), ("x.unknown", Kind.TIFF)):
        (tmp_path / name).write_bytes(encoded(Kind.TIFF))
        assert look_at(str(tmp_path / name)).kind is kind


@pytest.mark.timeout(20)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing", "."):
        found = look_at(str(tmp_path / name))
        assert found.kind is None
        assert found.problem
    with pytest.raises(DataError, match="must be a regular file"):
        read_image(tmp_path / "pipe")


def test_photo_that_is_not_decoded_is_named_by_its_kind(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(HEIC)
    with pytest.raises(DataError, match=r"x\.jpg is HEIC, which is not read here: convert it to JPEG or PNG"):
        read_image(tmp_path / "x.jpg")


def test_several_pictures_in_one_file_give_the_first(tmp_path: Path) -> None:
    second = Image.new("RGB", (16, 16), (255, 0, 0))
    PICTURE.save(tmp_path / "x.mpo", save_all=True, append_images=[second])
    expected = io.BytesIO()
    PICTURE.save(expected, "JPEG")
    assert read_image(tmp_path / "x.mpo").tobytes() == Image.open(expected).convert("RGB").tobytes()


def test_file_of_more_bytes_than_any_picture_has_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x.webp").open("wb") as file:
        file.truncate(1 << 40)  # takes no space
    with pytest.raises(DataError, match="too large to decode safely: 1099511627776 bytes"):
        read_image(tmp_path / "x.webp")
