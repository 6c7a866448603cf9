"""The divergence from a teacher's scores, by hand and as laws, and which weights are kept."""

import math
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mbexport.models.data.imageset import ImageSet
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.best_epoch import keep_if_better
from mbexport.models.training.checkpoint import Progress
from mbexport.models.training.classification import ClassObjective, divergences, evaluate
from mbexport.models.training.objective import Evaluation

layers = tf_keras.layers
PREPARED = Preprocess(resolution=Resolution.square(8), crop_fraction=1.0)
LOGITS = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.just(3)), elements=st.floats(-30, 30))


def constant(*scores: float, activation: str | None = None) -> Any:
    """A network that gives every image the same `scores`, behind the activation."""
    image = layers.Input((8, 8, 3))
    dense = layers.Dense(len(scores), activation=activation, kernel_initializer="zeros")
    model = tf_keras.Model(image, dense(layers.GlobalAveragePooling2D()(image)))
    dense.set_weights([np.zeros((3, len(scores)), np.float32), np.array(scores, np.float32)])
    return model


def as_scores(logits: Any, output: Output) -> Any:
    if output is Output.LOGITS:
        return logits
    if output is Output.SIGMOID:
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("output", "expected", "found", "divergence"),
    [
        (Output.SOFTMAX, [0.5, 0.5], [0.25, 0.75], 0.5 * math.log(2) + 0.5 * math.log(2 / 3)),
        (Output.SOFTMAX, [1, 0], [0.5, 0.5], math.log(2)),  # nothing is expected of the second: it says nothing
        (Output.SIGMOID, [0.5, 0.5], [0.25, 0.5], 0.5 * (0.5 * math.log(2) + 0.5 * math.log(2 / 3))),
        (Output.LOGITS, [3, -1], [1, 0], (4 + 1) / 2),
    ],
)
def test_divergence_by_hand(output: Output, expected: Any, found: Any, divergence: float) -> None:
    values = divergences(np.array([expected], np.float64), np.array([found], np.float64), output)
    np.testing.assert_allclose(values, [divergence], rtol=1e-6)


@pytest.mark.parametrize("output", Output)
@given(logits=LOGITS, seed=st.integers(0, 99))
def test_nothing_is_nearer_than_the_same(output: Output, logits: Any, seed: int) -> None:
    others = logits + np.random.default_rng(seed).normal(size=logits.shape)
    expected, found = as_scores(logits, output), as_scores(others, output)
    np.testing.assert_allclose(divergences(expected, expected, output), 0, atol=1e-12)
    assert (divergences(expected, found, output) >= -1e-12).all()


@pytest.mark.parametrize(
    ("output", "activation", "divergence"),
    [
        (Output.SOFTMAX, "softmax", math.log(2 / 3) / 2 + math.log(2) / 2),
        (Output.SIGMOID, "sigmoid", (math.log(2) / 2 + math.log(2 / 3) / 2) / 2),
        (Output.LOGITS, None, math.log(3) ** 2 / 2),
    ],
)
def test_a_network_is_evaluated_against_its_teacher(
    shades: Any, output: Output, activation: str, divergence: float
) -> None:
    # A half each against 3/4 and 1/4; of two sigmoids one is the same.
    objective = ClassObjective(
        images=shades(4, classes=2),
        preprocess=PREPARED,
        as_input=PREPARED.normalize_floats,
        teacher=constant(0, 0, activation=activation),
        output=output,
    )
    found = evaluate(constant(math.log(3), 0, activation=activation), objective, shades(40, classes=2))
    assert found.loss == pytest.approx(divergence, rel=1e-5)
    assert found.accuracy == 1  # equal scores go to the first one
    same = evaluate(constant(0, 0, activation=activation), objective, shades(40, classes=2))
    assert (same.loss, same.accuracy) == (0, 1)


def kept(images: ImageSet, *found: Evaluation, teacher: Any) -> int:
    """The number of the evaluation, from 1, whose weights were kept."""
    objective = ClassObjective(images=images, preprocess=PREPARED, as_input=PREPARED.normalize_floats, teacher=teacher)
    model, progress = constant(0, 0), Progress()
    for number, evaluation in enumerate(found, start=1):
        progress.epochs_done = number
        keep_if_better(model, progress, objective, evaluation)
    return progress.best_epoch


def test_with_a_teacher_divergence_decides_and_without_one_accuracy(shades: Any) -> None:
    found = [Evaluation(loss=loss, accuracy=accuracy) for loss, accuracy in ((0.3, 0.9), (0.2, 0.8), (0.25, 0.95))]
    assert kept(shades(4, classes=2), *found, teacher=constant(0, 0)) == 2
    assert kept(shades(4, classes=2), *found, teacher=None) == 3


@pytest.mark.parametrize("has_teacher", [True, False])
def test_what_is_not_better_is_not_kept(shades: Any, has_teacher: bool) -> None:
    same, unknown = Evaluation(loss=0.2, accuracy=0.9), Evaluation(loss=math.nan, accuracy=0.9)
    teacher = constant(0, 0) if has_teacher else None
    assert kept(shades(4, classes=2), same, same, unknown, teacher=teacher) == 1
