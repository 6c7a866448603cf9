"""Every common kind of image file becomes upright RGB, or RGBA, which networks without alpha see over white."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mbexport.errors import DataError
from mbexport.models import transparency
from mbexport.models.data import decode
from mbexport.models.data.decode import read_image
from mbexport.models.data.kinds import DECODERS, IMAGE_SUFFIXES, kind_by_ending

A, B, C, D = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
WHITE, ORIENTATION = (255, 255, 255), 0x0112


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8))


def read_saved(image: Image.Image, path: Path, **options: object) -> Image.Image:
    image.save(path, **options)
    found = read_image(path)
    assert found.mode in ("RGB", "RGBA")
    return found


def test_rgb_comes_back_as_it_was(tmp_path: Path) -> None:
    image = noise()
    assert read_saved(image, tmp_path / "x.png").tobytes() == image.tobytes()


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_listed_suffix_can_be_read(tmp_path: Path, suffix: str) -> None:
    kind = kind_by_ending(f"x{suffix}")
    picture = encoded(Image.new("RGB", (16, 16), (200, 100, 50)), DECODERS[kind])
    (tmp_path / f"x{suffix}").write_bytes(picture)
    found = read_image(tmp_path / f"x{suffix}")
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
    found = read_saved(Image.new(mode, (4, 4), pixel), tmp_path / "x.png")
    assert transparency.over_white(found).getpixel((0, 0)) == over_white


def test_a_transparent_palette_entry_is_laid_over_white(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 12, 34, 56])
    image.putpixel((0, 0), 0)
    found = transparency.over_white(read_saved(image, tmp_path / "x.png", transparency=1))
    assert (found.getpixel((0, 0)), found.getpixel((1, 1))) == ((0, 0, 0), WHITE)


def test_a_transparent_grey_is_laid_over_white(tmp_path: Path) -> None:
    found = read_saved(Image.new("L", (4, 4), 9), tmp_path / "x.png", transparency=9)
    assert transparency.over_white(found).getpixel((0, 0)) == WHITE


def test_a_transparent_colour_is_laid_over_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), A)
    image.putpixel((0, 0), C)
    found = transparency.over_white(read_saved(image, tmp_path / "x.png", transparency=A))
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


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "P with transparency", "1", "CMYK", "I;16"])
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_large_image_is_read_in_bands_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, orientation: int
) -> None:
    rng = np.random.default_rng(5)
    options = {"transparency": 3} if "transparency" in mode else {}
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (24, 20), dtype=np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 256, (24, 20, 4), dtype=np.uint8)).convert(
            "RGB" if mode[0] == "P" else mode
        )
        image = image.quantize(16) if mode[0] == "P" else image
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    whole = read_saved(image, path, exif=exif, **options)
    monkeypatch.setattr(decode, "_LARGE_PX", 100)
    monkeypatch.setattr(decode, "_BAND_PX", 70)
    assert read_image(path).tobytes() == whole.tobytes()


def test_damage_in_a_large_image_is_told_as_in_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise().save(tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes()[:-300])
    monkeypatch.setattr(decode, "_LARGE_PX", 100)
    with pytest.raises(DataError, match=r"x\.png cannot be decoded"):
        read_image(tmp_path / "x.png")
