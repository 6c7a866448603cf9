"""Phases, schedules, class weights and early stopping, on networks small enough to compute by hand."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from mbexport.errors import StageError
from mbexport.models.data.imageset import ImageSet
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.augment import Augmentation
from mbexport.models.training.classification import ClassObjective
from mbexport.models.training.fit import Phase, fit
from mbexport.models.training.stream import TrainSettings, steps_per_epoch
from mbexport.models.training.train import make_deterministic
from mbexport.models.weights import weights_to_bytes

pytestmark = pytest.mark.run

layers = tf_keras.layers
PREPARED = Preprocess(resolution=Resolution.square(8), crop_fraction=1.0)
STILL = Augmentation(rotation_deg=0, zoom=0, shift=0, mirror=False, fill_mode="CONSTANT")
SETTINGS = TrainSettings(batch=16, seed=0, augmentation=STILL)

Shades = Callable[..., ImageSet]
Step = tuple[int, int, str]


def one_layer() -> Any:
    """Colours to three classes, from weights of zero: each starts with a third."""
    image = layers.Input((8, 8, 3))
    dense = layers.Dense(3, activation="softmax", kernel_initializer="zeros", name="dense")
    return tf_keras.Model(image, dense(layers.GlobalAveragePooling2D()(image)))


def with_norm() -> Any:
    x = image = layers.Input((8, 8, 3))
    x = layers.BatchNormalization(momentum=0.5, name="norm")(layers.Conv2D(4, 3, name="conv")(x))
    return tf_keras.Model(image, layers.Dense(3, activation="softmax", name="head")(layers.GlobalMaxPooling2D()(x)))


@pytest.fixture(scope="module")
def fitted(session_of: Callable[..., Any]) -> Callable[..., list[dict[str, float]]]:
    """Trains a model on images and gives the figures of each epoch."""

    def run(
        model: Any,
        images: ImageSet,
        *phases: Phase,
        session: Any = None,
        on_step: Callable[..., None] = lambda *_: None,
        **objective: Any,
    ) -> list[dict[str, float]]:
        tf_keras.utils.set_random_seed(0)
        options = {"preprocess": PREPARED, "as_input": PREPARED.normalize_floats, **objective}
        taught = ClassObjective(images=images, **options)
        return fit(model, taught, SETTINGS, phases, session=session or session_of(), on_step=on_step)

    return run


Fitted = Callable[..., list[dict[str, float]]]


@pytest.mark.parametrize(
    ("count", "batch", "steps"),
    [(64, 16, 4), (70, 16, 4), (79, 16, 4), (80, 16, 5), (16, 16, 1), (15, 16, 1), (1, 64, 1)],
)
def test_steps_per_epoch_by_hand(shades: Shades, count: int, batch: int, steps: int) -> None:
    assert steps_per_epoch(shades(count, classes=2), TrainSettings(batch=batch, seed=0, augmentation=STILL)) == steps


@pytest.mark.run
def test_training_learns_the_labels(shades: Shades, fitted: Fitted) -> None:
    model, images, steps = one_layer(), shades(60, classes=3), []
    history = fitted(model, images, Phase(epochs=30, learning_rate=0.1), on_step=lambda *step: steps.append(step))
    pixels = np.stack([PREPARED.pixels(images.read(i)) for i in range(3)])
    assert np.asarray(model(PREPARED.normalize(pixels))).argmax(axis=1).tolist() == [0, 1, 2]
    assert steps[-1][2].endswith("accuracy 100.0%")
    assert [done for done, _, _ in steps] == list(range(1, 91))
    assert len(history) == 30
    assert history[0]["loss"] > history[-1]["loss"]


def test_a_set_smaller_than_a_batch_is_one_step(shades: Shades, fitted: Fitted) -> None:
    steps: list[Step] = []
    model = one_layer()
    fitted(model, shades(5, classes=3), Phase(epochs=1, learning_rate=0.1), on_step=lambda *step: steps.append(step))
    assert [(done, total) for done, total, _ in steps] == [(1, 1)]
    assert np.abs(model.get_weights()[0]).max() > 0


def test_a_diverging_training_is_stopped_and_reported(shades: Shades, fitted: Fitted) -> None:
    steps: list[Step] = []
    phase = Phase(epochs=2, learning_rate=math.inf)
    with pytest.raises(StageError, match=r"training diverged.*try another --seed"):
        fitted(one_layer(), shades(64, classes=3), phase, on_step=lambda *step: steps.append(step))
    # The first loss is from before the first change; the second step shows the damage, and is the last of 8.
    assert [(done, total) for done, total, _ in steps] == [(1, 8), (2, 8)]
    assert "nan" in steps[-1][2]


def test_a_training_that_ends_in_nan_is_reported_even_if_its_loss_was_fine(
    shades: Shades, fitted: Fitted, session_of: Callable[..., Any]
) -> None:
    # One step in all: its loss is from before the change that ruins the weights.
    session = session_of()
    with pytest.raises(StageError, match="training diverged"):
        fitted(one_layer(), shades(5, classes=3), Phase(epochs=1, learning_rate=math.inf), session=session)
    assert session.saved == 0  # nobody should go on from there


# ---- phases and schedules


def test_the_learning_rate_is_a_cosine_to_zero_behind_a_straight_line(shades: Shades, fitted: Fitted) -> None:
    phases = (Phase(epochs=4, learning_rate=0.4), Phase(epochs=6, learning_rate=0.2, warmup_epochs=2))
    history = fitted(one_layer(), shades(16, classes=3), *phases)
    # One step an epoch. Half of 1 + cos: of 0, 45, 90 and 135 degrees; then nothing, a half, and the same again.
    cosine = np.array([1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125)])
    expected = [*(0.4 * cosine), 0, 0.1, *(0.2 * cosine)]
    assert [row["learning_rate"] for row in history] == pytest.approx(expected, abs=1e-6)


def test_a_warm_up_starts_at_a_learning_rate_of_zero(shades: Shades, fitted: Fitted) -> None:
    # Adam's first step is as long as the learning rate (Kingma & Ba 2015, section 2.1): none, or all of it.
    images, still, moved = shades(16, classes=3), one_layer(), one_layer()
    fitted(still, images, Phase(epochs=1, learning_rate=0.1, warmup_epochs=1))
    fitted(moved, images, Phase(epochs=1, learning_rate=0.1))
    assert not np.any(still.get_weights()[0])
    assert np.abs(moved.get_weights()[0]).max() == pytest.approx(0.1, rel=1e-3)


def test_frozen_layers_keep_their_weights_and_frozen_norms_their_statistics(shades: Shades, fitted: Fitted) -> None:
    seen: list[dict[str, list[Any]]] = []
    model = with_norm()
    note = lambda *_: seen.append({layer.name: layer.get_weights() for layer in model.layers})  # noqa: E731
    note()
    phases = (
        Phase(epochs=1, learning_rate=0.1, frozen=lambda layer: layer.name != "head"),
        Phase(epochs=1, learning_rate=0.1, frozen=lambda layer: layer.name == "norm"),
        Phase(epochs=1, learning_rate=0.1),
    )
    fitted(model, shades(16, classes=3), *phases, on_step=note)

    def moved(phase: int) -> dict[str, list[bool]]:
        before, after = seen[phase], seen[phase + 1]
        return {
            name: [not np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True)]
            for name in ("conv", "norm", "head")
        }

    still, both = [False] * 4, [True, True]
    assert moved(0) == {"conv": [False, False], "norm": still, "head": both}
    assert moved(1) | {"conv": None} == {"conv": None, "norm": still, "head": both}
    assert moved(1)["conv"][0]
    assert moved(2)["norm"] == [True] * 4


# ---- what is learned


@pytest.mark.parametrize(
    ("weights", "factor"), [(None, 1), ([1, 1, 1], 1), ([2, 2, 2], 2), ([3, 0, 1], 4 / 3), ([0, 0, 0], 0)]
)
def test_class_weights_multiply_the_loss(shades: Shades, fitted: Fitted, weights: Any, factor: float) -> None:
    # Five images of each class in one step; each of them has the loss ln 3.
    given = None if weights is None else np.array(weights, np.float32)
    history = fitted(one_layer(), shades(15, classes=3), Phase(epochs=1, learning_rate=0.1), class_weights=given)
    assert history[0]["loss"] == pytest.approx(factor * math.log(3), rel=1e-5, abs=1e-7)


def test_with_a_teacher_the_labels_do_not_matter(shades: Shades, fitted: Fitted) -> None:
    make_deterministic(0)
    teacher, phase = with_norm(), Phase(epochs=2, learning_rate=0.1)
    images, mislabelled = shades(32, classes=3), shades(32, classes=3, labels=[0] * 32)

    def learned(of: ImageSet, **options: Any) -> bytes:
        student = one_layer()
        fitted(student, of, phase, **options)
        return weights_to_bytes(student)

    assert learned(images, teacher=teacher) == learned(mislabelled, teacher=teacher)
    assert learned(images) != learned(mislabelled)


@pytest.mark.parametrize("mean", [127.5, 128.0])
def test_the_network_is_fed_what_as_input_returns(shades: Shades, fitted: Fitted, mean: float) -> None:
    seen: list[Any] = []

    def spy(x: Any) -> Any:
        with tf.control_dependencies([tf.py_function(lambda value: seen.append(value.numpy()), [x], [])]):
            return tf.identity(x)

    image = layers.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Lambda(spy)(image))
    model = tf_keras.Model(image, layers.Dense(2, activation="softmax")(x))
    own = Preprocess(resolution=Resolution.square(8), normalization=Normalization(mean=(mean,), std=(127.5,)))
    fitted(model, shades(32, classes=2), Phase(epochs=1, learning_rate=0.1), as_input=own.normalize_floats)
    found = np.unique(np.concatenate([value.ravel() for value in seen]))
    assert found == pytest.approx([-mean / 127.5, (255 - mean) / 127.5], abs=1e-6)


# ---- early stopping


def test_a_phase_ends_when_held_out_images_stop_getting_better_and_the_next_one_begins(
    shades: Shades, fitted: Fitted
) -> None:
    # Held-out labels that contradict: from the first epoch on, what is learned makes their loss worse.
    images, against = shades(16, classes=3), shades(6, classes=3, labels=[2, 0, 1] * 2)
    model, steps, after = one_layer(), [], []

    def note(*step: Any) -> None:
        steps.append(step)
        after.append(weights_to_bytes(model))

    phases = (Phase(epochs=10, learning_rate=0.3), Phase(epochs=20, learning_rate=0.1))
    history = fitted(model, images, *phases, validation=against, patience=3, on_step=note)
    losses = [row["val_loss"] for row in history]
    assert losses == sorted(losses)
    # The best epoch, and three more; then three of the second phase, which counts from where the first one would end.
    assert [(done, total) for done, total, _ in steps] == [(done, 30) for done in (1, 2, 3, 4, 11, 12, 13)]
    assert history[4]["learning_rate"] == pytest.approx(0.1)
    assert weights_to_bytes(model) == after[0]


def test_while_the_loss_falls_no_phase_ends(shades: Shades, fitted: Fitted) -> None:
    images = shades(16, classes=3)
    history = fitted(
        one_layer(), images, Phase(epochs=6, learning_rate=0.05), validation=images.subset(np.arange(6)), patience=1
    )
    assert len(history) == 6
    assert (np.diff([row["val_loss"] for row in history]) < 0).all()


def test_held_out_figures_by_hand(shades: Shades, fitted: Fitted) -> None:
    # A learning rate of zero leaves a third for each class; equal scores go to the first one.
    history = fitted(
        one_layer(),
        shades(16, classes=3),
        Phase(epochs=1, learning_rate=0.0),
        validation=shades(40, classes=3, labels=[0] * 10 + [1] * 30),
        patience=1,
    )
    assert history[0]["val_loss"] == pytest.approx(math.log(3), rel=1e-6)
    assert history[0]["val_accuracy"] == 0.25


# ---- curves


def test_curves_can_be_read_by_tensorboard_across_an_interruption(
    shades: Shades, fitted: Fitted, session_of: Callable[..., Any], killed: Any, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    images, phase = shades(16, classes=3), Phase(epochs=4, learning_rate=0.1)
    first = session_of(dies_at=2, log_dir=tmp_path)
    with pytest.raises(killed):
        fitted(one_layer(), images, phase, session=first)
    history = fitted(one_layer(), images, phase, session=session_of(content=first.content, log_dir=tmp_path))
    curves = EventAccumulator(str(tmp_path))
    curves.Reload()
    for name in ("loss", "accuracy", "learning_rate"):
        points = curves.Tensors(f"epoch_{name}")
        assert [point.step for point in points] == [1, 2, 3, 4]
        found = [tf.make_ndarray(point.tensor_proto).item() for point in points]
        assert found == pytest.approx([row[name] for row in history], rel=1e-6)


def test_without_a_folder_for_curves_nothing_is_written(
    shades: Shades, fitted: Fitted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    fitted(one_layer(), shades(16, classes=3), Phase(epochs=1, learning_rate=0.1))
    assert list(tmp_path.iterdir()) == []


def test_smoothed_labels_by_hand(shades: Shades, fitted: Fitted) -> None:
    # The right class keeps 0.7 + 0.1, each other has 0.1: answering so costs the entropy of (0.8, 0.1, 0.1) = 0.639.
    images, model = shades(15, classes=3), one_layer()
    images = images.subset(np.flatnonzero(images.labels == 0))
    model.get_layer("dense").set_weights([np.zeros((3, 3), np.float32), np.log([0.8, 0.1, 0.1])])
    (figures,) = fitted(model, images, Phase(epochs=1, learning_rate=0.0), label_smoothing=0.3)
    assert figures["loss"] == pytest.approx(-0.8 * math.log(0.8) - 0.2 * math.log(0.1), rel=1e-5)
    assert figures["accuracy"] == 1


def test_weight_decay_takes_its_share_of_every_weight(shades: Shades, fitted: Fitted) -> None:
    # A layer of zeros that all classes pull alike stays zero; the bias of ones loses 1 x 0.5 x the learning rate.
    model = one_layer()
    model.get_layer("dense").set_weights([np.zeros((3, 3), np.float32), np.ones(3, np.float32)])
    phase = Phase(epochs=1, learning_rate=0.1, weight_decay=0.5)
    fitted(model, shades(15, classes=3), phase, class_weights=np.zeros(3, np.float32))
    np.testing.assert_allclose(model.get_layer("dense").get_weights()[1], 1 - 0.5 * 0.1, rtol=1e-5)
