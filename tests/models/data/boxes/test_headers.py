"""Sizes and orientations from the header alone, and boxes that fit the image as it is read."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from boxes_by_hand import ORIENTATION, Photo, coco_json, image, text, voc_xml, yolo_lines
from PIL import Image, ImageFile

from mbexport.errors import DataError
from mbexport.models.data.boxes.headers import Header, read_header, turned_as_shown
from mbexport.models.data.boxes.open import open_boxed
from mbexport.models.data.decode import read_image

STORED = (40, 20)
BOX = (4, 2, 16, 12)  # left, top, right, bottom, in the pixels of the file


def painted(path: Path, orientation: int, size: tuple[int, int] = STORED) -> Path:
    """A dark photo with a bright box, stored as it lies."""
    picture = Image.new("RGB", size, (20, 20, 20))
    picture.paste((250, 250, 250), BOX)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, exif=exif)
    return path


def found_in(picture: Image.Image) -> list[float]:
    """The corners of the bright box, as fractions."""
    is_bright = np.asarray(picture.convert("L")) > 128
    rows, columns = np.flatnonzero(is_bright.any(axis=1)), np.flatnonzero(is_bright.any(axis=0))
    height, width = is_bright.shape
    ends = rows[0] / height, columns[0] / width, (rows[-1] + 1) / height, (columns[-1] + 1) / width
    return list(map(float, ends))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".webp"])
def test_the_header_says_what_decoding_gives(tmp_path: Path, orientation: int, ending: str) -> None:
    path = painted(tmp_path / f"a{ending}", orientation)
    header = read_header(path)
    assert header.stored == STORED
    assert header.shown == read_image(path).size


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_of_the_stored_pixels_are_turned_with_them(tmp_path: Path, orientation: int) -> None:
    """The stated size is that of the pixels in the file, whose sides are exchanged when it is read."""
    photo = Photo(name="a", boxes=[("x", *BOX)], size=STORED)
    painted(tmp_path / "voc" / "a.png", orientation)
    painted(tmp_path / "coco" / "a.png", orientation)
    text(tmp_path / "voc" / "a.xml", voc_xml(photo))
    text(tmp_path / "coco" / "instances.json", coco_json([photo]))
    for name in ("voc", "coco"):
        found = open_boxed(tmp_path / name).evaluation(0)
        picture = found.images.read(0)
        assert picture.size == (20, 40)
        assert np.allclose(found.boxes[0].corners, [found_in(picture)], atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_of_the_image_as_it_is_shown_stay(tmp_path: Path, orientation: int) -> None:
    """What YOLO's tools show is turned; of VOC and COCO the stated size is that of what is shown, or tells nothing."""
    for name in ("voc", "coco", "yolo"):
        path = painted(tmp_path / name / "a.png", orientation)
    picture = read_image(path)
    top, left, bottom, right = found_in(picture)
    width, height = picture.size
    box = ("x", left * width, top * height, right * width, bottom * height)
    photo = Photo(name="a", boxes=[box], size=picture.size)
    text(tmp_path / "voc" / "a.xml", voc_xml(photo))
    text(tmp_path / "coco" / "instances.json", coco_json([photo]))
    text(tmp_path / "yolo" / "a.txt", yolo_lines(photo, ["x"]))
    text(tmp_path / "yolo" / "classes.txt", "x")
    for name in ("voc", "coco", "yolo"):
        found = open_boxed(tmp_path / name).evaluation(0)
        assert np.allclose(found.boxes[0].corners, [found_in(found.images.read(0))], atol=1e-6), name


def test_turns_by_hand() -> None:
    corners = np.array([[0.1, 0.2, 0.3, 0.6]])
    turned = {
        orientation: turned_as_shown(corners, STORED, Header(width=40, height=20, orientation=orientation))
        for orientation in (1, 5, 6, 7, 8)
    }
    by_hand = {
        1: [0.1, 0.2, 0.3, 0.6],
        5: [0.2, 0.1, 0.6, 0.3],
        6: [0.2, 0.7, 0.6, 0.9],
        7: [0.4, 0.7, 0.8, 0.9],
        8: [0.4, 0.1, 0.8, 0.3],
    }
    for orientation, expected in by_hand.items():
        assert np.allclose(turned[orientation], [expected]), orientation


def test_a_square_tells_nothing_and_stays() -> None:
    corners = np.array([[0.1, 0.2, 0.3, 0.6]])
    square = Header(width=30, height=30, orientation=6)
    assert turned_as_shown(corners, (30, 30), square) is corners
    assert turned_as_shown(corners, None, Header(width=40, height=20, orientation=6)) is corners
    assert turned_as_shown(corners, (30, 20), Header(width=40, height=20, orientation=6)) is None
    assert turned_as_shown(corners, (20, 40), Header(width=40, height=20)) is None


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_no_pixel_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [painted(tmp_path / f"a{ending}", 6) for ending in (".png", ".jpg", ".tif", ".webp")]
    plain = image(tmp_path / "plain.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    assert [read_header(path).orientation for path in paths] == [6, 6, 6, 6]
    assert read_header(plain).orientation == 1


@pytest.mark.parametrize("kind", [b"eXIf", b"tEXt"])
def test_a_png_that_says_its_orientation_behind_its_pixels(tmp_path: Path, kind: bytes) -> None:
    path = image(tmp_path / "a.png", STORED)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = exif.tobytes().removeprefix(b"Exif\0\0")
    if kind == b"tEXt":
        content = b"Raw profile type exif\0\nexif\n%d\n" % len(content) + content.hex().encode()
    whole = path.read_bytes()
    end = whole.rindex(b"IEND") - 4
    path.write_bytes(whole[:end] + chunk(b"tEXt", b"Comment\0hi") + chunk(kind, content) + whole[end:])
    assert read_image(path).size == (20, 40)
    assert read_header(path).shown == (20, 40)


def test_what_is_no_image_has_no_header(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png is not an image that can be read"):
        read_header(text(tmp_path / "a.png", "no image"))
    with pytest.raises(DataError, match=r"b\.png cannot be read"):
        read_header(tmp_path / "b.png")
    cut = image(tmp_path / "cut.png")
    cut.write_bytes(cut.read_bytes()[:60])
    assert read_header(cut).stored == (40, 20)  # its pixels are missed when they are read
