"""Ranges that integer kernels ask for: shared, fixed, or a little wider."""

from typing import Any

import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import Range, activation_affine
from mbexport.calibration.ranges.observe import require_fit
from mbexport.calibration.ranges.ties import PROBABILITY_RANGE, settled, tied_sites
from mbexport.calibration.steps import steps_of
from mbexport.calibration.tables import agrees
from mbexport.errors import DataError, StageError
from mbexport.models.activations import HardSwish

layers = tf_keras.layers


def network(*, gate: bool = False) -> Any:
    """Two branches that are concatenated behind a pooling, a sigmoid beside them, and a head with a hard-swish."""
    image = layers.Input((8, 8, 3), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(4, 3, name="stem")(image))
    first = layers.AveragePooling2D(2, name="pool")(layers.Conv2D(4, 1, name="first")(x))
    second = layers.MaxPooling2D(2, name="largest")(layers.Conv2D(4, 1, name="second")(x))
    sigmoid = layers.Activation("sigmoid", name="sigmoid")(layers.Conv2D(8, 1, name="third")(layers.MaxPooling2D(2)(x)))
    both = layers.Concatenate(name="both")([first, sigmoid if gate else second])
    x = both if gate else layers.Multiply(name="gated")([both, sigmoid])
    x = HardSwish(name="swish")(layers.Conv2D(4, 1, name="mixed")(x))
    return tf_keras.Model(image, layers.Conv2D(2, 1, name="head")(x))


OBSERVED = {
    "stem_relu": Range(low=0, high=3),
    "first": Range(low=-1, high=2),
    "pool": Range(low=-0.5, high=1.5),
    "second": Range(low=-3, high=1),
    "third": Range(low=-4, high=4),
    "sigmoid": Range(low=0, high=0.9),
    "both": Range(low=-2, high=1.5),
    "gated": Range(low=-1, high=1),
    "mixed": Range(low=-5, high=4),
    "swish": Range(low=-0.375, high=4),
    "head": Range(low=-1, high=1),
}


def test_tensors_between_which_no_kernel_rescales_by_hand() -> None:
    (group,) = tied_sites(steps_of(network()))
    assert set(group) == {"first", "pool", "second", "both"}  # the largest of codes is a code: it has no range itself
    found = settled(steps_of(network()), OBSERVED)
    assert {found[site] for site in group} == {Range(low=-3, high=2)}
    assert found["sigmoid"] == PROBABILITY_RANGE
    assert {site for site in found if found[site] != OBSERVED[site]} <= {*group, "sigmoid", "swish"}


def test_a_sigmoid_cannot_share_its_range() -> None:
    with pytest.raises(StageError, match="a sigmoid must not be concatenated or pooled, got sigmoid"):
        tied_sites(steps_of(network(gate=True)))


def test_the_image_cannot_share_its_range() -> None:
    image = layers.Input((8, 8, 3))
    x = layers.Conv2D(2, 1)(layers.AveragePooling2D(2, name="small")(image))
    with pytest.raises(StageError, match="a convolution must read the image, got small"):
        tied_sites(steps_of(tf_keras.Model(image, x)))


def test_a_file_of_ranges_that_are_not_shared_is_refused() -> None:
    fitting = settled(steps_of(network()), OBSERVED)
    require_fit(network(), fitting, source="ranges.json")
    with pytest.raises(DataError, match=r"ranges.json: the ranges of first and pool must be equal"):
        require_fit(network(), {**fitting, "pool": OBSERVED["pool"]}, source="ranges.json")


@given(low=st.floats(0.5, 12), high=st.floats(0.5, 12))
def test_a_hard_swish_gets_a_range_at_which_all_kernels_agree(low: float, high: float) -> None:
    steps = [step for step in steps_of(network()) if step.site in ("mixed", "swish")]
    observed = {"mixed": Range(low=-low, high=high), "swish": Range(low=-0.375, high=high)}
    found = settled(steps, observed)
    assert found["mixed"] == observed["mixed"]
    assert 1 <= found["swish"].high / high <= 1.0201
    assert found["swish"].low / -0.375 == pytest.approx(found["swish"].high / high)
    assert agrees(HardSwish(), activation_affine(found["mixed"]), activation_affine(found["swish"]))
