"""Fine-tuning: the head first, then everything; the best epoch is chosen on images that are not learned from."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras

from mbexport.models.data.open import ImageSet, stratified_split
from mbexport.models.mobilenet_v1.pretrained import HEAD
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training import fine_tune as tuning
from mbexport.models.training.augment import Augmentation
from mbexport.models.training.fine_tune import fine_tune
from mbexport.models.training.stream import TrainSettings
from mbexport.models.training.train import make_deterministic

pytestmark = pytest.mark.run

layers = tf_keras.layers
PREPARED = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0)
STILL = Augmentation(rotation_deg=0, zoom=0, shift=0, mirror=False, fill_mode="CONSTANT")
SETTINGS = TrainSettings(batch=16, seed=0, augmentation=STILL)


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
    """A finished fine-tuning: the weights before each epoch and at the end, and its figures."""

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

    history = fine_tune(
        model,
        images,
        PREPARED,
        SETTINGS,
        untrained={HEAD},
        epochs=10,
        validation=None,
        session=session_of(),
        on_step=note,
    )
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


def test_every_epoch_is_evaluated_on_held_out_images(tuned: Tuned) -> None:
    assert all({"loss", "accuracy", "learning_rate", "val_loss", "val_accuracy"} == set(row) for row in tuned.history)


@pytest.fixture
def objective_of(monkeypatch: pytest.MonkeyPatch, session_of: Callable[..., Any]) -> Callable[..., Any]:
    """The objective that `fine_tune` passes to `fit`."""
    objectives: list[Any] = []
    monkeypatch.setattr(tuning, "fit", lambda _model, objective, *_, **__: objectives.append(objective))

    def of(images: ImageSet, validation: ImageSet | None) -> Any:
        fine_tune(
            tuned_network(),
            images,
            PREPARED,
            SETTINGS,
            untrained={HEAD},
            epochs=10,
            validation=validation,
            session=session_of(),
            on_step=lambda *_: None,
        )
        return objectives.pop()

    return of


def test_held_out_images_are_a_tenth_of_each_class_and_not_trained_on(
    tuned: Tuned, objective_of: Callable[..., Any]
) -> None:
    objective = objective_of(tuned.images, None)
    learned, held_out = set(objective.images.names), set(objective.validation.names)
    assert not learned & held_out
    assert learned | held_out == set(tuned.images.names)
    assert np.bincount(objective.validation.labels).tolist() == [2, 2, 2]
    _, expected = stratified_split(tuned.images.labels, test_fraction=0.1, seed=SETTINGS.seed)
    assert held_out == {tuned.images.names[index] for index in expected}
    np.testing.assert_array_equal(objective.class_weights, np.ones(3))


def test_with_validation_images_all_others_are_trained_on(tuned: Tuned, objective_of: Callable[..., Any]) -> None:
    aside, rest = tuned.images.subset(np.arange(20)), tuned.images.subset(np.arange(20, 60))
    objective = objective_of(rest, aside)
    assert (objective.averaged_epochs, objective_of(rest, None).averaged_epochs) == (1, 5)
    assert (objective.images.names, objective.validation.names) == (rest.names, aside.names)


def test_the_epoch_is_kept_at_which_the_last_five_were_best(tuned: Tuned) -> None:
    def judged(epoch: int) -> tuple[float, float]:
        recent = tuned.history[max(0, epoch - 4) : epoch + 1]
        return np.mean([row["val_accuracy"] for row in recent]), -np.mean([row["val_loss"] for row in recent])

    best = max(range(len(tuned.history)), key=judged)
    assert moved(tuned.weights[best + 1], by_layer(tuned.model)) == set()
