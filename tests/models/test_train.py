"""Training: repeatable, counted, and stopped when it diverges."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras
from PIL import Image

from mbexport.errors import StageError
from mbexport.models import train as training
from mbexport.models.augment import DIGITS_AUGMENTATION, Augmentation
from mbexport.models.data import ImageSet, iter_pixels, open_data
from mbexport.models.preprocess import Preprocess
from mbexport.models.spec import ModelSpec
from mbexport.models.train import (
    TrainSettings,
    augmented_batches,
    estimate_batch_norm_statistics,
    fit,
    make_deterministic,
    steps_per_epoch,
    train,
)
from mbexport.models.weights import weights_to_bytes

SPEC = ModelSpec(alpha=0.05, resolution_px=32, classes=10)
PREPARED = Preprocess(resolution_px=32, crop_fraction=1.0)
STILL = Augmentation(rotation_deg=0, zoom=0, shift=0, mirror=False, fill_mode="CONSTANT")
SETTINGS = TrainSettings(epochs=2, batch=16, learning_rate=0.01, seed=0, augmentation=DIGITS_AUGMENTATION)

Step = tuple[int, int, str]


def digits(count: int) -> ImageSet:
    return open_data("digits").split(0)[0].subset(np.arange(count, dtype=np.int64))


def shades(count: int, *, classes: int) -> ImageSet:
    """Images of one grey each: the label's, from black to white."""
    labels = np.arange(count, dtype=np.int64) % classes
    return ImageSet(
        labels=labels,
        names=tuple(map(str, range(count))),
        read=lambda i: Image.new("RGB", (4, 4), (int(labels[i]) * 255 // (classes - 1),) * 3),
    )


def trained(images: ImageSet, spec: ModelSpec = SPEC, **changes: Any) -> tuple[Any, list[Step]]:
    steps: list[Step] = []
    made = dataclasses.replace(SETTINGS, **changes)
    return train(spec, images, PREPARED, made, on_step=lambda *step: steps.append(step)), steps


@pytest.fixture(scope="module")
def once() -> tuple[Any, list[Step]]:
    return trained(digits(70))


def test_every_step_is_reported_with_the_right_total(once: tuple[Any, list[Step]]) -> None:
    _, steps = once
    # 70 images make 4 whole batches of 16, in each of 2 epochs.
    assert [(done, total) for done, total, _ in steps] == [(done, 8) for done in range(1, 9)]
    assert all(text.startswith("loss ") and "accuracy" in text for _, _, text in steps)


def test_the_same_seed_gives_the_same_weights(once: tuple[Any, list[Step]]) -> None:
    again, _ = trained(digits(70))
    assert weights_to_bytes(again) == weights_to_bytes(once[0])


def test_another_seed_gives_other_weights(once: tuple[Any, list[Step]]) -> None:
    other, _ = trained(digits(70), seed=1)
    assert weights_to_bytes(other) != weights_to_bytes(once[0])


def test_the_statistics_of_batch_normalization_follow_a_short_training(once: tuple[Any, list[Step]]) -> None:
    # 4 steps an epoch: Keras' 0.99 would remember the start throughout.
    assert once[0].get_layer("conv1_bn").momentum == 0.9


@pytest.mark.parametrize(
    ("count", "batch", "steps"),
    [(64, 16, 4), (70, 16, 4), (79, 16, 4), (80, 16, 5), (16, 16, 1), (15, 16, 1), (1, 64, 1)],
)
def test_steps_per_epoch_by_hand(count: int, batch: int, steps: int) -> None:
    assert steps_per_epoch(shades(count, classes=2), dataclasses.replace(SETTINGS, batch=batch)) == steps


@pytest.mark.parametrize("cache_limit_bytes", [0, 1 << 30], ids=["decoded anew", "cached"])
def test_batches_pair_each_image_with_its_label_once_an_epoch(
    monkeypatch: pytest.MonkeyPatch, cache_limit_bytes: int
) -> None:
    monkeypatch.setattr(training, "_CACHE_LIMIT_BYTES", cache_limit_bytes)
    make_deterministic(0)
    images = shades(24, classes=6)
    settings = dataclasses.replace(SETTINGS, batch=8, augmentation=STILL)
    stream = augmented_batches(images, PREPARED, settings).take(6).as_numpy_iterator()
    batches = list(stream)
    for pixels, labels in batches:
        assert pixels.shape == (8, 32, 32, 3)
        assert pixels.dtype == np.float32
        assert (pixels[:, 5, 5, 1] == labels * 51).all()
    for epoch in (batches[:3], batches[3:]):
        assert sorted(np.concatenate([labels for _, labels in epoch]).tolist()) == sorted(images.labels.tolist())
    orders = [np.concatenate([labels for _, labels in epoch]).tolist() for epoch in (batches[:3], batches[3:])]
    assert orders[0] != orders[1]  # shuffled anew


def one_layer() -> Any:
    image = tf_keras.layers.Input((32, 32, 3))
    x = tf_keras.layers.GlobalAveragePooling2D()(image)
    return tf_keras.Model(image, tf_keras.layers.Dense(3, activation="softmax", name="dense")(x))


def fitted(model: Any, images: ImageSet, *, epochs: int = 2, **options: Any) -> list[Any]:
    make_deterministic(0)
    settings = dataclasses.replace(SETTINGS, augmentation=STILL, epochs=epochs)
    arguments = {"schedule": 0.1, "mean": PREPARED.mean, "on_step": lambda *_: None, **options}
    fit(model, images, PREPARED, settings, **arguments)
    return [value.tolist() for value in model.get_weights()]


def test_a_diverging_training_is_stopped_and_reported() -> None:
    steps: list[Step] = []
    with pytest.raises(StageError, match="training diverged"):
        fitted(one_layer(), shades(64, classes=3), schedule=math.inf, on_step=lambda *step: steps.append(step))
    # The first loss is from before the first change; the second step shows the damage, and is the last of 8.
    assert [(done, total) for done, total, _ in steps] == [(1, 8), (2, 8)]
    assert "nan" in steps[-1][2]


def test_a_set_smaller_than_a_batch_is_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "build", lambda *_, **__: one_layer())  # compiles in a tenth of the time
    model, steps = trained(shades(5, classes=3), epochs=1)
    assert [(done, total) for done, total, _ in steps] == [(1, 1)]
    assert all(np.isfinite(value).all() for value in model.get_weights())


def test_an_endless_learning_rate_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "build", lambda *_, **__: one_layer())
    with pytest.raises(StageError, match="lower the learning rate"):
        trained(shades(40, classes=3), learning_rate=math.inf)


