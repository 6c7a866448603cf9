"""Which networks are legal, how wide they are and what they are called."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.models.mobilenet_v1.spec import BLOCKS, REPEATED_BLOCK, Convolution, ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.models.spec import resolution_from_rho

LEGAL_RESOLUTIONS = range(32, 1025, 32)


@pytest.mark.parametrize("alpha", [0, -1, 1.5, math.nan, math.inf, -math.inf, -0.0])
def test_alpha_outside_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(OptionError, match=r"alpha must be in \(0, 1\]"):
        ModelSpec(alpha=alpha)


def test_alpha_message_says_what_got_and_legal() -> None:
    with pytest.raises(OptionError) as caught:
        ModelSpec(alpha=1.5)
    assert str(caught.value) == "alpha must be in (0, 1], got 1.5"


@given(st.floats())
@example(math.nextafter(1, 2))
@example(1.0)
@example(5e-324)
def test_alpha_is_legal_exactly_above_zero_up_to_one(alpha: float) -> None:
    if alpha > 0 and not alpha > 1:
        assert ModelSpec(alpha=alpha).alpha == alpha
    else:
        with pytest.raises(OptionError):
            ModelSpec(alpha=alpha)


@pytest.mark.parametrize("px", LEGAL_RESOLUTIONS)
def test_multiples_of_32_are_legal(px: int) -> None:
    assert ModelSpec(resolution=Resolution.square(px)).resolution.sides_px == (px, px)


@given(st.integers(min_value=1).filter(lambda px: px not in LEGAL_RESOLUTIONS), st.sampled_from(LEGAL_RESOLUTIONS))
@example(31, 32)
@example(100, 32)
@example(1056, 32)
def test_other_resolutions_are_refused(px: int, legal: int) -> None:
    match = "resolution must be a multiple of 32 from 32 to 1024, got"
    with pytest.raises(OptionError, match=f"{match} {px}$"):
        ModelSpec(resolution=Resolution.square(px))
    with pytest.raises(OptionError, match=f"{match} {px}x{legal}$"):
        ModelSpec(resolution=Resolution(height_px=px, width_px=legal))
    with pytest.raises(OptionError, match=f"{match} {legal}x{px}$"):
        ModelSpec(resolution=Resolution(height_px=legal, width_px=px))


@given(st.sampled_from(LEGAL_RESOLUTIONS), st.sampled_from(LEGAL_RESOLUTIONS))
def test_each_side_may_be_any_legal_one(height: int, width: int) -> None:
    spec = ModelSpec(alpha=0.5, resolution=Resolution(height_px=height, width_px=width))
    size = f"{height}" if height == width else f"{height}x{width}"
    assert spec.stem_name == f"mobilenet_v1_0.5_{size}"
    assert spec.rho == (height / 224 if height == width else None)


@pytest.mark.parametrize("classes", [1, 0, -5])
def test_fewer_than_two_classes_are_refused(classes: int) -> None:
    with pytest.raises(OptionError, match=f"classes must be at least 2, got {classes}"):
        ModelSpec(classes=classes)


@pytest.mark.parametrize("conv", ["dense", "STANDARD", "", None])
def test_an_unknown_convolution_is_refused(conv: object) -> None:
    with pytest.raises(OptionError) as caught:
        ModelSpec(conv=conv)  # type: ignore[arg-type]
    assert str(caught.value) == f"conv must be one of separable, standard, got {conv}"


def test_a_spec_cannot_be_changed_into_an_illegal_one() -> None:
    spec = ModelSpec()
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.alpha = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(("rho", "px"), [("1", 224), (".857", 192), (".714", 160), (".571", 128), ("0.143", 32)])
def test_rho_of_the_paper_gives_its_resolution(rho: str, px: int) -> None:
    assert resolution_from_rho(float(rho)) == px


# 0.5 is 112 px, no multiple of 32; 0 would round to 0 px; 4.72 is 1057 px, beyond the largest.
@pytest.mark.parametrize("rho", [0.5, 0.0, -1.0, 0.07, 4.72, math.nan, math.inf, -math.inf])
def test_rho_that_gives_no_legal_resolution_is_refused(rho: float) -> None:
    with pytest.raises(OptionError, match=r"rho must give a multiple of 32 px .*, got "):
        resolution_from_rho(rho)


@pytest.mark.parametrize("px", LEGAL_RESOLUTIONS)
def test_rho_rounded_to_three_decimals_leads_back(px: int) -> None:
    assert resolution_from_rho(round(ModelSpec(resolution=Resolution.square(px)).rho, 3)) == px


@given(st.floats(min_value=0, max_value=10))
def test_rho_gives_a_legal_resolution_within_a_pixel_or_none(rho: float) -> None:
    try:
        px = resolution_from_rho(rho)
    except OptionError:
        assert min(abs(rho * 224 - legal) for legal in LEGAL_RESOLUTIONS) > 1
    else:
        assert px in LEGAL_RESOLUTIONS
        assert abs(rho * 224 - px) <= 1


# Rounding to a multiple of 8, as later MobileNets do, would give 16, 24, 48, 88, 184 and 360.
@pytest.mark.parametrize(("filters", "channels"), [(32, 11), (64, 22), (128, 44), (256, 89), (512, 179), (1024, 358)])
def test_channels_are_cut_not_rounded(filters: int, channels: int) -> None:
    assert ModelSpec(alpha=0.35).channels(filters) == channels


def test_a_layer_keeps_at_least_one_channel() -> None:
    assert ModelSpec(alpha=0.001).channels(32) == 1


@given(st.floats(min_value=0, max_value=1, exclude_min=True), st.sampled_from([32, *(b.filters for b in BLOCKS)]))
def test_channels_never_vanish_nor_exceed_the_full_width(alpha: float, filters: int) -> None:
    assert 1 <= ModelSpec(alpha=alpha).channels(filters) <= filters


def test_the_blocks_halve_the_map_four_times_and_end_at_1024_filters() -> None:
    assert len(BLOCKS) == 13
    assert math.prod(block.stride for block in BLOCKS) == 16
    assert BLOCKS[-1].filters == 1024


def test_a_shallow_network_has_the_table_without_its_five_repeated_rows() -> None:
    # arXiv 1704.04861, table 1, by hand: what stands before and behind "5x", 14 x 14 x 512.
    filters = [64, 128, 128, 256, 256, 512, 1024, 1024]
    strides = [1, 2, 1, 2, 1, 2, 2, 1]
    blocks = ModelSpec(shallow=True).blocks
    assert [(block.filters, block.stride) for block in blocks] == list(zip(filters, strides, strict=True))
    assert BLOCKS.count(REPEATED_BLOCK) == 5


@pytest.mark.parametrize("conv", Convolution)
def test_blocks_do_not_depend_on_what_they_are_made_of(conv: Convolution) -> None:
    assert ModelSpec(conv=conv).blocks == BLOCKS
    assert ModelSpec(conv=conv, shallow=True).blocks == ModelSpec(shallow=True).blocks


@pytest.mark.parametrize(
    ("alpha", "px", "name"),
    [
        (0.75, 224, "mobilenet_v1_0.75_224"),
        (1, 192, "mobilenet_v1_1.0_192"),
        (0.5, 128, "mobilenet_v1_0.5_128"),
        (0.35, 96, "mobilenet_v1_0.35_96"),
    ],
)
def test_stem_name(alpha: float, px: int, name: str) -> None:
    assert ModelSpec(alpha=alpha, resolution=Resolution.square(px)).stem_name == name


@pytest.mark.parametrize(
    ("conv", "shallow", "name"),
    [
        (Convolution.STANDARD, False, "mobilenet_v1_standard_1.0_224"),
        (Convolution.SEPARABLE, True, "mobilenet_v1_shallow_1.0_224"),
        (Convolution.STANDARD, True, "mobilenet_v1_standard_shallow_1.0_224"),
    ],
)
def test_stem_name_of_the_papers_other_networks(conv: Convolution, shallow: bool, name: str) -> None:
    assert ModelSpec(conv=conv, shallow=shallow).stem_name == name


@given(st.floats(min_value=0, max_value=1, exclude_min=True), st.sampled_from(LEGAL_RESOLUTIONS))
def test_no_two_networks_share_a_name(alpha: float, px: int) -> None:
    names = {
        ModelSpec(alpha=width, resolution=Resolution.square(side), conv=conv, shallow=shallow).stem_name
        for width, side in {(alpha, px), (1.0, px), (alpha, 224)}
        for conv, shallow in itertools.product(Convolution, (False, True))
    }
    assert len(names) == 4 * len({(alpha, px), (1.0, px), (alpha, 224)})
