import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.models.channels import CHANNELS, MAX_CHANNELS, colour_of
from mbexport.models.resolution import Resolution

SIDES = st.integers(1, 10**6)


def test_height_comes_first() -> None:
    found = Resolution.parse("96x128")
    assert found == Resolution(height_px=96, width_px=128)
    assert (found.sides_px, found.pixels, found.is_square) == ((96, 128), 12_288, False)
    assert (str(found), found.json, found.extent) == ("96x128", "96x128", "96 x 128")
    assert found.strided(2) == Resolution(height_px=48, width_px=64)
    assert found.strided(10) == Resolution(height_px=10, width_px=13)  # 9.6 and 12.8


@pytest.mark.parametrize("text", [96, "96", "096", "96x96"])
def test_a_square_has_the_short_form(text: int | str) -> None:
    found = Resolution.parse(text)
    assert found == Resolution.square(96)
    assert (str(found), found.json, found.mean_side_px, found.is_square) == ("96", 96, 96.0, True)


def test_the_side_of_as_many_pixels() -> None:
    assert Resolution(height_px=64, width_px=256).mean_side_px == 128.0


@given(SIDES, SIDES)
def test_both_spellings_lead_back(height: int, width: int) -> None:
    resolution = Resolution(height_px=height, width_px=width)
    assert Resolution.parse(str(resolution)) == Resolution.parse(resolution.json) == resolution
    assert isinstance(resolution.json, int) == (height == width)


@pytest.mark.parametrize(
    "text", ["", "x", "96x", "x96", "96x96x3", "96 x 128", "96X128", "-96", "+96", "96.0", "٩٦", "1e3", True, "1" * 30]
)
def test_other_texts_are_refused(text: int | str) -> None:
    with pytest.raises(OptionError, match="resolution must be PX or HEIGHTxWIDTH, for example 96 or 96x128, got "):
        Resolution.parse(text)


@pytest.mark.parametrize("text", ["0", 0, "0x96", "96x0"])
def test_an_image_has_at_least_one_pixel(text: int | str) -> None:
    with pytest.raises(OptionError, match="resolution must be at least 1 pixel a side, got "):
        Resolution.parse(text)


def test_the_number_of_channels_says_what_they_are() -> None:
    assert [colour_of(count, is_bgr=False) for count in CHANNELS] == ["GREY", "GREY_ALPHA", "RGB", "RGBA"]
    assert [colour_of(count, is_bgr=True) for count in CHANNELS] == ["GREY", "GREY_ALPHA", "BGR", "RGBA"]
    assert (list(CHANNELS), MAX_CHANNELS) == ([1, 2, 3, 4], 4)
    assert all(len(kind.mode) == count for count, kind in CHANNELS.items())  # "L", "LA", "RGB", "RGBA"
