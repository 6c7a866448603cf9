"""Training from scratch and fine-tuning: repeatable, counted, balanced, and the held-out images are left alone."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models import train as training
from mbexport.models.augment import DIGITS_AUGMENTATION, Augmentation
from mbexport.models.data import ImageSet, iter_pixels, open_data, stratified_split
from mbexport.models.fit import TrainSettings
from mbexport.models.preprocess import Preprocess
from mbexport.models.spec import ModelSpec
from mbexport.models.train import class_weights, estimate_batch_norm_statistics, fine_tune, make_deterministic, train
from mbexport.models.weights import weights_to_bytes

layers = tf_keras.layers
SPEC = ModelSpec(alpha=0.05, resolution_px=32, classes=10)
PREPARED = Preprocess(resolution_px=32, crop_fraction=1.0)
STILL = Augmentation(rotation_deg=0, zoom=0, shift=0, mirror=False, fill_mode="CONSTANT")
SETTINGS = TrainSettings(batch=16, seed=0, augmentation=DIGITS_AUGMENTATION)

Step = tuple[int, int, str]


def digits(count: int) -> ImageSet:
    return open_data("digits").split(0)[0].subset(np.arange(count, dtype=np.int64))


@pytest.fixture(scope="module")
def trained(session_of: Callable[..., Any]) -> Callable[..., tuple[Any, list[Step]]]:
    """Trains on 70 digits for two epochs, from a seed."""

    def run(*, seed: int = 0) -> tuple[Any, list[Step]]:
        steps: list[Step] = []
        model, history = train(
            SPEC,
            digits(70),
            PREPARED,
            dataclasses.replace(SETTINGS, seed=seed),
            epochs=2,
            session=session_of(),
            on_step=lambda *step: steps.append(step),
        )
        assert len(history) == 2
        return model, steps

    return run


@pytest.fixture(scope="module")
def once(trained: Callable[..., tuple[Any, list[Step]]]) -> tuple[Any, list[Step]]:
    return trained()


def test_every_step_is_reported_with_the_right_total(once: tuple[Any, list[Step]]) -> None:
    _, steps = once
    # 70 images make 4 whole batches of 16, in each of 2 epochs.
    assert [(done, total) for done, total, _ in steps] == [(done, 8) for done in range(1, 9)]
    assert all(text.startswith("loss ") and "accuracy" in text for _, _, text in steps)


def test_the_same_seed_gives_the_same_weights(trained: Callable[..., Any], once: tuple[Any, list[Step]]) -> None:
    again, _ = trained()
    assert weights_to_bytes(again) == weights_to_bytes(once[0])


def test_another_seed_gives_other_weights(trained: Callable[..., Any], once: tuple[Any, list[Step]]) -> None:
    other, _ = trained(seed=1)
    assert weights_to_bytes(other) != weights_to_bytes(once[0])


def test_the_statistics_of_batch_normalization_follow_a_short_training(once: tuple[Any, list[Step]]) -> None:
    # 4 steps an epoch: Keras' 0.99 would remember the start throughout.
    assert once[0].get_layer("conv1_bn").momentum == 0.9


@pytest.mark.parametrize("count", [64, 128])
def test_statistics_are_the_plain_average_over_training_images(count):
    images = open_data("digits").evaluation(0).subset(np.arange(count))
    preprocess = Preprocess(resolution_px=32, crop_fraction=1.0)
    image = tf_keras.layers.Input((32, 32, 3))
    norm = tf_keras.layers.BatchNormalization(momentum=0.9)
    model = tf_keras.Model(image, norm(image))
    estimate_batch_norm_statistics(model, images, preprocess, seed=0)
    everything = preprocess.normalize(np.concatenate(list(iter_pixels(images, preprocess))))
    # Both counts are whole batches of 64, so the average over batches is the one over images.
    np.testing.assert_allclose(norm.moving_mean, everything.mean(axis=(0, 1, 2)), rtol=1e-4)
    assert norm.momentum == 0.9


def test_class_weights_by_hand() -> None:
    # Eight images of three classes: 8 / (3 * 4), 8 / (3 * 1), 8 / (3 * 3); nobody has the class 2.
    labels = np.array([0, 0, 0, 0, 1, 3, 3, 3])
    found = class_weights(labels, 5)
    assert found == pytest.approx([2 / 3, 8 / 3, 0, 8 / 9, 0])
    assert found.dtype == np.float32


LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=60)


@given(LABELS)
def test_all_classes_that_are_there_weigh_the_same(numbers: list[int]) -> None:
    labels = np.array(numbers, np.int64)
    weights, counts = class_weights(labels, 7), np.bincount(labels, minlength=7)
    share = len(labels) / (counts > 0).sum()
    np.testing.assert_allclose(weights * counts, np.where(counts > 0, share, 0), rtol=1e-5)
    assert weights[labels].sum() == pytest.approx(len(labels), rel=1e-5)  # the loss stays of the same size


@given(st.integers(1, 9), st.integers(1, 9))
def test_balanced_data_weigh_one(classes: int, each: int) -> None:
    assert class_weights(np.repeat(np.arange(classes), each), classes).tolist() == [1] * classes


def test_training_balances_its_classes(monkeypatch: pytest.MonkeyPatch, session_of: Callable[..., Any]) -> None:
    lessons: list[Any] = []
    monkeypatch.setattr(training, "fit", lambda _model, lesson, *_, **__: lessons.append(lesson))
    monkeypatch.setattr(training, "build", lambda *_, **__: tuned_network())
    images = digits(70)
    train(SPEC, images, PREPARED, SETTINGS, epochs=1, session=session_of(), on_step=lambda *_: None)
    np.testing.assert_array_equal(lessons[0].class_weights, class_weights(images.labels, 10))


# ---- fine-tuning


def tuned_network() -> Any:
    """A backbone that sees how bright an image is, and a head by the name of MobileNet's."""
    x = image = layers.Input((32, 32, 3), name="image")
    x = layers.Conv2D(4, 3, strides=8, use_bias=False, name="conv1")(x)
    x = layers.ReLU(6.0, name="conv1_relu")(layers.BatchNormalization(name="conv1_bn")(x))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Reshape((3,), name="flat")(layers.Conv2D(3, 1, name="conv_preds")(x))
    return tf_keras.Model(image, layers.Softmax(name="predictions")(x))


