"""Every file that is not a whole, harmless image raises DataError, and never another exception."""

import io
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data import decode as images
from mbexport.models.data.decode import read_image

ORIENTATION, DESCRIPTION, X_RESOLUTION = 0x0112, 0x010E, 0x011A

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks on damaged metadata


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8))


def with_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION], exif[DESCRIPTION], exif[X_RESOLUTION] = 6, "a description", 72.0
    return exif


def reads_or_refuses(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        found = read_image(path)
    except DataError:
        return
    assert found.mode == "RGB"
    assert min(found.size) > 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is no image\n",
        encoded(noise(), "JPEG")[:-200],
        encoded(noise(), "PNG")[:-200],
        encoded(noise(), "JPEG")[:10],
        encoded(noise(), "GIF")[:40],
        b"\x89PNG\r\n\x1a\n",
        encoded(noise(), "PNG").replace(b"IDAT", b"ID\x00T"),
    ],
    ids=["empty", "text", "cut jpeg", "cut png", "jpeg header", "cut gif", "png signature", "png chunk"],
)
def test_a_file_that_is_no_whole_image_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(DataError):
            read_image(path)


# Pillow raises beyond twice its limit, and only warns from there down to the limit.
@pytest.mark.parametrize("side", [11, 14, 15, 100])
def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    Image.new("RGB", (side, side)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="too large to decode safely"):
        read_image(tmp_path / "x.png")


def test_an_image_at_the_limit_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (10, 10)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(tmp_path / "x.png").size == (10, 10)


def test_reading_in_two_threads_leaves_the_warning_filters_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Data is read by several threads at once, and the warning filters belong to the whole process: a reader that
    # restores them out of turn would silence the warnings of everyone for good. Order forced: 1 in, 2 in, 1 out, 2 out.
    path = tmp_path / "x.png"
    noise().save(path)
    first_in, second_in, first_out = (threading.Event() for _ in range(3))

    def to_colours(image: Image.Image) -> Image.Image:
        if threading.current_thread().name == "first":
            first_in.set()
            second_in.wait(2)
        else:
            second_in.set()
            first_out.wait(2)
        return image

    monkeypatch.setattr(images, "to_colours", to_colours)
    readers = [threading.Thread(target=read_image, args=[path], name=name) for name in ("first", "second")]
    with warnings.catch_warnings():
        before = list(warnings.filters)
        readers[0].start()
        first_in.wait(2)
        readers[1].start()
        readers[0].join()
        first_out.set()
        readers[1].join()
        assert warnings.filters == before


WHOLE = {
    "jpeg": encoded(noise(), "JPEG", exif=with_exif()),
    "progressive": encoded(noise(), "JPEG", progressive=True),
    "png": encoded(noise(), "PNG", exif=with_exif()),
    "palette": encoded(noise().quantize(16), "PNG", transparency=3),
    "gif": encoded(noise().quantize(16), "GIF"),
    "bmp": encoded(noise(), "BMP"),
    "webp": encoded(noise(), "WEBP", exif=with_exif()),
    "tiff": encoded(noise(), "TIFF", exif=with_exif(), compression="tiff_lzw"),
    "avif": encoded(noise(), "AVIF", exif=with_exif()),
    "jpeg 2000": encoded(noise(), "JPEG2000"),
    "ppm": encoded(noise(), "PPM"),
    "qoi": encoded(noise(), "QOI"),
}
# Headers and metadata come first, and break in more ways than pixels do.
PLACES = st.integers(0, 120) | st.integers(0, 2**16)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "x.jpg"


# Fields of a type that nobody expects there; the EXIF is big-endian, the TIFF little-endian.
@pytest.mark.parametrize(
    ("kind", "found", "instead"),
    [
        ("JPEG", b"\x01\x1a\x00\x05", b"\x01\x1a\x00\x01"),  # a resolution in bytes
        ("JPEG", b"\x01\x1a\x00\x05", b"\x01\x0d\x00\x05"),  # a document name that is a number
        ("WEBP", b"\x01\x1a\x00\x05", b"\x01\x1a\x00\x02"),  # a resolution in letters
        ("JPEG", b"MM\x00*", b"MM\x00?"),
        ("TIFF", b"\x11\x01\x04\x00", b"\x11\x01\x05\x00"),  # strips at fractional places
    ],
)
def test_odd_metadata_is_read_or_refused(tmp_path: Path, kind: str, found: bytes, instead: bytes) -> None:
    whole = encoded(noise(), kind, exif=with_exif())
    assert found in whole
    reads_or_refuses(tmp_path / "x.jpg", whole.replace(found, instead, 1))


@given(content=st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(scratch: Path, content: bytes) -> None:
    reads_or_refuses(scratch, content)


@given(kind=st.sampled_from(sorted(WHOLE)), changes=st.dictionaries(PLACES, st.integers(0, 255), min_size=1))
def test_an_image_with_changed_bytes_is_read_or_refused(scratch: Path, kind: str, changes: dict[int, int]) -> None:
    content = bytearray(WHOLE[kind])
    for place, byte in changes.items():
        content[place % len(content)] = byte
    reads_or_refuses(scratch, bytes(content))


@given(kind=st.sampled_from(sorted(WHOLE)), start=st.integers(0, 2**16), length=st.integers(1, 2**16))
def test_an_image_with_a_piece_cut_out_is_read_or_refused(scratch: Path, kind: str, start: int, length: int) -> None:
    whole = WHOLE[kind]
    start %= len(whole)
    reads_or_refuses(scratch, whole[:start] + whole[start + length :])
