"""Every common kind of image file becomes upright RGB; every other file becomes one DataError."""

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
from mbexport.models import images
from mbexport.models.images import read_image

A, B, C, D = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
WHITE, ORIENTATION = (255, 255, 255), 0x0112


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(side: int = 24) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8))


def read_saved(image: Image.Image, path: Path, **options: object) -> Image.Image:
    image.save(path, **options)
    found = read_image(path)
    assert found.mode == "RGB"
    return found


def test_rgb_comes_back_as_it_was(tmp_path: Path) -> None:
    image = noise()
    assert read_saved(image, tmp_path / "x.png").tobytes() == image.tobytes()


@pytest.mark.parametrize("suffix", sorted(images.IMAGE_SUFFIXES))
def test_every_listed_suffix_can_be_read(tmp_path: Path, suffix: str) -> None:
    found = read_saved(Image.new("RGB", (16, 16), (200, 100, 50)), tmp_path / f"x{suffix}")
    assert found.getpixel((8, 8)) == pytest.approx((200, 100, 50), abs=8)  # some of them lose a little


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(encoded(Image.new("RGB", (4, 4), B), "PNG"))
    assert read_image(tmp_path / "x.jpg").getpixel((0, 0)) == B


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    assert read_saved(Image.new("L", (4, 4), 77), tmp_path / "x.png").getpixel((0, 0)) == (77, 77, 77)


def test_black_and_white_uses_the_full_range(tmp_path: Path) -> None:
    assert read_saved(Image.new("1", (4, 4), 1), tmp_path / "x.png").getpixel((0, 0)) == WHITE


def test_cmyk_is_converted(tmp_path: Path) -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert read_saved(red, tmp_path / "x.jpg").getpixel((8, 8)) == pytest.approx(A, abs=8)


def test_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 12, 34, 56])
    assert read_saved(image, tmp_path / "x.png").getpixel((0, 0)) == (12, 34, 56)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("value", "byte"), [(0xABCD, 0xAB), (0x00FF, 0), (0xFFFF, 255), (0x0100, 1)])
def test_16_bit_grey_keeps_its_high_byte(tmp_path: Path, suffix: str, value: int, byte: int) -> None:
    image = Image.fromarray(np.full((4, 4), value, np.uint16))
    assert read_saved(image, tmp_path / f"x{suffix}").getpixel((0, 0)) == (byte, byte, byte)


def test_32_bit_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match="32-bit pixels"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize(
    ("mode", "pixel", "over_white"),
    [
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),  # a fifth of black
        ("LA", (0, 0), WHITE),
        ("LA", (100, 255), (100, 100, 100)),
    ],
)
def test_transparency_is_laid_over_white(
    tmp_path: Path, mode: str, pixel: tuple[int, ...], over_white: tuple[int, int, int]
) -> None:
    assert read_saved(Image.new(mode, (4, 4), pixel), tmp_path / "x.png").getpixel((0, 0)) == over_white


def test_a_transparent_palette_entry_is_laid_over_white(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 12, 34, 56])
    image.putpixel((0, 0), 0)
    found = read_saved(image, tmp_path / "x.png", transparency=1)
    assert (found.getpixel((0, 0)), found.getpixel((1, 1))) == ((0, 0, 0), WHITE)


def test_a_transparent_grey_is_laid_over_white(tmp_path: Path) -> None:
    assert read_saved(Image.new("L", (4, 4), 9), tmp_path / "x.png", transparency=9).getpixel((0, 0)) == WHITE


def test_a_transparent_colour_is_laid_over_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), A)
    image.putpixel((0, 0), C)
    found = read_saved(image, tmp_path / "x.png", transparency=A)
    assert (found.getpixel((0, 0)), found.getpixel((1, 1))) == (C, WHITE)


