"""The cost of a MobileNet v2 against figures computed by hand, laws, and every published checkpoint."""

import pytest
from cost_by_hand import ALPHAS, RESOLUTIONS, layer
from hypothesis import given

from mbexport.models.mobilenet_v2.cost import cost
from mbexport.models.mobilenet_v2.published import PUBLISHED
from mbexport.models.mobilenet_v2.spec import MobileNetV2Spec
from mbexport.models.published import Published, nearest_quantized
from mbexport.models.resolution import Resolution

FULL = cost(MobileNetV2Spec())


@pytest.mark.parametrize(
    ("name", "mult_adds", "parameters"),
    [
        ("Conv1", 9 * 3 * 32 * 112**2, 864 + 4 * 32),
        ("expanded_conv_depthwise", 9 * 32 * 112**2, 9 * 32 + 4 * 32),  # nothing is expanded before it
        ("expanded_conv_project", 32 * 16 * 112**2, 32 * 16 + 4 * 16),
        ("block_1_expand", 16 * 96 * 112**2, 16 * 96 + 4 * 96),  # before the stride
        ("block_1_depthwise", 9 * 96 * 56**2, 9 * 96 + 4 * 96),  # behind it
        ("block_16_project", 960 * 320 * 7**2, 960 * 320 + 4 * 320),
        ("Conv_1", 320 * 1280 * 7**2, 320 * 1280 + 4 * 1280),
        ("predictions", 1280 * 1000, 1281 * 1000),
    ],
)
def test_a_layer_costs_what_a_hand_computes(name: str, mult_adds: int, parameters: int) -> None:
    found = layer(FULL, name)
    assert (found.mult_adds, found.parameters) == (mult_adds, parameters)


def test_parameters_are_those_of_keras_published_weights() -> None:
    assert FULL.parameters == 3_538_984  # keras.applications: MobileNetV2


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.spec.stem_name)
def test_cost_is_what_was_published(row: Published) -> None:
    total = cost(row.spec)
    assert 0 <= total.mult_adds / 1e6 - row.mult_adds_m < 1  # most are cut, not rounded
    assert round((total.weights + 1000) / 1e6, 2) == pytest.approx(row.parameters_m, abs=0.011)


def test_there_is_a_checkpoint_for_each_resolution_of_a_narrow_network() -> None:
    narrow = {(row.alpha, row.side_px) for row in PUBLISHED if row.alpha <= 1}
    assert narrow == {(alpha, px) for alpha in (0.35, 0.5, 0.75, 1.0) for px in (96, 128, 160, 192, 224)}
    assert {(row.alpha, row.side_px) for row in PUBLISHED if row.alpha > 1} == {(1.3, 224), (1.4, 224)}


@pytest.mark.parametrize(("alpha", "drop"), [(1.0, 0.01), (0.75, 0.01), (1.25, 0.01), (0.5, None), (0.35, None)])
def test_the_one_quantized_checkpoint_speaks_for_networks_of_its_width(alpha: float, drop: float | None) -> None:
    found = nearest_quantized(PUBLISHED, alpha=alpha, resolution=Resolution.square(96))
    assert (None if found is None else found.int8_drop) == (None if drop is None else pytest.approx(drop))


@pytest.mark.parametrize(
    ("alpha", "stem", "first", "last", "top"),
    [
        (1.0, 32, 16, 320, 1280),
        (0.35, 16, 8, 112, 1280),  # 11.2 would be 8, less than nine tenths of it; a narrow top is not narrowed
        (0.5, 16, 8, 160, 1280),
        (1.4, 48, 24, 448, 1792),  # 44.8 and 22.4 to multiples of 8; 1280 * 1.4
    ],
)
def test_channels_are_rounded_to_multiples_of_8(alpha: float, stem: int, first: int, last: int, top: int) -> None:
    spec = MobileNetV2Spec(alpha=alpha)
    blocks = list(spec.blocks)
    assert (spec.stem_channels, blocks[0].channels_out, blocks[-1].channels_out) == (stem, first, last)
    assert (spec.last_channels, len(blocks)) == (top, 17)


def test_shortcuts_lead_around_the_repeated_blocks() -> None:
    around = [number for number, block in enumerate(MobileNetV2Spec().blocks) if block.has_shortcut]
    assert around == [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]  # arXiv 1801.04381, table 2: n - 1 of each row


@given(ALPHAS, RESOLUTIONS)
def test_every_layer_has_multiples_of_8_channels_and_follows_from_the_one_before(alpha: float, px: int) -> None:
    layers = cost(MobileNetV2Spec(alpha=alpha, resolution=Resolution.square(px))).layers
    assert all(each.channels_out % 8 == 0 for each in layers[:-1])
    assert all(one.channels_out == other.channels_in for one, other in zip(layers, layers[1:], strict=False))  # noqa: RUF007


@given(ALPHAS, RESOLUTIONS.filter(lambda px: px <= 512))
def test_doubling_the_resolution_quadruples_everything_but_the_head(alpha: float, px: int) -> None:
    low, high = (cost(MobileNetV2Spec(alpha=alpha, resolution=Resolution.square(side))) for side in (px, 2 * px))
    head = layer(low, "predictions").mult_adds
    assert high.mult_adds - head == 4 * (low.mult_adds - head)
    assert high.parameters == low.parameters


@pytest.mark.parametrize(
    ("alpha", "px", "name"),
    [(0.35, 96, "mobilenet_v2_0.35_96"), (1, 224, "mobilenet_v2_1.0_224"), (1.4, 32, "mobilenet_v2_1.4_32")],
)
def test_the_stem_of_file_names(alpha: float, px: int, name: str) -> None:
    assert MobileNetV2Spec(alpha=alpha, resolution=Resolution.square(px)).stem_name == name
