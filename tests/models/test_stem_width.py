"""The width of a padded stem: a whole number of tiles, never more than twice what the network has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.stem_width import padded_width


@pytest.mark.parametrize(
    ("channels", "width"), [(8, 16), (24, 32), (16, 16), (32, 32), (40, 48), (9, 16), (7, 7), (3, 3), (0, 0)]
)
def test_widths_by_hand(channels: int, width: int) -> None:
    assert padded_width(channels) == width


@given(channels=st.integers(1, 5000))
def test_a_width_fills_its_tiles_and_is_not_padded_again(channels: int) -> None:
    width = padded_width(channels)
    assert channels <= width <= 2 * channels
    assert width == channels or (width % 16 == 0 and width - channels < 16)
    assert padded_width(width) == width