def test_training_learns_the_labels() -> None:
    model, images, steps = one_layer(), shades(60, classes=3), []
    fitted(model, images, epochs=30, on_step=lambda *step: steps.append(step))
    pixels = np.stack([PREPARED.pixels(images.read(i)) for i in range(3)])
    assert np.asarray(model(PREPARED.normalize(pixels))).argmax(axis=1).tolist() == [0, 1, 2]
    assert steps[-1][2].endswith("accuracy 100.0%")


def test_a_training_that_ends_in_nan_is_reported_even_if_its_loss_was_fine() -> None:
    # One step in all: its loss is from before the change that ruins the weights.
    with pytest.raises(StageError, match="training diverged"):
        fitted(one_layer(), shades(5, classes=3), epochs=1, schedule=math.inf)


def test_with_a_teacher_the_labels_do_not_matter() -> None:
    teacher, student = one_layer(), one_layer()
    start = [np.zeros_like(value) for value in student.get_weights()]
    images = shades(32, classes=3)
    mislabelled = dataclasses.replace(images, labels=np.zeros_like(images.labels))

    def learned(of: ImageSet, **options: Any) -> list[Any]:
        student.set_weights(start)
        return fitted(student, of, **options)

    assert learned(images, teacher=teacher) == learned(mislabelled, teacher=teacher)
    assert learned(images) != learned(mislabelled)


@pytest.mark.parametrize("mean", [127.5, 128.0])
def test_the_network_is_fed_around_the_mean_it_was_told(mean: float) -> None:
    seen: list[Any] = []
    model = recording(seen.append)
    fitted(model, shades(32, classes=2), mean=mean)
    found = np.unique(np.concatenate([value.ravel() for value in seen]))
    assert found == pytest.approx([-mean / 127.5, (255 - mean) / 127.5], abs=1e-6)


def recording(note: Callable[[Any], None]) -> Any:
    """A network that passes what it is fed to `note`."""
    import tensorflow as tf

    def spy(x: Any) -> Any:
        with tf.control_dependencies([tf.py_function(lambda value: note(value.numpy()), [x], [])]):
            return tf.identity(x)

    image = tf_keras.layers.Input((32, 32, 3))
    x = tf_keras.layers.GlobalAveragePooling2D()(tf_keras.layers.Lambda(spy)(image))
    return tf_keras.Model(image, tf_keras.layers.Dense(2, activation="softmax")(x))


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
