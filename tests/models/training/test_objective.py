"""Training with a teacher: in steps, on mixed images, for each kind of scores, and never worse than at the start."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.data.imageset import ImageSet
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.augment import DIGITS_AUGMENTATION
from mbexport.models.training.classification import ClassObjective, evaluate
from mbexport.models.training.fit import Phase, fit
from mbexport.models.training.stream import TrainSettings
from mbexport.models.training.train import make_deterministic
from mbexport.models.weights import weights_to_bytes

pytestmark = pytest.mark.run

layers = tf_keras.layers
PREPARED = Preprocess(resolution=Resolution.square(8), crop_fraction=1.0)
SETTINGS = TrainSettings(batch=8, seed=0, augmentation=replace(DIGITS_AUGMENTATION, mixes=True))
ACTIVATIONS = {Output.SOFTMAX: "softmax", Output.SIGMOID: "sigmoid", Output.LOGITS: None}

Step = tuple[int, int, str]


def one_layer(output: Output = Output.SOFTMAX, *, seed: int = 0) -> Any:
    image = layers.Input((8, 8, 3))
    dense = layers.Dense(3, activation=ACTIVATIONS[output], name="dense")
    model = tf_keras.Model(image, dense(layers.GlobalAveragePooling2D()(image)))
    rng = np.random.default_rng(seed)
    dense.set_weights([rng.normal(size=(3, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)])
    return model


def objective_of(images: ImageSet, output: Output = Output.SOFTMAX, **options: Any) -> ClassObjective:
    given = {"validation": images, "patience": 99, "teacher": one_layer(output, seed=1), **options}
    return ClassObjective(
        images=images, preprocess=PREPARED, as_input=PREPARED.normalize_floats, output=output, **given
    )


def taught(
    objective: ClassObjective, phase: Phase, session: Any, *, steps: list[Step] | None = None
) -> tuple[bytes, Any]:
    make_deterministic(0)
    student, seen = one_layer(objective.output), [] if steps is None else steps
    history = fit(student, objective, SETTINGS, (phase,), session=session, on_step=lambda *step: seen.append(step))
    return weights_to_bytes(student), history


# ---- steps


def test_steps_of_a_phase_by_hand() -> None:
    phase = Phase(epochs=3, steps=7, learning_rate=0.1)
    assert [phase.steps_of(epoch, 2) for epoch in range(3)] == [range(2), range(2, 4), range(4, 7)]
    assert Phase(epochs=3, learning_rate=0.1).steps_of(1, 5) == range(5, 10)


@given(st.integers(1, 50), st.integers(0, 200), st.integers(1, 9))
def test_epochs_share_a_phase_s_steps_evenly(epochs: int, more: int, per_epoch: int) -> None:
    phase = Phase(epochs=epochs, steps=epochs + more, learning_rate=0.1)
    shares = [phase.steps_of(epoch, per_epoch) for epoch in range(epochs)]
    assert [step for share in shares for step in share] == list(range(epochs + more))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_phase_with_fewer_steps_than_epochs_is_refused() -> None:
    with pytest.raises(ValueError, match="a phase must have at least one step an epoch, got 2 for 3 epochs"):
        Phase(epochs=3, steps=2, learning_rate=0.1)


def test_how_often_a_training_is_evaluated_does_not_change_what_is_learned(
    shades: Any, session_of: Callable[..., Any]
) -> None:
    # 19 images are two batches an epoch.
    objective = objective_of(shades(19, classes=3), validation=None)
    steps: list[Step] = []
    expected, _ = taught(objective, Phase(epochs=3, learning_rate=0.1), session_of())
    found, history = taught(objective, Phase(epochs=6, steps=6, learning_rate=0.1), session_of(), steps=steps)
    assert found == expected
    assert len(history) == 6
    assert [(done, total) for done, total, _ in steps] == [(done, 6) for done in range(1, 7)]
    assert all("agreement" in text and "accuracy" not in text for _, _, text in steps)


@pytest.mark.parametrize("epoch", [pytest.param(1, marks=pytest.mark.run), 2, pytest.param(3, marks=pytest.mark.run)])
def test_a_training_in_steps_that_is_killed_ends_the_same(
    shades: Any, session_of: Callable[..., Any], killed: Any, epoch: int
) -> None:
    # Two steps go once through the images: kills come at step 1, 3 and 5, in the middle of that.
    objective, phase = objective_of(shades(19, classes=3)), Phase(epochs=4, steps=7, learning_rate=0.1)
    expected = taught(objective, phase, session_of())
    first = session_of(dies_at=epoch)
    with pytest.raises(killed):
        taught(objective, phase, first)
    assert taught(objective, phase, session_of(content=first.content)) == expected


# ---- scores and mixes


@pytest.mark.parametrize(
    "output",
    [Output.SOFTMAX, *(pytest.param(each, marks=pytest.mark.run) for each in (Output.SIGMOID, Output.LOGITS))],
)
def test_scores_of_every_kind_come_nearer_to_the_teacher_s(
    shades: Any, session_of: Callable[..., Any], output: Output
) -> None:
    make_deterministic(0)
    objective, student = objective_of(shades(16, classes=3), output), one_layer(output)
    before = evaluate(student, objective, objective.images)
    fit(
        student,
        objective,
        SETTINGS,
        (Phase(epochs=20, learning_rate=0.05),),
        session=session_of(),
        on_step=lambda *_: None,
    )
    assert evaluate(student, objective, objective.images).loss < before.loss / 4


def test_a_training_that_only_does_harm_leaves_what_it_began_with(shades: Any, session_of: Callable[..., Any]) -> None:
    objective = objective_of(
        shades(16, classes=3), teacher=one_layer()
    )  # which is the student: nothing is left to learn
    found, history = taught(objective, Phase(epochs=2, learning_rate=0.5), session_of())
    assert found == weights_to_bytes(one_layer())
    assert len(history) == 2


def test_mixing_images_without_a_teacher_is_refused(shades: Any, session_of: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="augmentation that mixes images needs a teacher"):
        taught(objective_of(shades(16, classes=3), teacher=None), Phase(epochs=1, learning_rate=0.1), session_of())