@dataclasses.dataclass(kw_only=True)
class Tuned:
    """A fine-tuning that was watched: the weights before each epoch and in the end, and its figures."""

    model: Any
    images: ImageSet
    weights: list[dict[str, Any]]
    history: list[dict[str, float]]


@pytest.fixture(scope="module")
def tuned(shades: Callable[..., ImageSet], session_of: Callable[..., Any]) -> Tuned:
    """Ten epochs on 60 shades of grey: 54 are learned from in 3 steps, two of each class are held out."""
    make_deterministic(0)
    model, images = tuned_network(), shades(60, classes=3)
    weights = [by_layer(model)]

    def note(done: int, _total: int, _text: str) -> None:
        if done % 3 == 0:
            weights.append(by_layer(model))

    settings = dataclasses.replace(SETTINGS, augmentation=STILL)
    history = fine_tune(model, images, PREPARED, settings, epochs=10, session=session_of(), on_step=note)
    return Tuned(model=model, images=images, weights=weights, history=history)


def by_layer(model: Any) -> dict[str, Any]:
    return {layer.name: [value.copy() for value in layer.get_weights()] for layer in model.layers if layer.weights}


def moved(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {
        name
        for name in before
        if any(not np.array_equal(*pair) for pair in zip(before[name], after[name], strict=True))
    }


def test_the_head_learns_alone_for_a_fifth_of_the_epochs_then_everything(tuned: Tuned) -> None:
    epochs = [moved(before, after) for before, after in zip(tuned.weights, tuned.weights[1:], strict=False)]
    assert epochs[:2] == [{"conv_preds"}] * 2
    assert len(epochs) > 3
    everything = {"conv1", "conv_preds", *(name for names in epochs for name in names if name.endswith("bn"))}
    assert len(everything) == 3
    assert all(names == everything for names in epochs[2:])


def test_every_epoch_is_judged_on_held_out_images(tuned: Tuned) -> None:
    assert all({"loss", "accuracy", "learning_rate", "val_loss", "val_accuracy"} == set(row) for row in tuned.history)


def test_held_out_images_are_a_tenth_of_each_class_and_not_learned_from(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch, session_of: Callable[..., Any]
) -> None:
    lessons: list[Any] = []
    monkeypatch.setattr(training, "fit", lambda _model, lesson, *_, **__: lessons.append(lesson))
    fine_tune(
        tuned_network(), tuned.images, PREPARED, SETTINGS, epochs=10, session=session_of(), on_step=lambda *_: None
    )
    learned, held_out = set(lessons[0].images.names), set(lessons[0].validation.names)
    assert not learned & held_out
    assert learned | held_out == set(tuned.images.names)
    assert np.bincount(lessons[0].validation.labels).tolist() == [2, 2, 2]
    _, expected = stratified_split(tuned.images.labels, test_fraction=0.1, seed=SETTINGS.seed)
    assert held_out == {tuned.images.names[index] for index in expected}
    np.testing.assert_array_equal(lessons[0].class_weights, np.ones(3))


def test_the_epoch_is_kept_at_which_the_last_five_were_best(tuned: Tuned) -> None:
    def judged(epoch: int) -> tuple[float, float]:
        recent = tuned.history[max(0, epoch - 4) : epoch + 1]
        return np.mean([row["val_accuracy"] for row in recent]), -np.mean([row["val_loss"] for row in recent])

    best = max(range(len(tuned.history)), key=judged)
    assert moved(tuned.weights[best + 1], by_layer(tuned.model)) == set()
