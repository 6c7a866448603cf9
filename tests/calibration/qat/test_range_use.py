"""How tensors use their ranges before and after training: by hand, as a law, and on networks whose weights moved."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import Range
from mbexport.calibration.qat.fake_quant import fake_quantize
from mbexport.calibration.qat.train import RangeUse, range_uses, unsettled
from mbexport.calibration.ranges.observe import observe

pytestmark = pytest.mark.run

SITES = ("stem_relu", "depthwise_relu", "pointwise_relu")
INPUT = {"input_scale": 1 / 127.5, "input_zero_point": 128}
USES = st.dictionaries(
    st.sampled_from(SITES), st.builds(RangeUse, clipped=st.floats(0, 1), reach=st.floats(0, 9)), min_size=1
)


def batches() -> list[np.ndarray]:
    return [np.random.default_rng(seed).uniform(-1, 1, (8, 8, 8, 3)).astype(np.float32) for seed in (0, 1)]


def uses_of(folded: Any, ranges: dict[str, Range]) -> dict[str, RangeUse]:
    return range_uses(fake_quantize(folded, ranges, **INPUT), ranges, batches())


@pytest.mark.parametrize(
    ("clipped", "reach", "is_unsettled"),
    [
        ((0.0, 0.0), (1.0, 0.6), False),
        ((0.0, 0.009), (1.0, 1.5), False),  # nine of a thousand values: less than a percentage point
        ((0.0, 0.02), (1.0, 1.5), True),
        ((0.05, 0.055), (2.0, 2.0), False),  # it was so before
        ((0.0, 0.0), (1.0, 0.49), True),
        ((0.0, 0.0), (0.3, 0.2), False),  # it never used half of it
    ],
)
def test_unsettled_by_hand(clipped: Any, reach: Any, is_unsettled: bool) -> None:
    before, after = ({"relu": RangeUse(clipped=clipped[i], reach=reach[i])} for i in (0, 1))
    assert unsettled(before, after) == (("relu",) if is_unsettled else ())


@given(USES)
def test_what_did_not_move_is_settled(uses: dict[str, RangeUse]) -> None:
    assert unsettled(uses, uses) == ()


def test_ranges_that_were_observed_are_reached_and_nothing_is_cut(short_network: Any) -> None:
    # Rounding moves values a little: by a code or two of 255.
    folded = short_network()
    found = uses_of(folded, observe(folded, batches()))
    assert tuple(found) == SITES
    assert all(use.reach == pytest.approx(1, abs=0.02) for use in found.values())
    assert all(use.clipped < 0.01 for use in found.values())


def test_share_that_is_cut_by_hand(short_network: Any) -> None:
    # A bias that decides everything: three channels of four give 1 everywhere, the fourth 3, cut at 2.
    folded = short_network()
    kernel, _ = folded.get_layer("stem").get_weights()
    folded.get_layer("stem").set_weights([np.zeros_like(kernel), np.array([1, 1, 1, 3], np.float32)])
    ranges = {**observe(folded, batches()), "stem_relu": Range(low=0, high=2)}
    found = uses_of(folded, ranges)["stem_relu"]
    assert (found.clipped, found.reach) == pytest.approx((0.25, 1.5), rel=1e-3)


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_a_layer_that_was_moved_out_of_its_range_is_named(short_network: Any, factor: float) -> None:
    folded = short_network()
    ranges = observe(folded, batches())
    before = uses_of(folded, ranges)
    stem = folded.get_layer("stem")
    stem.set_weights([value * factor for value in stem.get_weights()])
    assert "stem_relu" in unsettled(before, uses_of(folded, ranges))
