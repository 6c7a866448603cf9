"""The tensors that have a range, the ranges observed, and the check that ranges belong to a network."""

import numpy as np
import pytest
import tf_keras

from mbexport.calibration.affine import Range
from mbexport.calibration.choices import CANDIDATES, Observer
from mbexport.calibration.ranges.observe import observe, observe_each, require_fit
from mbexport.calibration.steps import activation_sites
from mbexport.errors import DataError, MbexportError
from mbexport.models.mobilenet_v1.spec import Convolution

layers = tf_keras.layers


@pytest.fixture(scope="module")
def by_hand() -> tf_keras.Model:
    """A chain whose tensors can be worked out in the head: 2x - 1, ReLU6, mean, 1 - 4x."""
    x = image = layers.Input((2, 2, 1))
    x = layers.ReLU(6.0, name="relu")(layers.Conv2D(1, 1, name="double")(x))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    x = layers.Conv2D(1, 1, name="logit")(x)
    network = tf_keras.Model(image, x)
    network.get_layer("double").set_weights([np.full((1, 1, 1, 1), 2), np.full(1, -1)])
    network.get_layer("logit").set_weights([np.full((1, 1, 1, 1), -4), np.full(1, 1)])
    return network


def batch(*pixels: float) -> np.ndarray:
    """One image (1, 2, 2, 1)."""
    return np.array(pixels, np.float32).reshape(1, 2, 2, 1)


def test_a_mobilenet_stores_27_relus_the_pooled_features_and_the_logits(tiny_mobilenet):
    blocks = [f"conv_{kind}_{number}_relu" for number in range(1, 14) for kind in ("dw", "pw")]
    expected = ("conv1_relu", *blocks, "global_average_pooling2d", "conv_preds")
    assert len(expected) == 29
    assert activation_sites(tiny_mobilenet()) == expected


@pytest.mark.parametrize(("shallow", "blocks"), [(False, 13), (True, 8)])
def test_a_network_of_standard_convolutions_stores_a_relu_a_block(tiny_mobilenet, shallow, blocks):
    relus = [f"conv_std_{number}_relu" for number in range(1, blocks + 1)]
    expected = ("conv1_relu", *relus, "global_average_pooling2d", "conv_preds")
    assert activation_sites(tiny_mobilenet(conv=Convolution.STANDARD, shallow=shallow)) == expected


def test_a_shallow_mobilenet_stores_17_relus_the_pooled_features_and_the_logits(tiny_mobilenet):
    blocks = [f"conv_{kind}_{number}_relu" for number in range(1, 9) for kind in ("dw", "pw")]
    expected = ("conv1_relu", *blocks, "global_average_pooling2d", "conv_preds")
    assert activation_sites(tiny_mobilenet(shallow=True)) == expected


def test_a_convolution_is_a_site_only_where_no_relu_follows(by_hand):
    assert activation_sites(by_hand) == ("relu", "mean", "logit")


def test_ranges_of_one_image(by_hand):
    # 2x - 1: -1 1 3 9; ReLU6: 0 1 3 6; mean: 2.5; 1 - 4x: -9.
    assert observe(by_hand, [batch(0, 1, 2, 5)]) == {
        "relu": Range(low=0, high=6),
        "mean": Range(low=0, high=2.5),
        "logit": Range(low=-9, high=0),
    }


def test_ranges_of_several_batches_hold_each_of_them(by_hand):
    # The second: ReLU6 of -1 is 0, the mean 0, 1 - 4x is 1. The third: 1, 1, -3.
    found = observe(by_hand, [batch(0, 1, 2, 5), batch(0, 0, 0, 0), batch(1, 1, 1, 1)])
    assert found["logit"] == Range(low=-9, high=1)
    assert found["mean"] == Range(low=0, high=2.5)


def test_a_relu_starts_at_exactly_zero_though_it_saw_nothing_below_3(by_hand):
    assert observe(by_hand, [batch(2, 2.5, 2.5, 2)])["relu"] == Range(low=0, high=4)


def test_the_size_of_the_batches_does_not_matter(short_network):
    network = short_network()
    images = np.random.default_rng(0).uniform(-1, 1, (24, 8, 8, 3)).astype(np.float32)
    whole = observe(network, [images])
    parts = observe(network, [images[:7], images[7:8], images[8:]])
    assert whole.keys() == parts.keys()
    for site, interval in whole.items():
        # Matrix products of another size add up in another order.
        assert (parts[site].low, parts[site].high) == pytest.approx((interval.low, interval.high), rel=1e-4)


def test_more_images_never_narrow_a_range(short_network):
    network = short_network()
    images = np.random.default_rng(1).uniform(-1, 1, (3, 8, 8, 8, 3)).astype(np.float32)
    few, more = observe(network, images[:1]), observe(network, images)
    assert all(more[site].low <= few[site].low and few[site].high <= more[site].high for site in few)
    assert any(few[site].high < more[site].high for site in few)


def test_an_image_with_nan_gives_no_ranges(by_hand):
    with pytest.raises(MbexportError):
        observe(by_hand, [batch(0, 1, 2, 5), batch(0, np.nan, 2, 5)])


def test_every_observer_sees_the_same_pass(by_hand):
    passes = iter([batch(0, 1, 2, 5), batch(0, 0, 0, 0)])
    found = observe_each(by_hand, passes, observers=CANDIDATES)
    assert list(found) == list(CANDIDATES)
    assert found[Observer.MINMAX]["logit"] == Range(low=-9, high=1)
    # One value a batch: -9, then 1. A fifth of the way from one to the other is -7, and zero is held.
    assert found[Observer.MOVING_AVERAGE]["logit"].low == pytest.approx(-7)
    assert all(ranges["relu"].low == 0 for ranges in found.values())


@pytest.mark.parametrize("observer", CANDIDATES)
def test_a_relu_starts_at_zero_by_every_observer(by_hand, observer):
    found = observe(by_hand, [batch(2, 2.5, 2.5, 2)], observer=observer)
    assert found["relu"].low == 0
    assert 2.9 < found["relu"].high <= 4


FITTING = {"relu": Range(low=0, high=6), "mean": Range(low=0, high=3), "logit": Range(low=-9, high=1)}


def test_ranges_of_the_same_network_fit(by_hand):
    require_fit(by_hand, FITTING, source="r.json")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mean": None, "logit": None}, "r.json must hold the ranges of this network, got none for mean"),
        (
            {"other": Range(low=0, high=1)},
            "r.json must hold the ranges of this network, got one for other, which it does not have",
        ),
        (
            {"relu": Range(low=0, high=6.5)},
            "r.json: the range of relu must lie between 0 and 6 and begin at 0, got [0, 6.5]",
        ),
        (
            {"relu": Range(low=-1, high=6)},
            "r.json: the range of relu must lie between 0 and 6 and begin at 0, got [-1, 6]",
        ),
    ],
)
def test_ranges_that_do_not_fit_are_refused_naming_the_first_site(by_hand, changed, message):
    ranges = {site: interval for site, interval in {**FITTING, **changed}.items() if interval}
    with pytest.raises(DataError) as caught:
        require_fit(by_hand, ranges, source="r.json")
    assert str(caught.value) == message


def test_a_plain_relu_has_no_ceiling(short_network):
    x = image = layers.Input((2, 2, 1))
    x = layers.ReLU(name="relu")(layers.Conv2D(1, 1, name="conv")(x))
    require_fit(tf_keras.Model(image, x), {"relu": Range(low=0, high=100)}, source="r.json")