# EXIF 2.32, tag 0x0112: where the stored first row and column belong. Stored here: A B over C D.
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, (A, B, C, D)),
        (2, (B, A, D, C)),
        (3, (D, C, B, A)),
        (4, (C, D, A, B)),
        (5, (A, C, B, D)),
        (6, (C, A, D, B)),
        (7, (D, B, C, A)),
        (8, (B, D, A, C)),
    ],
)
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int, upright: tuple[object, ...]) -> None:
    stored = Image.new("RGB", (2, 2))
    stored.putdata([A, B, C, D])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    found = read_saved(stored, tmp_path / "x.png", exif=exif)
    assert tuple(found.getpixel((i % 2, i // 2)) for i in range(4)) == upright


def test_a_photo_held_sideways_stands_upright(tmp_path: Path) -> None:
    photo = Image.new("RGB", (64, 32), C)
    photo.paste(A, (0, 0, 16, 32))  # the left of the sensor is the top of the picture
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    found = read_saved(photo, tmp_path / "x.jpg", exif=exif)
    assert found.size == (32, 64)
    assert found.getpixel((16, 4)) == pytest.approx(A, abs=8)
    assert found.getpixel((16, 60)) == pytest.approx(C, abs=8)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (A, B, C)]
    found = read_saved(frames[0], tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert found.getpixel((0, 0)) == A


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
    ],
    ids=["empty", "text", "truncated jpeg", "truncated png", "jpeg header", "truncated gif", "png signature"],
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

    def to_rgb(image: Image.Image) -> Image.Image:
        if threading.current_thread().name == "first":
            first_in.set()
            second_in.wait(2)
        else:
            second_in.set()
            first_out.wait(2)
        return image

    monkeypatch.setattr(images, "to_rgb", to_rgb)
    readers = [
        threading.Thread(target=read_image, args=[tmp_path / "x.png"], name=name) for name in ("first", "second")
    ]
    with warnings.catch_warnings():
        before = list(warnings.filters)
        readers[0].start()
        first_in.wait(2)
        readers[1].start()
        readers[0].join()
        first_out.set()
        readers[1].join()
        assert warnings.filters == before


def with_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010E] = "a description"
    return exif


WHOLE = {
    "jpeg": encoded(noise(), "JPEG", exif=with_exif()),
    "progressive": encoded(noise(), "JPEG", progressive=True),
    "png": encoded(noise(), "PNG", exif=with_exif()),
    "palette": encoded(noise().quantize(16), "PNG", transparency=3),
    "gif": encoded(noise().quantize(16), "GIF"),
    "bmp": encoded(noise(), "BMP"),
    "webp": encoded(noise(), "WEBP", exif=with_exif()),
}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "x.jpg"


def reads_or_refuses(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        found = read_image(path)
    except DataError:
        return
    assert found.mode == "RGB"
    assert min(found.size) > 0


@pytest.mark.filterwarnings("ignore")  # Pillow's remarks on damaged metadata
@given(content=st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(scratch: Path, content: bytes) -> None:
    reads_or_refuses(scratch, content)


@pytest.mark.filterwarnings("ignore")  # Pillow's remarks on damaged metadata
@given(kind=st.sampled_from(sorted(WHOLE)), changes=st.dictionaries(st.integers(0, 2**16), st.integers(0, 255)))
def test_an_image_with_changed_bytes_is_read_or_refused(scratch: Path, kind: str, changes: dict[int, int]) -> None:
    content = bytearray(WHOLE[kind])
    for place, byte in changes.items():
        content[place % len(content)] = byte
    reads_or_refuses(scratch, bytes(content))


@pytest.mark.filterwarnings("ignore")  # Pillow's remarks on damaged metadata
@given(kind=st.sampled_from(sorted(WHOLE)), start=st.integers(0, 2**16), length=st.integers(1, 2**16))
def test_an_image_with_a_piece_cut_out_is_read_or_refused(scratch: Path, kind: str, start: int, length: int) -> None:
    whole = WHOLE[kind]
    start %= len(whole)
    reads_or_refuses(scratch, whole[:start] + whole[start + length :])
