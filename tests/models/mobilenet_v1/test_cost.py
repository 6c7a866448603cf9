"""The cost of a network against figures computed by hand, the paper's laws and every published checkpoint."""

import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mbexport.models.cost import Cost, LayerCost
from mbexport.models.mobilenet_v1.cost import cost, separable_saving
from mbexport.models.mobilenet_v1.published import (
    ALPHA_WITHOUT_STEM,
    KERAS_PARAMETERS,
    MISPRINTED,
    PAPER,
    PUBLISHED,
)
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.published import PaperNetwork, Published
from mbexport.models.resolution import Resolution

ALPHAS = st.floats(min_value=0.01, max_value=1)
RESOLUTIONS = st.integers(1, 32).map(lambda k: 32 * k)


def layer(of: Cost, name: str) -> LayerCost:
    (found,) = (each for each in of.layers if each.name == name)
    return found


FULL = cost(ModelSpec(alpha=1, resolution=Resolution.square(224)))
STANDARD = cost(ModelSpec(conv=Convolution.STANDARD))


@pytest.mark.parametrize(
    ("name", "mult_adds", "parameters"),
    [
        ("conv1", 9 * 3 * 32 * 112 * 112, 9 * 3 * 32 + 4 * 32),
        ("conv_dw_1", 3_612_672, 416),  # 9 * 32 * 112²; 9 * 32 + 4 * 32
        ("conv_pw_1", 25_690_112, 2_304),  # 32 * 64 * 112²; 32 * 64 + 4 * 64
        ("conv_dw_2", 9 * 64 * 56 * 56, 9 * 64 + 4 * 64),  # stride 2: counted on the map behind it
        ("conv_pw_13", 51_380_224, 1_052_672),  # 1024 * 1024 * 7²
        ("conv_preds", 1_024_000, 1_025_000),
    ],
)
def test_a_layer_costs_what_a_hand_computes(name: str, mult_adds: int, parameters: int) -> None:
    assert (layer(FULL, name).mult_adds, layer(FULL, name).parameters) == (mult_adds, parameters)


def test_layers_come_in_the_order_of_the_network() -> None:
    blocks = [f"conv_{kind}_{number}" for number in range(1, 14) for kind in ("dw", "pw")]
    assert [each.name for each in FULL.layers] == ["conv1", *blocks, "conv_preds"]


@pytest.mark.parametrize(
    ("name", "mult_adds", "parameters"),
    [
        ("conv_std_1", 231_211_008, 18_688),  # 9 * 32 * 64 * 112²; 9 * 32 * 64 + 4 * 64
        ("conv_std_2", 9 * 64 * 128 * 56 * 56, 9 * 64 * 128 + 4 * 128),  # stride 2: counted on the map behind it
        ("conv_std_13", 462_422_016, 9_441_280),  # 9 * 1024² * 7²; 9 * 1024² + 4 * 1024
    ],
)
def test_a_standard_block_costs_what_a_hand_computes(name: str, mult_adds: int, parameters: int) -> None:
    found = layer(STANDARD, name)
    assert (found.kind, found.mult_adds, found.parameters) == ("standard", mult_adds, parameters)
    assert found.standard_mult_adds == mult_adds


@pytest.mark.parametrize("shallow", [False, True])
def test_blocks_are_numbered_without_a_gap(shallow: bool) -> None:
    numbers = range(1, 9 if shallow else 14)
    standard = cost(ModelSpec(conv=Convolution.STANDARD, shallow=shallow))
    assert [each.name for each in standard.layers] == ["conv1", *(f"conv_std_{n}" for n in numbers), "conv_preds"]
    separable = cost(ModelSpec(shallow=shallow))
    assert [each.name for each in separable.layers if each.kind == "pointwise"] == [f"conv_pw_{n}" for n in numbers]


@pytest.mark.parametrize("row", PAPER, ids=lambda row: row.name)
def test_the_papers_comparisons_have_our_cost(row: PaperNetwork) -> None:
    ours = cost(row.spec)
    # 4866 M leaves out the head (1 M), and only there; the paper counts kernels alone as parameters.
    left_out = layer(ours, "conv_preds").mult_adds if row.spec.conv is Convolution.STANDARD else 0
    assert round((ours.mult_adds - left_out) / 1e6) == row.mult_adds_m
    assert round(ours.weights / 1e6, 1) == row.parameters_m


