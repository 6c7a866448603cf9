"""`mbexport cost`: the published figures, the paper's formulas, and the options that choose the network."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from mbexport.cli import run
from mbexport.commands.cost import command

# research/slim/nets/mobilenet_v1.md of tensorflow/models: alpha, side, mult-adds in millions.
PUBLISHED_M = {
    (1.0, 224): 569, (1.0, 192): 418, (1.0, 160): 291, (1.0, 128): 186,
    (0.5, 224): 150, (0.5, 192): 110, (0.5, 160): 77, (0.5, 128): 49,
    (0.25, 224): 41, (0.25, 160): 21, (0.25, 128): 14,
}  # fmt: skip
ALPHAS = st.floats(0.05, 1)
SIDES = st.integers(1, 16).map(lambda step: 32 * step)


def costs(*arguments: object) -> dict:
    """What `mbexport cost --json ARGUMENTS` prints."""
    result = CliRunner().invoke(command, ["--json", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_full_network_has_the_papers_569_million_mult_adds_and_keras_parameters():
    found = costs()
    assert round(found["mult_adds"] / 1e6) == 569
    assert found["parameters"] == 4_253_864  # keras.applications, 1000 classes
    assert (found["alpha"], found["resolution_px"], found["rho"], found["classes"]) == (1.0, 224, 1.0, 1000)


@pytest.mark.parametrize(
    ("alpha", "mult_adds_m", "parameters"), [(0.75, 325, 2_601_976), (0.5, 149, 1_342_536), (0.25, 41, 475_544)]
)
def test_narrow_networks_have_the_papers_cost(alpha, mult_adds_m, parameters):
    found = costs("--alpha", alpha)
    assert found["mult_adds"] / 1e6 == pytest.approx(mult_adds_m, abs=0.7)  # arXiv 1704.04861, table 6
    assert found["parameters"] == parameters


def test_pointwise_convolutions_do_nearly_all_the_work():
    assert costs()["pointwise_mult_add_share"] == pytest.approx(0.9486, abs=0.0005)  # arXiv 1704.04861, table 2


def test_stem_by_hand():
    # 3x3 kernels from 3 to 32 channels on a map of 112: 9 * 3 * 32 * 112^2; weights and 4 numbers of batch norm each.
    stem = costs("--by-layer")["layers"][0]
    assert (stem["mult_adds"], stem["parameters"], stem["map_px"]) == (10_838_016, 864 + 128, 112)


def test_first_block_by_hand():
    # arXiv 1704.04861, section 3.1: D_K^2 * M * D_F^2 and M * N * D_F^2 with M = 32, N = 64, D_F = 112.
    _, depthwise, pointwise, *_ = costs("--by-layer")["layers"]
    assert (depthwise["kind"], depthwise["mult_adds"]) == ("depthwise", 9 * 32 * 12_544)
    assert (pointwise["kind"], pointwise["mult_adds"]) == ("pointwise", 32 * 64 * 12_544)


def test_channels_are_cut_and_not_rounded_to_8():
    layers = costs("--alpha", 0.35, "--by-layer")["layers"]
    assert layers[0]["channels_out"] == 11  # int(32 * 0.35) of 11.2; to a multiple of 8 it would be 8 or 16


def test_head_has_a_class_each_and_its_bias():
    head = costs("--classes", 10, "--by-layer")["layers"][-1]
    assert (head["channels_out"], head["mult_adds"], head["parameters"]) == (10, 10_240, 10_250)


@settings(max_examples=25)
@given(ALPHAS, SIDES, st.integers(2, 2000))
def test_layers_add_up_to_the_total(alpha, px, classes):
    found = costs("--alpha", alpha, "--resolution", px, "--classes", classes, "--by-layer")
    layers = found["layers"]
    assert len(layers) == 1 + 2 * 13 + 1
    assert sum(layer["mult_adds"] for layer in layers) == found["mult_adds"]
    assert sum(layer["parameters"] for layer in layers) == found["parameters"]
    assert all(one["channels_out"] == other["channels_in"] for one, other in zip(layers, layers[1:], strict=False))  # noqa: RUF007


@settings(max_examples=25)
@given(ALPHAS, st.integers(1, 16).map(lambda step: 32 * step))
def test_twice_the_side_is_four_times_the_work_and_no_more_parameters(alpha, px):
    small, large = (costs("--alpha", alpha, "--resolution", side, "--by-layer") for side in (px, 2 * px))
    head = small["layers"][-1]["mult_adds"]
    assert large["mult_adds"] - head == 4 * (small["mult_adds"] - head)
    assert large["parameters"] == small["parameters"]


@settings(max_examples=25)
@given(ALPHAS, SIDES)
def test_each_block_saves_what_the_paper_says(alpha, px):
    layers = costs("--alpha", alpha, "--resolution", px, "--by-layer")["layers"][1:-1]
    for depthwise, pointwise in zip(layers[::2], layers[1::2], strict=True):
        n, map_px = pointwise["channels_out"], pointwise["map_px"]
        standard = 9 * depthwise["channels_in"] * n * map_px**2
        saving = (depthwise["mult_adds"] + pointwise["mult_adds"]) / standard
        assert saving == pytest.approx(1 / n + 1 / 9)  # arXiv 1704.04861, section 3.1


def test_all_has_the_sixteen_published_networks_with_their_mult_adds():
    rows = {(row["alpha"], row["resolution_px"]): row for row in costs("--all")}
    assert set(rows) == {(alpha, px) for alpha in (1.0, 0.75, 0.5, 0.25) for px in (224, 192, 160, 128)}
    for network, mult_adds_m in PUBLISHED_M.items():
        assert rows[network]["mult_adds"] / 1e6 == pytest.approx(mult_adds_m, abs=1)
        assert rows[network]["published_mult_adds_m"] == mult_adds_m


def test_all_prints_a_line_a_network(capsys):
    assert run(["cost", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 16 + 1
    assert "568.7 M" in lines[1]
    assert "4,253,864" in lines[1]
    assert "70.9% -> 69.7%" in lines[1]


def test_by_layer_prints_a_line_a_layer(capsys):
    assert run(["cost", "--by-layer"]) == 0
    text = capsys.readouterr().out
    assert sum(line.startswith("conv") for line in text.splitlines()) == 28
    assert "conv_pw_13" in text
    assert "1/N + 1/D_K^2" in text


@pytest.mark.parametrize(("rho", "px"), [(1, 224), (0.857, 192), (0.714, 160), (0.571, 128), (0.142857, 32)])
def test_published_resolution_multipliers_mean_their_resolutions(rho, px):
    assert costs("--rho", rho)["resolution_px"] == px


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--alpha", "0"], "alpha must be in (0, 1], got 0"),
        (["--alpha", "1.01"], "alpha must be in (0, 1], got 1.01"),
        (["--alpha", "nan"], "alpha must be in (0, 1], got nan"),
        (["--resolution", "100"], "multiple of 32 from 32 to 1024, got 100"),
        (["--resolution", "0"], "at least 1 pixel a side, got 0"),
        (["--resolution", "1056"], "multiple of 32 from 32 to 1024, got 1056"),
        (["--resolution", "96x100"], "multiple of 32 from 32 to 1024, got 96x100"),
        (["--resolution", "1056x32"], "multiple of 32 from 32 to 1024, got 1056x32"),
        (["--resolution", "96*128"], "must be PX or HEIGHTxWIDTH, for example 96 or 96x128, got 96*128"),
        (["--resolution", "96x"], "must be PX or HEIGHTxWIDTH"),
        (["--resolution", "-96"], "must be PX or HEIGHTxWIDTH"),
        (["--rho", "0.9"], "got 0.9"),
        (["--rho", "nan"], "got nan"),
        (["--rho", "inf"], "got inf"),
        (["--rho", "1", "--resolution", "224"], "give --resolution or --rho, not both, got 224 and 1"),
        (["--classes", "1"], "classes must be at least 2, got 1"),
        (["--all", "--classes", "-5"], "classes must be at least 2, got -5"),
        (["--conv", "dense"], "'dense' is not one of 'separable', 'standard'"),
        (["--all", "--compare"], "give --all or --compare, not both"),
        (["--all", "--conv", "standard"], "--all shows networks that were published; drop --conv standard"),
        (["--compare", "--shallow"], "--compare shows networks that were published; drop --shallow"),
    ],
)
def test_illegal_network_is_one_line_and_exit_code_2(arguments, complaint, capsys):
    assert run(["cost", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Error: ")
    assert shown.err.count("\n") == 1
    assert complaint in shown.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--arch", "mobilenet_v4"], "'mobilenet_v4' is not one of 'mobilenet_v1', 'mobilenet_v2'"),
        (
            ["--arch", "mobilenet_v2", "--shallow"],
            "--shallow is for --arch mobilenet_v1, got --arch mobilenet_v2: drop --shallow",
        ),
        (
            ["--arch", "mobilenet_v3_small", "--conv", "standard"],
            "--conv is for --arch mobilenet_v1, got --arch mobilenet_v3_small: drop --conv",
        ),
        (
            ["--minimalistic"],
            "--minimalistic is for --arch mobilenet_v3_small or mobilenet_v3_large, got --arch mobilenet_v1: drop "
            "--minimalistic",
        ),
        (["--arch", "mobilenet_v2", "--alpha", "2.1"], "alpha must be in (0, 2], got 2.1"),
        (["--arch", "mobilenet_v2", "--compare"], "--compare is for --arch mobilenet_v1, got --arch mobilenet_v2"),
        (
            ["--all", "--arch", "mobilenet_v3_large", "--minimalistic"],
            "--all shows networks that were published; drop --minimalistic",
        ),
    ],
)
def test_an_option_of_another_architecture_is_one_line_and_exit_code_2(arguments, complaint, capsys):
    assert run(["cost", *arguments]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert complaint in shown.err


@pytest.mark.parametrize(
    ("arguments", "mult_adds_m", "parameters"),
    [
        (["--arch", "mobilenet_v2"], 300.8, 3_538_984),  # keras.applications count_params(), 1000 classes
        (["--arch", "mobilenet_v3_small"], 56.5, 2_554_968),
        (["--arch", "mobilenet_v3_large"], 216.6, 5_507_432),
    ],
)
def test_other_architectures_have_keras_parameters(arguments, mult_adds_m, parameters):
    found = costs(*arguments)
    assert found["mult_adds"] / 1e6 == pytest.approx(mult_adds_m, abs=0.05)
    assert (found["parameters"], found["arch"]) == (parameters, arguments[1])
    assert "conv" not in found


@pytest.mark.parametrize(
    ("arch", "rows", "shown"),
    [
        ("mobilenet_v2", 22, ("300.8 M", "3.47 M", "71.8% -> 70.8%")),
        ("mobilenet_v3_small", 3, ("56.5 M", "2.90 M", "67.5% -> 64.9%")),
        ("mobilenet_v3_large", 3, ("216.6 M", "5.40 M", "75.2% -> 73.9%")),
    ],
)
def test_all_shows_what_was_published_of_an_architecture(arch, rows, shown, capsys):
    assert len(costs("--all", "--arch", arch)) == rows
    assert run(["cost", "--all", "--arch", arch]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + rows + 1
    line = next(line for line in lines if shown[2] in line)
    assert all(each in line for each in shown)
    assert sum(line.endswith("-> -") for line in lines) == sum(
        row["published_top1_int8"] is None for row in costs("--all", "--arch", arch)
    )


def test_layers_of_a_minimalistic_network(capsys):
    assert run(["cost", "--arch", "mobilenet_v3_small", "--minimalistic", "--by-layer"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Minimalistic MobileNet v3 small, alpha 1, 224 px")
    assert "squeeze" not in text
    assert sum(line.startswith(("expanded_conv", "Conv", "Logits")) for line in text.splitlines()) == 2 + 3 * 10 + 4


# arXiv 1704.04861, tables 4 and 5: top-1, million mult-adds, million parameters.
PAPER_ROWS = {
    "Conv MobileNet": (4, 0.717, 4866, 29.3),
    "MobileNet": (4, 0.706, 569, 4.2),
    "0.75 MobileNet": (5, 0.684, 325, 2.6),
    "Shallow MobileNet": (5, 0.653, 307, 2.9),
}


def test_compare_has_the_papers_rows_beside_ours():
    rows = {row["name"]: row for row in costs("--compare")}
    assert list(rows) == list(PAPER_ROWS)
    for name, (table, top1, mult_adds_m, parameters_m) in PAPER_ROWS.items():
        row = rows[name]
        assert (row["table"], row["published_top1"]) == (table, pytest.approx(top1))
        assert (row["published_mult_adds_m"], row["published_parameters_m"]) == (mult_adds_m, parameters_m)
        assert row["mult_adds"] == pytest.approx(mult_adds_m * 1e6 * (1 + row["mult_adds_deviation"]))
        assert row["parameters"] == pytest.approx(parameters_m * 1e6 * (1 + row["parameters_deviation"]))
        assert abs(row["mult_adds_deviation"]) < 0.002
        assert abs(row["parameters_deviation"]) < 0.02


def test_compare_gives_what_each_network_costs_by_itself():
    for row in costs("--compare"):
        family = ["--conv", row["conv"], *(["--shallow"] if row["shallow"] else [])]
        alone = costs("--alpha", row["alpha"], "--resolution", row["resolution_px"], *family)
        assert (row["mult_adds"], row["parameters"]) == (alone["mult_adds"], alone["parameters"])


def test_compare_prints_a_line_a_network(capsys):
    assert run(["cost", "--compare"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 4 + 1
    assert [word in lines[1] for word in ("4866 M", "4867.3 M (+0.03%)", "29.31 M", "71.7%")] == [True] * 4
    assert [word in lines[4] for word in ("307 M", "307.3 M (+0.11%)", "2.90 M", "65.3%")] == [True] * 4


def test_a_standard_network_is_told_in_its_own_words(capsys):
    assert run(["cost", "--conv", "standard", "--by-layer"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("MobileNet v1 of standard convolutions, alpha 1, 224 px")
    # 4855.4 M by hand: 231.2 M of five blocks that change the width, 462.4 M of eight that keep it.
    assert "cost 4855.4 M, 8.7 times as much as separable blocks in their place, 556.9 M" in text
    assert "1x1 convolutions hold" not in text
    assert sum(line.startswith("conv") for line in text.splitlines()) == 15


def test_a_shallow_network_has_8_blocks(capsys):
    assert run(["cost", "--shallow"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Shallow MobileNet v1, alpha 1")
    assert "the 8 separable blocks cost 295.5 M" in text


@settings(max_examples=25)
@given(ALPHAS, SIDES, st.booleans())
def test_either_kind_of_blocks_tells_what_the_other_costs(alpha, px, shallow):
    network = ["--alpha", alpha, "--resolution", px, *(["--shallow"] if shallow else [])]
    separable, standard = (costs(*network, "--conv", conv) for conv in ("separable", "standard"))
    for name in ("separable_mult_adds", "standard_mult_adds"):
        assert separable[name] == standard[name]
    saved = separable["standard_mult_adds"] - separable["separable_mult_adds"]
    assert standard["mult_adds"] - separable["mult_adds"] == saved


def test_environment_chooses_the_network(monkeypatch, capsys):
    monkeypatch.setenv("MBEXPORT_COST_CONV", "standard")
    monkeypatch.setenv("MBEXPORT_COST_SHALLOW", "1")
    assert run(["cost", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["conv"], found["shallow"]) == ("standard", True)
    monkeypatch.setenv("MBEXPORT_COST_CONV", "dense")
    assert run(["cost"]) == 2
