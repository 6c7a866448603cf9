"""Training from scratch: repeatable, with every step reported and classes balanced."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.data.open import ImageSet, iter_pixels, open_data
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training import train as training
from mbexport.models.training.augment import DIGITS_AUGMENTATION, Augmentation
from mbexport.models.training.stream import TrainSettings
from mbexport.models.training.train import class_weights, estimate_batch_norm_statistics, train
from mbexport.models.weights import weights_to_bytes

pytestmark = pytest.mark.run

layers = tf_keras.layers
SPEC = ModelSpec(alpha=0.05, resolution=Resolution.square(32), classes=10)
PREPARED = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0)
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
            learning_rate=3e-3,
            session=session_of(),
            on_step=lambda *step: steps.append(step),
        )
        assert len(history) == 2
        return model, steps

    return run


@pytest.fixture(scope="module")
def once(trained: Callable[..., tuple[Any, list[Step]]]) -> tuple[Any, list[Step]]:
    return trained()


@pytest.mark.run
def test_every_step_is_reported_with_the_right_total(once: tuple[Any, list[Step]]) -> None:
    _, steps = once
    # 70 images make 4 whole batches of 16, in each of 2 epochs.
    assert [(done, total) for done, total, _ in steps] == [(done, 8) for done in range(1, 9)]
    assert all(text.startswith("loss ") and "accuracy" in text for _, _, text in steps)


@pytest.mark.run
def test_the_same_seed_gives_the_same_weights(trained: Callable[..., Any], once: tuple[Any, list[Step]]) -> None:
    again, _ = trained()
    assert weights_to_bytes(again) == weights_to_bytes(once[0])


@pytest.mark.run
def test_another_seed_gives_other_weights(trained: Callable[..., Any], once: tuple[Any, list[Step]]) -> None:
    other, _ = trained(seed=1)
    assert weights_to_bytes(other) != weights_to_bytes(once[0])


@pytest.mark.run
def test_the_statistics_of_batch_normalization_follow_a_short_training(once: tuple[Any, list[Step]]) -> None:
    # 4 steps an epoch: Keras' 0.99 would remember the start throughout.
    assert once[0].get_layer("conv1_bn").momentum == 0.9


@pytest.mark.parametrize("count", [64, 128])
def test_statistics_are_the_plain_average_over_training_images(count):
    images = open_data("digits").evaluation(0).subset(np.arange(count))
    preprocess = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0)
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
    objectives: list[Any] = []
    monkeypatch.setattr(training, "fit", lambda _model, objective, *_, **__: objectives.append(objective))
    images = digits(70)
    train(SPEC, images, PREPARED, SETTINGS, epochs=1, learning_rate=3e-3, session=session_of(), on_step=lambda *_: None)
    np.testing.assert_array_equal(objectives[0].class_weights, class_weights(images.labels, 10))