@given(ALPHAS, RESOLUTIONS, st.booleans())
def test_both_kinds_of_blocks_agree_on_what_either_costs(alpha: float, px: int, shallow: bool) -> None:
    networks = [
        cost(ModelSpec(alpha=alpha, resolution=Resolution.square(px), shallow=shallow, conv=conv))
        for conv in (Convolution.SEPARABLE, Convolution.STANDARD)
    ]
    savings = [separable_saving(network) for network in networks]
    assert savings[0] == savings[1]
    for network, blocks in zip(networks, savings[0], strict=True):
        rest = sum(layer(network, name).mult_adds for name in ("conv1", "conv_preds"))
        assert network.mult_adds == rest + blocks


def test_a_stem_that_is_not_square_by_hand() -> None:
    stem = cost(ModelSpec(alpha=0.25, resolution=Resolution(height_px=64, width_px=96))).layers[0]
    assert stem.output == Resolution(height_px=32, width_px=48)
    assert (stem.mult_adds, stem.weights) == (3 * 3 * 3 * 8 * 32 * 48, 3 * 3 * 3 * 8)


@given(ALPHAS, RESOLUTIONS, RESOLUTIONS)
def test_convolutions_cost_in_proportion_to_the_pixels(alpha: float, height: int, width: int) -> None:
    def convolutions(rows: int, columns: int) -> int:
        total = cost(ModelSpec(alpha=alpha, resolution=Resolution(height_px=rows, width_px=columns)))
        return sum(layer.mult_adds for layer in total.layers[:-1])  # the head sees one pixel

    assert convolutions(height, width) * 32**2 == convolutions(32, 32) * height * width


@given(ALPHAS, RESOLUTIONS, st.sampled_from(Convolution))
def test_the_shallow_network_lacks_five_times_the_same_block(alpha: float, px: int, conv: Convolution) -> None:
    deep, shallow = (
        cost(ModelSpec(alpha=alpha, resolution=Resolution.square(px), conv=conv, shallow=cut)) for cut in (False, True)
    )
    names = ("conv_std_9",) if conv is Convolution.STANDARD else ("conv_dw_9", "conv_pw_9")
    assert deep.mult_adds - shallow.mult_adds == 5 * sum(layer(deep, name).mult_adds for name in names)
    assert deep.parameters - shallow.parameters == 5 * sum(layer(deep, name).parameters for name in names)


def test_a_standard_network_has_no_pointwise_work() -> None:
    assert STANDARD.share("pointwise") == (0, 0)
    # 4855.4 of 4867.3 M; of 29 281 120 weights the stem's 864 and the head's 1 024 000 are elsewhere.
    mult_adds, weights = STANDARD.share("standard")
    assert mult_adds == pytest.approx(0.99756, abs=5e-6)
    assert weights == pytest.approx(1 - 1_024_864 / 29_281_120)


def test_a_standard_convolution_in_place_of_a_layer() -> None:
    assert layer(FULL, "conv_dw_1").standard_mult_adds == 9 * 32 * 32 * 112**2
    assert layer(FULL, "conv1").standard_mult_adds == layer(FULL, "conv1").mult_adds


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.alpha}_{row.side_px:g}")
def test_mult_adds_match_the_published_figure(row: Published) -> None:
    ours = cost(ModelSpec(alpha=row.alpha, resolution=row.spec.resolution))
    counted = ours.mult_adds - (layer(ours, "conv1").mult_adds if row.alpha == ALPHA_WITHOUT_STEM else 0)
    if (row.alpha, row.side_px) == MISPRINTED:
        assert counted / 1e6 == pytest.approx(30.2, abs=0.05)
        assert row.mult_adds_m == 34
    else:
        assert abs(counted / 1e6 - row.mult_adds_m) <= 1


# arXiv 1704.04861, tables 6 and 7; a figure there is now rounded, now cut.
@pytest.mark.parametrize(
    ("alpha", "px", "paper_m"),
    [
        (1.0, 224, 569),
        (0.75, 224, 325),
        (0.5, 224, 149),
        (0.25, 224, 41),
        (1.0, 192, 418),
        (1.0, 160, 290),
        (1.0, 128, 186),
        (0.5, 160, 76),
    ],
)
def test_mult_adds_match_the_paper(alpha: float, px: int, paper_m: int) -> None:
    ours_m = cost(ModelSpec(alpha=alpha, resolution=Resolution.square(px))).mult_adds / 1e6
    assert paper_m in (round(ours_m), int(ours_m))


