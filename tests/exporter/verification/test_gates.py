"""The table of gates: its default limits (what Google's own checkpoints lost, what integers save), and legal ones."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.models.mobilenet_v1.cost import cost
from mbexport.models.mobilenet_v1.published import PUBLISHED
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.verification.gates import GATES, NetworkFacts, check_limits, default_limits


def limits_of(spec: ModelSpec, **changed: float | None) -> dict[str, float]:
    """The default limits of a network of ours, `changed` known otherwise."""
    total = cost(spec)
    ours = {"family": "mobilenet_v1", "alpha": spec.alpha}
    known = {**ours, "mult_adds": total.mult_adds, "parameters": total.parameters, **changed}
    return default_limits(NetworkFacts.of_parameters(resolution=spec.resolution, **known))


def test_default_drop_is_what_googles_own_checkpoint_lost():
    assert limits_of(ModelSpec(alpha=0.75, resolution=Resolution.square(128)))["top1_drop"] == 0.023  # 62.1 % -> 59.8 %


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.alpha}_{row.side_px:g}")
def test_no_published_checkpoint_fails_its_own_default_limit(row):
    limits = limits_of(ModelSpec(alpha=row.alpha, resolution=row.spec.resolution))
    assert limits["top1_drop"] == pytest.approx(row.top1_float - row.top1_int8, abs=1e-9)


@pytest.mark.parametrize(
    ("family", "alpha", "drop", "agreement"),
    [
        ("mobilenet_v2", 1.0, 0.01, 0.95),  # 71.8 % -> 70.8 %
        ("mobilenet_v2", 0.35, None, None),  # no narrow network was published quantized: the table's limits hold
        ("mobilenet_v3_small", 1.0, 0.026, 0.87),  # 67.5 % -> 64.9 %
        ("mobilenet_v3_large", 0.75, 0.013, 0.935),  # 75.2 % -> 73.9 % at alpha 1
        ("mobilenet_v3_large", 0.5, None, None),
    ],
)
def test_default_drop_of_the_later_architectures(family, alpha, drop, agreement):
    limits = default_limits(NetworkFacts(family=family, alpha=alpha, resolution=Resolution.square(96)))
    assert (limits.get("top1_drop"), limits.get("agreement")) == (drop, agreement)


@pytest.mark.parametrize(
    ("alpha", "px", "agreement"),
    [
        (0.75, 224, 0.95),  # 0.5 points: five times as many would be 2.5, and 5 is the least
        (1.0, 224, 0.94),  # 1.2 points
        (0.75, 128, 0.885),  # 2.3 points
    ],
)
def test_agreement_goes_with_the_loss(alpha, px, agreement):
    assert limits_of(ModelSpec(alpha=alpha, resolution=Resolution.square(px)))["agreement"] == agreement


def test_default_size_limit_by_hand():
    # 221,114 parameters of 4 bytes: 0.28 + 131072 / 884456 = 0.28 + 0.14820
    assert limits_of(ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=10))["size_ratio"] == 0.4282
    # 4,253,864 parameters: 0.28 + 131072 / 17015456 = 0.28 + 0.00770
    assert limits_of(ModelSpec())["size_ratio"] == 0.2877


def test_network_of_common_size_must_not_get_slower():
    assert limits_of(ModelSpec(alpha=0.25, resolution=Resolution.square(128)))["int8_speedup"] == 1.0


@pytest.mark.parametrize(
    ("mult_adds", "limit"), [(1, 0.5), (999_999, 0.5), (1_000_000, 0.8), (9_999_999, 0.8), (10_000_000, 1.0)]
)
def test_speedup_limit_depends_on_the_multiply_adds(mult_adds, limit):
    assert limits_of(ModelSpec(), mult_adds=mult_adds)["int8_speedup"] == limit


@pytest.mark.parametrize(("fp32_ms", "limit"), [(0.01, 0.8), (0.299, 0.8), (0.3, 1.0), (5.0, 1.0), (None, 1.0)])
def test_speedup_limit_is_lower_for_a_network_of_less_than_0_3_ms(fp32_ms, limit):
    network = NetworkFacts(resolution=Resolution.square(224), mult_adds=10_000_000, fp32_ms=fp32_ms)
    assert default_limits(network)["int8_speedup"] == limit


def test_float_io_on_request_passes_int8_io():
    assert default_limits(NetworkFacts(resolution=Resolution.square(224), has_float_io=True)) == {"int8_io": 0.0}


def test_layers_that_were_to_stay_in_float_may_do_so():
    # 3 of 28 convolutions; 100,000 weights of 4 bytes grow by 300,000 bytes: 0.28 + (131072 + 300000) / 4000000.
    network = NetworkFacts(
        resolution=Resolution.square(224), integer_share=25 / 28, float_bytes=400_000, fp32_bytes=4_000_000
    )
    limits = default_limits(network)
    assert limits == {"int8_convs": 25 / 28, "twin_agreement": 0.95, "twin_lsb": 32, "size_ratio": 0.3878}
    usual = default_limits(NetworkFacts(resolution=Resolution.square(224)))
    assert not {"int8_convs", "twin_agreement", "twin_lsb"} & set(usual)


def test_network_of_unknown_alpha_has_the_drop_of_the_table():
    limits = limits_of(ModelSpec(alpha=0.75, resolution=Resolution.square(128)), alpha=None)
    assert not {"top1_drop", "agreement"} & set(limits)
    assert limits["size_ratio"] == limits_of(ModelSpec(alpha=0.75))["size_ratio"]


def test_unknown_network_has_the_limits_of_the_table():
    assert default_limits(NetworkFacts(resolution=Resolution.square(224))) == {}


@given(alpha=st.floats(0.01, 1), px=st.integers(1, 16).map(lambda step: 32 * step), classes=st.integers(2, 2000))
def test_default_limits_are_legal_for_every_network(alpha, px, classes):
    limits = limits_of(ModelSpec(alpha=alpha, resolution=Resolution.square(px), classes=classes))
    check_limits(limits)
    assert set(limits) <= set(GATES)
    assert limits["size_ratio"] > 0.28
    assert 0.85 <= limits["agreement"] <= 0.95


@pytest.mark.parametrize("name", ["foo", "", "Agreement", "agreement "])
def test_unknown_gate_is_an_option_error_that_names_the_known_ones(name):
    with pytest.raises(OptionError, match=r"gate must be one of .*agreement.*got"):
        check_limits({name: 1.0})


@pytest.mark.parametrize("limit", [math.nan, -0.001, -math.inf])
def test_limit_that_is_no_number_of_at_least_0_is_an_option_error(limit):
    with pytest.raises(OptionError, match="the limit of gate agreement must be a number of at least 0"):
        check_limits({"agreement": limit})


def test_legal_limits_are_accepted():
    check_limits(dict.fromkeys(GATES, 0.0) | {"agreement": 1.01})


def test_every_gate_has_a_meaning_and_advice():
    assert all(gate.meaning and gate.advice for gate in GATES.values())


def test_the_page_on_verify_names_every_gate_with_its_limit():
    page = (Path(__file__).parents[3] / "docs" / "verify.md").read_text("utf-8")
    table = page[page.index("| gate | default |") :].split("\n\n")[0]
    documented = {}
    for row in table.splitlines()[2:]:
        names, defaults = (re.split("[` ,]+", cell.strip("` ")) for cell in row.split("|")[1:3])
        is_listed = len(names) == len(defaults) and all(re.fullmatch(r"[\d.]+", each) for each in defaults)
        documented |= dict(zip(names, map(float, defaults), strict=True)) if is_listed else dict.fromkeys(names)
    assert documented.keys() == GATES.keys()
    listed = {name: limit for name, limit in documented.items() if limit is not None}
    assert len(listed) > len(GATES) / 2
    assert listed == {name: GATES[name].limit for name in listed}
