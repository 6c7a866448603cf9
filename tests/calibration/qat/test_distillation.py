"""Distillation never ends worse than it began, reports what it did, and takes any kind of scores."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import INT8_MAX, activation_affine
from mbexport.calibration.integers.corrections import Corrections, correct
from mbexport.calibration.qat import train as qat
from mbexport.calibration.qat.fake_quant import input_range
from mbexport.calibration.qat.train import Distilled, Duration, quantization_aware_training
from mbexport.calibration.ranges.observe import observe
from mbexport.errors import DataError
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.augment import DIGITS_AUGMENTATION
from mbexport.models.training.stream import TrainSettings

pytestmark = pytest.mark.run

SETTINGS = TrainSettings(batch=8, seed=0, augmentation=DIGITS_AUGMENTATION)
PREPARED = Preprocess(resolution=Resolution.square(8), crop_fraction=1.0)
ENTRY = input_range(input_scale=PREPARED.input_scale, input_zero_point=PREPARED.input_zero_point)
NONE = Corrections.of(())


def with_scores(network: Any, output: Output) -> Any:
    """The short network with another end."""
    logits = network.get_layer("flat").output
    if output is Output.SIGMOID:
        logits = tf_keras.layers.Activation("sigmoid", name="predictions")(logits)
    return network if output is Output.SOFTMAX else tf_keras.Model(network.input, logits)


Distil = Callable[..., tuple[Any, Any, Distilled]]


@pytest.fixture
def distil(short_network: Any, digits: ImageSet, session_of: Any) -> Distil:
    """Trains the short network, rounded to the nearest codes; gives its weights before and after, and the outcome."""

    def run(
        *,
        steps: int,
        images: ImageSet = digits,
        output: Output = Output.SOFTMAX,
        is_spoiled: bool = False,
        unless_below: float = 0.0,
    ) -> tuple[Any, Any, Distilled]:
        teacher, folded = (with_scores(short_network(), output) for _ in range(2))
        inputs = PREPARED.dequantize(np.concatenate(list(iter_pixels(digits, PREPARED))))
        found = correct(folded, observe(folded, [inputs]), lambda: [inputs], entry=ENTRY, corrections=NONE)
        for name, weights in found.weights.items():
            folded.get_layer(name).set_weights(weights)
        if is_spoiled:
            kernel, bias = folded.get_layer("head").get_weights()
            folded.get_layer("head").set_weights([kernel, bias + np.array([0.3, -0.3, 0.2, 0], np.float32)])
        before = folded.get_weights()
        outcome = quantization_aware_training(
            folded,
            images,
            PREPARED,
            SETTINGS,
            ranges=found.ranges,
            largest=found.largest,
            teacher=teacher,
            output=output,
            duration=Duration(steps=steps, unless_below=unless_below),
            session=session_of(),
            on_step=lambda *_: None,
        )
        steps_of_bias = found.largest["stem"] / INT8_MAX * activation_affine(ENTRY).scale[0]
        whole = folded.get_layer("stem").get_weights()[1] / steps_of_bias
        np.testing.assert_allclose(whole, np.rint(whole), atol=1e-3)  # kept or not: as an artifact has them
        return before, folded.get_weights(), outcome

    return run


@pytest.mark.parametrize(
    ("duration", "per_epoch", "judgements"),
    [
        (Duration(epochs=2), 1, 2),
        (Duration(epochs=2), 100, 5),
        (Duration(epochs=9), 100, 9),
        (Duration(steps=100), 7, 15),
        (Duration(steps=3), 7, 3),
    ],
)
def test_judgements_by_hand(duration: Duration, per_epoch: int, judgements: int) -> None:
    assert duration.phase(per_epoch).epochs == judgements


@given(st.integers(1, 3000), st.integers(1, 500))
def test_a_long_training_is_judged_five_times_at_least_and_after_each_epoch(steps: int, per_epoch: int) -> None:
    phase = Duration(steps=steps).phase(per_epoch)
    assert phase.total(per_epoch) == steps
    longest = max(len(phase.steps_of(epoch, per_epoch)) for epoch in range(phase.epochs))
    assert longest <= min(per_epoch, -(-steps // min(steps, 5)))


@pytest.mark.parametrize(
    "output",
    [Output.SOFTMAX, *(pytest.param(each, marks=pytest.mark.run) for each in (Output.SIGMOID, Output.LOGITS))],
)
def test_distillation_brings_any_kind_of_scores_nearer_to_float_s(
    distil: Distil, monkeypatch: pytest.MonkeyPatch, output: Output
) -> None:
    monkeypatch.setattr(qat, "_LEARNING_RATE", 1e-2)
    before, after, outcome = distil(steps=30, output=output, is_spoiled=True)
    assert outcome.is_kept
    assert 0 < outcome.best.loss < outcome.start.loss
    assert any(not np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert [step for step, _ in outcome.history] == [6, 12, 18, 24, 30]
    assert (outcome.images, outcome.held_out) == (52, 12)


def test_where_the_divergence_is_small_nothing_is_trained_and_where_it_is_not_it_is(distil: Distil) -> None:
    before, after, outcome = distil(steps=2, unless_below=1e9)
    assert [value.tobytes() for value in after] == [value.tobytes() for value in before]
    assert (outcome.is_kept, outcome.history, outcome.unsettled) == (False, (), ())
    assert outcome.best == outcome.start
    assert (outcome.images, outcome.held_out) == (52, 12)
    _, _, trained = distil(steps=2, unless_below=outcome.start.loss)
    assert [step for step, _ in trained.history] == [1, 2]


def test_distillation_that_does_harm_changes_nothing_and_says_so(
    distil: Distil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qat, "_LEARNING_RATE", 3.0)
    before, after, outcome = distil(steps=10)
    assert [value.tobytes() for value in after] == [value.tobytes() for value in before]
    assert not outcome.is_kept
    assert outcome.best.loss >= outcome.start.loss
    assert outcome.best == min((judged for _, judged in outcome.history), key=lambda judged: judged.loss)
    assert outcome.unsettled == ()


def test_what_is_lost_where_biases_become_whole_counts(distil: Distil, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(folded: Any, *_: Any, **__: Any) -> None:
        kernel, bias = folded.get_layer("head").get_weights()
        folded.get_layer("head").set_weights([kernel, bias + np.array([3, -3, 2, 0], np.float32)])

    monkeypatch.setattr(qat, "_LEARNING_RATE", 1e-2)
    monkeypatch.setattr(qat, "round_biases", spoil)
    before, after, outcome = distil(steps=30, is_spoiled=True)
    assert [value.tobytes() for value in after] == [value.tobytes() for value in before]
    assert min(judged.loss for _, judged in outcome.history) < outcome.start.loss < outcome.best.loss
    assert not outcome.is_kept


def test_without_a_step_there_is_nothing_to_tell(distil: Distil) -> None:
    before, after, outcome = distil(steps=0)
    assert outcome is None
    assert [value.tobytes() for value in after] == [value.tobytes() for value in before]


@pytest.mark.parametrize(
    ("seen", "judges"),
    [
        (range(8), {8, 9}),  # a fifth of ten
        (range(9), {9, None}),  # one of those that were seen has to do
        (range(4), {4, 5, 6, 7, 8, 9}),
        ((), set(range(10))),
    ],
)
def test_who_judges_was_not_seen_before_if_there_are_enough(digits: ImageSet, seen: Any, judges: set[Any]) -> None:
    images = digits.subset(np.arange(10))
    learned, held_out = qat._split(images, seed=0, seen=np.array(seen, np.int64))
    chosen = {images.names.index(name) for name in held_out.names}
    assert len(chosen) == 2
    assert chosen <= judges if None not in judges else judges - {None} <= chosen
    assert set(learned.names) | set(held_out.names) == set(images.names)
    assert not set(learned.names) & set(held_out.names)


def test_one_image_is_not_enough(distil: Distil, digits: ImageSet) -> None:
    with pytest.raises(DataError, match="quantization-aware training needs at least 2 images, got 1"):
        distil(steps=1, images=digits.subset(np.arange(1)))


def test_two_images_are_enough(distil: Distil, digits: ImageSet) -> None:
    _, _, outcome = distil(steps=2, images=digits.subset(np.arange(2)))
    assert (outcome.images, outcome.held_out) == (1, 1)