@pytest.mark.parametrize("alpha", KERAS_PARAMETERS)
@pytest.mark.parametrize("px", [128, 224])
def test_parameters_equal_those_of_the_published_weights_at_any_resolution(alpha: float, px: int) -> None:
    assert (
        cost(ModelSpec(alpha=alpha, resolution=Resolution.square(px), classes=1000)).parameters
        == KERAS_PARAMETERS[alpha]
    )


def test_most_of_the_work_is_in_pointwise_convolutions() -> None:
    mult_adds, parameters = FULL.share("pointwise")
    assert mult_adds == pytest.approx(0.9486, abs=5e-5)  # paper, table 2
    # Table 2 says 74.59 %: it leaves batch normalization and the bias of the head out of the parameters.
    assert parameters == pytest.approx(0.7459, abs=0.003)
    left_out = 1000 + 4 * sum(each.channels_out for each in FULL.layers if each.kind != "head")
    pointwise = sum(each.channels_in * each.channels_out for each in FULL.layers if each.kind == "pointwise")
    assert pointwise / (FULL.parameters - left_out) == pytest.approx(0.7459, abs=5e-5)


@given(ALPHAS, RESOLUTIONS)
def test_a_separable_block_costs_one_nth_plus_one_ninth(alpha: float, px: int) -> None:
    network = cost(ModelSpec(alpha=alpha, resolution=Resolution.square(px)))
    for number in range(1, 14):
        depthwise, pointwise = layer(network, f"conv_dw_{number}"), layer(network, f"conv_pw_{number}")
        standard = 9 * pointwise.channels_in * pointwise.channels_out * pointwise.output.pixels
        ratio = Fraction(depthwise.mult_adds + pointwise.mult_adds, standard)
        assert ratio == Fraction(1, pointwise.channels_out) + Fraction(1, 9)


def test_the_network_of_standard_convolutions_costs_what_the_paper_says() -> None:
    separable, standard = separable_saving(FULL)
    stem = layer(FULL, "conv1").mult_adds
    assert int((standard + stem) / 1e6) == 4866  # paper, table 4
    assert separable + stem + layer(FULL, "conv_preds").mult_adds == FULL.mult_adds


@given(ALPHAS, ALPHAS, RESOLUTIONS)
def test_a_wider_network_never_costs_less(one: float, other: float, px: int) -> None:
    narrow, wide = (cost(ModelSpec(alpha=alpha, resolution=Resolution.square(px))) for alpha in sorted((one, other)))
    assert narrow.mult_adds <= wide.mult_adds
    assert narrow.parameters <= wide.parameters


@given(ALPHAS, RESOLUTIONS, RESOLUTIONS)
def test_a_higher_resolution_costs_more_work_and_no_parameter(alpha: float, one: int, other: int) -> None:
    assume(one != other)
    low, high = (cost(ModelSpec(alpha=alpha, resolution=Resolution.square(px))) for px in sorted((one, other)))
    assert low.mult_adds < high.mult_adds
    assert low.parameters == high.parameters


@given(ALPHAS, RESOLUTIONS)
def test_doubling_the_resolution_quadruples_everything_but_the_head(alpha: float, px: int) -> None:
    assume(2 * px <= 1024)
    low, high = (cost(ModelSpec(alpha=alpha, resolution=Resolution.square(side))) for side in (px, 2 * px))
    head = layer(low, "conv_preds").mult_adds
    assert high.mult_adds - head == 4 * (low.mult_adds - head)


def test_another_class_costs_one_column_of_the_head() -> None:
    few, more = (cost(ModelSpec(alpha=0.25, classes=classes)) for classes in (10, 11))
    assert more.mult_adds - few.mult_adds == 256
    assert more.parameters - few.parameters == 257


def test_computing_a_cost_loads_neither_numpy_nor_tensorflow() -> None:
    code = (
        "import sys\n"
        "from mbexport.models.mobilenet_v1.cost import cost\n"
        "from mbexport.models.mobilenet_v1.spec import ModelSpec\n"
        "assert cost(ModelSpec()).parameters == 4253864\n"
        "assert not {'numpy', 'tensorflow', 'tf_keras'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
