"""A detector's description from the shapes of its convolutions, and its anchors from its name: by hand and back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError, OptionError
from mbexport.models.mobilenet_v1.spec import BLOCKS
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.anchor_choice import TABLES
from mbexport.models.ssd.recognition import ConvolutionShape, alpha_of, spec_of_shapes
from mbexport.models.ssd.spec import ANCHORS_PER_PLACE, FEATURE_STRIDES, SsdSpec
from mbexport.models.ssd.stored_name import stored_name, table_of_name

# alpha 0.25: a quarter of 32 and of the filters of table 1.
QUARTER = [8, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256]
SPEC = SsdSpec(alpha=0.25, resolution=Resolution.square(96), classes=3)


def trunk_of(spec: SsdSpec) -> list[ConvolutionShape]:
    """The convolutions from the image to the coarsest map, as the network has them."""
    found = [ConvolutionShape(channels=spec.channels(32), stride=2)]
    for number, block in enumerate(spec.blocks):
        found.append(
            ConvolutionShape(
                channels=spec.channels(([32] + [each.filters for each in BLOCKS])[number]), stride=block.stride
            )
        )
        found.append(ConvolutionShape(channels=spec.channels(block.filters), stride=1))
    for stage in spec.extras:
        found += [
            ConvolutionShape(channels=stage.reduced, stride=1),
            ConvolutionShape(channels=stage.channels, stride=2),
        ]
    return found


def heads_of(spec: SsdSpec) -> list[tuple[int, int]]:
    return [(4 * each, spec.classes * each) for each in ANCHORS_PER_PLACE]


def test_a_quarter_by_hand() -> None:
    assert alpha_of(QUARTER) == 0.25
    assert [spec_channels.channels for spec_channels in trunk_of(SPEC)][:5] == [8, 8, 16, 16, 32]


@pytest.mark.parametrize(
    ("channels", "alpha"),
    [
        ([32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024], 1.0),
        ([1, 1, 1, 1, 2, 2, *[5] * 6, 10, 10], 0.01),  # int(0.01 * 32) would be no channel: there is always one
        ([10, 21, 42, 42, 85, 85, *[170] * 6, 340, 340], 0.333),  # of 0.33 the last would be 337
    ],
)
def test_other_widths_by_hand(channels: list[int], alpha: float) -> None:
    assert alpha_of(channels) == alpha


def test_channels_of_no_width_are_refused() -> None:
    with pytest.raises(DataError, match=r"must have the channels 32, 64, .* times one width, got 8, 17, 32"):
        alpha_of([8, 17, *QUARTER[2:]])


@given(st.integers(1, 1000))
def test_every_width_in_thousandths_is_found_or_a_rounder_one_with_the_same_channels(thousandths: int) -> None:
    alpha = thousandths / 1000
    channels = [max(1, int(full * alpha)) for full in (32, *(block.filters for block in BLOCKS))]
    found = alpha_of(channels)
    assert [max(1, int(full * found)) for full in (32, *(block.filters for block in BLOCKS))] == channels
    assert len(repr(found)) <= len(repr(alpha))


@given(st.integers(1, 100), st.integers(1, 91), st.sampled_from(FEATURE_STRIDES), st.integers(96, 1024))
def test_the_description_comes_back_from_its_shapes(width: int, classes: int, stride: int, side: int) -> None:
    resolution = Resolution(height_px=side, width_px=96)
    spec = SsdSpec(alpha=width / 100, classes=classes, feature_stride=stride, resolution=resolution)
    found = spec_of_shapes(trunk_of(spec), heads_of(spec), resolution=resolution)
    assert replace(found, alpha=spec.alpha) == spec
    assert trunk_of(found) == trunk_of(spec)


@pytest.mark.parametrize(
    ("level", "head", "message"),
    [
        (0, (16, 9), r"boxes_0 must give 4 codes for each of 3 anchors a place, 12 channels, got 16"),
        (2, (20, 18), r"boxes_2 must give 4 codes for each of 6 anchors a place, 24 channels, got 20"),
        (1, (24, 24), r"classes_1 must give as many logits for each of 6 anchors .*, 18 channels, got 24"),
        (0, (12, 2), r"classes_0 must give as many logits"),
    ],
)
def test_heads_of_another_number_of_anchors_are_refused(level: int, head: tuple[int, int], message: str) -> None:
    heads = heads_of(SPEC)
    heads[level] = head
    with pytest.raises(DataError, match=message):
        spec_of_shapes(trunk_of(SPEC), heads, resolution=SPEC.resolution)


def test_another_number_of_convolutions_and_another_size_are_refused() -> None:
    with pytest.raises(DataError, match="there must be 35 convolutions between the image and the last map, got 34"):
        spec_of_shapes(trunk_of(SPEC)[:-1], heads_of(SPEC), resolution=SPEC.resolution)
    with pytest.raises(OptionError, match="resolution must be from 96 to 1024, got 64"):
        spec_of_shapes(trunk_of(SPEC), heads_of(SPEC), resolution=Resolution.square(64))


@pytest.mark.parametrize("name", TABLES)
def test_a_name_says_which_anchors(name: str) -> None:
    assert stored_name(TABLES[name]) == f"ssd_mobilenet_v1_anchors_{name}"
    assert table_of_name(stored_name(TABLES[name])) == name


@pytest.mark.parametrize("name", ["", "ssd_mobilenet_v1", "model", "my_ssd_mobilenet_v1_anchors_0.2-0.95"])
def test_other_names_say_nothing(name: str) -> None:
    assert table_of_name(name) is None


def test_a_table_that_there_is_not_is_refused() -> None:
    with pytest.raises(DataError, match=r"anchors as 0.2-0.95 or 0.15-0.95 or 0.1-0.95, got 0.3-0.9: pass --anchors"):
        table_of_name("ssd_mobilenet_v1_anchors_0.3-0.9")
