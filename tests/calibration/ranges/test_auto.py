"""The observer `auto`: it takes the candidate whose answers are nearest to float's."""

import numpy as np
import pytest
import tf_keras

from mbexport.calibration.affine import Range
from mbexport.calibration.choices import CANDIDATES, Observer
from mbexport.calibration.ranges import observe as auto
from mbexport.calibration.ranges.logits import divergence
from mbexport.calibration.ranges.observe import observe, observe_ranges
from mbexport.errors import StageError

layers = tf_keras.layers


@pytest.fixture(scope="module")
def network(short_network):
    return short_network()


@pytest.fixture(scope="module")
def images(inputs) -> np.ndarray:
    return inputs[:, ::4, ::4]


@pytest.fixture
def given_ranges(monkeypatch):
    """Lets candidates have ranges that a test chooses: those of `minmax`, some of them changed."""

    def give(network, images, changes):
        whole = observe(network, [images])
        found = {name: {**whole, **changes.get(name, {})} for name in CANDIDATES}
        monkeypatch.setattr(auto, "observe_each", lambda _model, batches, **_: (list(batches), found)[1])
        return found

    return give


@pytest.mark.parametrize("observer", CANDIDATES)
def test_an_observer_that_is_named_is_taken_without_comparing(network, images, observer):
    found = observe_ranges(network, iter([images[:32], images[32:]]), observer=observer)
    assert found.observer is observer
    assert found.errors == {}
    assert found.ranges == observe(network, [images[:32], images[32:]], observer=observer)


def test_the_best_of_all_is_chosen_and_every_error_told(network, images):
    found = observe_ranges(network, iter([images[:32], images[32:]]), observer=Observer.AUTO)
    assert list(found.errors) == list(CANDIDATES)
    assert found.errors[found.observer] == min(found.errors.values())
    assert all(error > 0 for error in found.errors.values())
    assert found.ranges == observe(network, [images[:32], images[32:]], observer=found.observer)


def test_a_candidate_that_cuts_half_of_a_tensor_is_not_chosen(network, images, given_ranges):
    bad = {name: {"pointwise_relu": Range(low=0, high=0.1)} for name in CANDIDATES if name is not Observer.MSE}
    given_ranges(network, images, bad)
    found = observe_ranges(network, [images], observer=Observer.AUTO)
    assert found.observer is Observer.MSE
    assert all(found.errors[name] > 2 * found.errors[Observer.MSE] for name in bad)


def test_of_equals_the_first_is_chosen(network, images, given_ranges):
    given_ranges(network, images, {})
    assert observe_ranges(network, [images], observer=Observer.AUTO).observer is Observer.MINMAX


def test_the_error_is_the_divergence_of_the_probabilities(network, images, given_ranges):
    # Everything in float but the logits, which have three codes: -1, 0 and 1.
    wide = {site: Range(low=interval.low, high=interval.high) for site, interval in observe(network, [images]).items()}
    given_ranges(network, images, {Observer.ENTROPY: {"head": Range(low=-127, high=128)}})
    found = observe_ranges(network, [images], observer=Observer.AUTO)
    logits = tf_keras.Model(network.input, network.get_layer("flat").output).predict_on_batch(images)
    # All other sites have 256 codes and add little.
    assert found.errors[Observer.ENTROPY] == pytest.approx(divergence(logits, np.rint(logits)), rel=0.3)
    assert wide.keys() == found.ranges.keys()


def test_scores_without_softmax_are_compared_by_their_squared_error(images, given_ranges):
    image = layers.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(
        layers.ReLU(6.0, name="relu")(layers.Conv2D(2, 1)(image))
    )
    network = tf_keras.Model(image, layers.Reshape((2,))(layers.Conv2D(2, 1, name="scores")(x)))
    narrow = Range(low=0, high=1e-6)
    given_ranges(network, images, {Observer.PERCENTILE: {"scores": narrow}})
    found = observe_ranges(network, [images], observer=Observer.AUTO)
    expected = network.predict_on_batch(images)
    assert found.errors[Observer.PERCENTILE] == pytest.approx(float((expected**2).mean()), rel=1e-3)


def test_at_most_64_images_are_compared(network, images, monkeypatch):
    counts = []
    monkeypatch.setattr(
        auto, "_errors", lambda _m, found, kept, _d: counts.append(sum(map(len, kept))) or dict.fromkeys(found, 0.0)
    )
    for batches in ([images[:10]], [images[:40], images[:40], images[:40]], [images, images]):
        observe_ranges(network, batches, observer=Observer.AUTO)
    assert counts == [10, 64, 64]


@pytest.mark.parametrize("observer", [Observer.AUTO, Observer.MSE])
def test_no_images_are_no_ranges(network, observer):
    with pytest.raises(StageError, match="at least one image"):
        observe_ranges(network, [], observer=observer)
