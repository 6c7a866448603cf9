"""The cost of a MobileNet v3 against figures computed by hand, laws, and published checkpoints."""

import pytest
from cost_by_hand import ALPHAS, RESOLUTIONS, layer
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.mobilenet_v3.cost import cost
from mbexport.models.mobilenet_v3.published import LARGE, SMALL
from mbexport.models.mobilenet_v3.spec import LargeSpec, MobileNetV3Spec, SmallSpec
from mbexport.models.published import Published, nearest_quantized
from mbexport.models.resolution import Resolution

SMALL_COST, LARGE_COST = cost(SmallSpec()), cost(LargeSpec())
SPECS = st.sampled_from([SmallSpec, LargeSpec])


@pytest.mark.parametrize(
    ("name", "mult_adds", "parameters"),
    [
        ("Conv", 9 * 3 * 16 * 112**2, 432 + 4 * 16),
        ("expanded_conv/depthwise", 9 * 16 * 56**2, 9 * 16 + 4 * 16),
        ("expanded_conv/squeeze_excite/Conv", 16 * 8, 17 * 8),  # a quarter of 16 is 4, and 8 the least
        ("expanded_conv/squeeze_excite/Conv_1", 8 * 16, 9 * 16),
        ("expanded_conv_3/expand", 24 * 96 * 28**2, 24 * 96 + 4 * 96),  # before the stride
        ("expanded_conv_3/depthwise", 25 * 96 * 14**2, 25 * 96 + 4 * 96),  # behind it
        ("Conv_1", 96 * 576 * 7**2, 96 * 576 + 4 * 576),
        ("Conv_2", 576 * 1024, 577 * 1024),
        ("Logits", 1024 * 1000, 1025 * 1000),
    ],
)
def test_a_layer_of_the_small_network_costs_what_a_hand_computes(name: str, mult_adds: int, parameters: int) -> None:
    found = layer(SMALL_COST, name)
    assert (found.mult_adds, found.parameters) == (mult_adds, parameters)


def test_parameters_are_those_of_keras_networks() -> None:
    assert (SMALL_COST.parameters, LARGE_COST.parameters) == (2_554_968, 5_507_432)  # keras.applications


# What was published of the small networks at alpha 1 are not the figures of Keras' network: see published.py.
@pytest.mark.parametrize("row", [*LARGE, SMALL[1]], ids=lambda row: row.spec.stem_name)
def test_mult_adds_are_what_was_published(row: Published) -> None:
    assert abs(cost(row.spec).mult_adds / 1e6 - row.mult_adds_m) < 1


@pytest.mark.parametrize("row", LARGE, ids=lambda row: row.spec.stem_name)
def test_parameters_are_what_was_published(row: Published) -> None:
    assert cost(row.spec).weights / 1e6 == pytest.approx(row.parameters_m, abs=0.06)


@pytest.mark.parametrize(
    ("published", "alpha", "drop"),
    [(SMALL, 1.0, 0.026), (SMALL, 0.75, 0.026), (SMALL, 0.5, None), (LARGE, 1.25, 0.013), (LARGE, 0.35, None)],
)
def test_quantized_checkpoints_speak_for_networks_of_their_width(
    published: tuple[Published, ...], alpha: float, drop: float | None
) -> None:
    found = nearest_quantized(published, alpha=alpha, resolution=Resolution.square(96))
    assert (None if found is None else found.int8_drop) == (None if drop is None else pytest.approx(drop))


@pytest.mark.parametrize(
    ("spec", "last", "features"),
    [
        (SmallSpec(), 576, 1024),
        (LargeSpec(), 960, 1280),
        (SmallSpec(alpha=0.75), 432, 1024),  # 6 * 72
        (LargeSpec(alpha=1.25), 1200, 1600),
    ],
    ids=lambda value: getattr(value, "stem_name", None),
)
def test_the_last_channels(spec: MobileNetV3Spec, last: int, features: int) -> None:
    assert (spec.last_channels, spec.feature_channels) == (last, features)


@given(SPECS, ALPHAS, RESOLUTIONS)
def test_a_minimalistic_network_has_the_same_channels_and_less_work(
    spec: type[MobileNetV3Spec], alpha: float, px: int
) -> None:
    plain, lean = (
        cost(spec(alpha=alpha, resolution=Resolution.square(px), minimalistic=each)) for each in (False, True)
    )
    kept = [each for each in plain.layers if each.kind != "squeeze-excite"]
    assert [(each.name, each.channels_out, each.output) for each in kept] == [
        (each.name, each.channels_out, each.output) for each in lean.layers
    ]
    assert {each.kernel_px for each in lean.layers} == {1, 3}
    assert lean.mult_adds < plain.mult_adds
    assert lean.parameters < plain.parameters


@given(SPECS, ALPHAS, RESOLUTIONS.filter(lambda px: px <= 512), st.booleans())
def test_doubling_the_resolution_quadruples_what_works_on_maps(
    spec: type[MobileNetV3Spec], alpha: float, px: int, minimalistic: bool
) -> None:
    totals = [
        cost(spec(alpha=alpha, resolution=Resolution.square(side), minimalistic=minimalistic)) for side in (px, 2 * px)
    ]
    pooled = [sum(each.mult_adds for each in of.layers if each.kind in ("squeeze-excite", "head")) for of in totals]
    assert pooled[0] == pooled[1]
    assert totals[1].mult_adds - pooled[1] == 4 * (totals[0].mult_adds - pooled[0])
    assert totals[0].parameters == totals[1].parameters


@pytest.mark.parametrize(
    ("spec", "name", "title"),
    [
        (SmallSpec(alpha=0.75, resolution=Resolution.square(96)), "mobilenet_v3_small_0.75_96", "MobileNet v3 small"),
        (LargeSpec(), "mobilenet_v3_large_1.0_224", "MobileNet v3 large"),
        (
            SmallSpec(minimalistic=True),
            "mobilenet_v3_small_minimalistic_1.0_224",
            "Minimalistic MobileNet v3 small",
        ),
    ],
    ids=lambda value: getattr(value, "stem_name", None),
)
def test_names(spec: MobileNetV3Spec, name: str, title: str) -> None:
    assert (spec.stem_name, spec.title) == (name, title)
