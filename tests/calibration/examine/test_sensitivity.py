"""Sensitivity: distances by hand, laws, and a network one of whose layers was rounded too coarsely."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import Range
from mbexport.calibration.examine import sensitivity as sensitivity_of
from mbexport.calibration.examine.sensitivity import (
    Answers,
    Sensitivity,
    costliest,
    distances,
    image_count,
    rounded,
    sensitivity,
    unrounded,
)
from mbexport.calibration.examine.twins import Twin, twins_of
from mbexport.calibration.integers.arrangement import plain_arrangement
from mbexport.calibration.qat.fake_quant import input_range
from mbexport.calibration.ranges.observe import observe
from mbexport.models.facts import Output
from mbexport.models.folding import is_convolution

pytestmark = pytest.mark.run

ENTRY = input_range(input_scale=1 / 127.5, input_zero_point=128)


def test_distances_by_hand() -> None:
    expected, found = np.float32([[0.0, math.log(3)]]), np.float32([[0.0, 0.0]])
    # Probabilities 1/4 and 3/4 against 1/2 and 1/2.
    nats = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert distances(expected, found, Output.SOFTMAX) == pytest.approx(np.array([nats]), rel=1e-6)
    assert distances(expected, found, Output.LOGITS) == pytest.approx(np.array([[0, math.log(3) ** 2]]), rel=1e-6)
    assert distances(expected, found, Output.SIGMOID) == pytest.approx(np.array([[0, (0.75 - 0.5) ** 2]]), rel=1e-6)


LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=3, max_size=3)


@given(LOGITS, LOGITS, st.sampled_from(Output))
def test_a_distance_is_not_negative_and_zero_from_itself(a: list[float], b: list[float], output: Output) -> None:
    one, other = np.float32([a]), np.float32([b])
    assert (distances(one, other, output) >= -1e-12).all()
    assert not distances(one, one, output).any()


def test_shares_by_hand() -> None:
    alike = Answers(divergence=0.25, agreement=1.0)
    whole = Answers(divergence=1.0, agreement=0.5)
    found = Sensitivity(samples=2, quantized=whole, without={"a": alike, "b": Answers(divergence=1.5, agreement=0.5)})
    assert (found.share("a"), found.share("b")) == (0.75, -0.5)
    exact = Sensitivity(samples=2, quantized=Answers(divergence=0.0, agreement=1.0), without={"a": alike})
    assert math.isnan(exact.share("a"))


@pytest.mark.parametrize(
    ("mult_adds", "images"),
    [(1_000_000, 64), (325_000_000, 29), (569_000_000, 17), (10**12, 16)],  # 0.75 and 1.0 at 224 px in the middle
)
def test_the_less_a_network_costs_the_more_images_it_is_tried_on(mult_adds: int, images: int) -> None:
    assert image_count(mult_adds, layers=29) == images


def twins_with(network: Callable[[], Any], inputs: np.ndarray, coarse: dict[str, float]) -> list[Twin]:
    """Twins of a network with plain ranges; the scales of some layers are so many times too coarse."""
    folded = network()
    ranges = {site: Range(low=r.low, high=r.high) for site, r in observe(folded, [inputs]).items()}
    largest = {
        layer.name: np.full(
            layer.output_shape[-1], np.abs(layer.get_weights()[0]).max() * coarse.get(layer.name, 1.0), np.float64
        )
        for layer in filter(is_convolution, folded.layers)
    }
    plain = plain_arrangement(folded)
    return twins_of(folded, network(), entry=ENTRY, ranges=ranges, largest=largest, arrangement=plain)


@pytest.mark.parametrize("coarse", ["stem", "depthwise", "pointwise", "head"])
def test_the_layer_that_was_rounded_too_coarsely_costs_most(
    short_network: Callable[[], Any], inputs: np.ndarray, coarse: str
) -> None:
    small = inputs[:, ::4, ::4]
    twins = twins_with(short_network, small, {coarse: 60.0})
    found = sensitivity(twins, [np.rint(small * np.float32(127.5))], output=Output.SOFTMAX)
    shares = {layer: found.share(layer) for layer in found.without}
    assert max(shares, key=shares.get) == coarse
    assert shares[coarse] > 0.5
    assert found.samples == len(small)


def test_the_last_layer_in_float_is_what_an_unrounded_head_makes_of_the_codes_before(
    short_network: Callable[[], Any], inputs: np.ndarray
) -> None:
    small = inputs[:8, ::4, ::4]
    steps = np.rint(small * np.float32(127.5))
    twins = twins_with(short_network, small, {})
    found = sensitivity(twins, [steps[:5], steps[5:]], output=Output.LOGITS)
    floats = codes = steps
    for twin in twins[:-1]:
        floats, codes = twin.in_float(floats), twin.in_integers(codes)
    head = twins[-1]
    expected, lone = (np.asarray(head.in_float(x) * head.units).reshape(8, -1) for x in (floats, codes))
    assert found.without["head"].divergence == pytest.approx(float(np.square(expected - lone).mean()), rel=1e-4)
    assert found.without["head"].agreement == (expected.argmax(axis=1) == lone.argmax(axis=1)).mean()


@pytest.mark.parametrize("coarse", ["stem", "depthwise", "pointwise", "head"])
def test_the_costliest_layer_is_the_one_that_was_rounded_too_coarsely(
    short_network: Callable[[], Any], inputs: np.ndarray, coarse: str
) -> None:
    small = inputs[:, ::4, ::4]
    twins = twins_with(short_network, small, {coarse: 60.0})
    found = sensitivity(twins, [np.rint(small * np.float32(127.5))], output=Output.SOFTMAX, in_float=rounded)
    layers = ["stem", "depthwise", "pointwise", "head"]
    assert costliest(found, layers, 1) == [coarse]
    assert costliest(found, [name for name in layers if name != coarse], 9)[0] != coarse


def test_a_layer_that_is_kept_gives_codes_and_an_unrounded_one_does_not(
    short_network: Callable[[], Any], inputs: np.ndarray
) -> None:
    steps = np.rint(inputs[:8, ::4, ::4] * np.float32(127.5))
    stem = twins_with(short_network, inputs[:, ::4, ::4], {})[0]
    kept, floats = np.asarray(rounded(stem, [steps])), np.asarray(unrounded(stem, [steps]))
    np.testing.assert_array_equal(kept, np.rint(kept))
    assert np.abs(kept - floats.clip(stem.lowest, stem.highest)).max() <= 0.5 + 1e-4
    assert not np.array_equal(floats, np.rint(floats))


def test_where_no_box_is_shown_none_is_missed() -> None:
    none = np.zeros(1)
    parts = [sensitivity_of._Compared(distances=none, answers=0, asked=none, alike=none)] * 2
    assert sensitivity_of._Compared.joined(parts) == Answers(divergence=0.0, agreement=1.0)
