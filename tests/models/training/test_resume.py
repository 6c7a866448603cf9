"""A training that is killed and resumed ends with the same bytes as an undisturbed one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras

from mbexport.models.data.imageset import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.augment import DIGITS_AUGMENTATION
from mbexport.models.training.checkpoint import Progress, checkpoint, read_progress, restore
from mbexport.models.training.classification import ClassObjective
from mbexport.models.training.fit import Phase, fit
from mbexport.models.training.stream import TrainSettings
from mbexport.models.training.train import make_deterministic
from mbexport.models.weights import weights_to_bytes

pytestmark = pytest.mark.run

layers = tf_keras.layers
PREPARED = Preprocess(resolution=Resolution.square(8), crop_fraction=1.0)
SETTINGS = TrainSettings(batch=8, seed=0, augmentation=DIGITS_AUGMENTATION)
EPOCHS = 4  # of both phases
PHASES = (
    Phase(epochs=2, learning_rate=0.1, frozen=lambda layer: layer.name != "head"),
    Phase(epochs=2, learning_rate=0.02, warmup_epochs=1),
)


def in_a_whole_run(epoch: int) -> Any:
    """An epoch that `make test-runs` tries; in `make test` one of its neighbours stands for it."""
    return pytest.param(epoch, marks=pytest.mark.run)


Result = tuple[bytes, list[dict[str, float]]]


def network() -> Any:
    """A network with every state that an epoch leaves for the next: statistics, dropout, weights."""
    x = image = layers.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="conv")(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.5, name="norm")(x))
    x = layers.Dropout(0.5, rng_type="stateful", name="dropout")(layers.GlobalAveragePooling2D()(x))
    return tf_keras.Model(image, layers.Dense(3, activation="softmax", name="head")(x))


def trained(images: ImageSet, session: Any, *, phases: tuple[Phase, ...] = PHASES, **objective: Any) -> Result:
    """The weights that a new process with the same options ends with."""
    make_deterministic(0)
    model = network()
    taught = ClassObjective(images=images, preprocess=PREPARED, as_input=PREPARED.normalize_floats, **objective)
    history = fit(model, taught, SETTINGS, phases, session=session, on_step=lambda *_: None)
    return weights_to_bytes(model), history


@pytest.fixture(scope="module")
def images(shades: Callable[..., ImageSet]) -> ImageSet:
    return shades(19, classes=3)  # two whole batches and a rest: each epoch leaves out others


@pytest.fixture(scope="module")
def whole(images: ImageSet, session_of: Callable[..., Any]) -> Result:
    return trained(images, session_of())


@pytest.mark.parametrize("epoch", [in_a_whole_run(1), 2, in_a_whole_run(3), in_a_whole_run(EPOCHS)])
def test_a_run_killed_after_any_epoch_ends_as_if_it_had_not_been(
    images: ImageSet, whole: Result, session_of: Callable[..., Any], killed: Any, epoch: int
) -> None:
    session = session_of(dies_at=epoch)
    with pytest.raises(killed):
        trained(images, session)
    again = session_of(content=session.content)
    weights, history = trained(images, again)
    assert again.saved == EPOCHS - epoch  # nothing is done twice
    assert history == whole[1]
    assert weights == whole[0]


def test_an_epoch_that_was_not_saved_is_done_again(
    images: ImageSet, whole: Result, session_of: Callable[..., Any], killed: Any
) -> None:
    session = session_of(dies_at=3, is_written=False)
    with pytest.raises(killed):
        trained(images, session)
    again = session_of(content=session.content)
    assert trained(images, again) == whole
    assert again.saved == 2


@pytest.mark.run
def test_a_run_killed_again_and_again_ends_the_same(
    images: ImageSet, whole: Result, session_of: Callable[..., Any], killed: Any
) -> None:
    content = None
    for _ in range(EPOCHS):
        session = session_of(content=content, dies_at=1)
        with pytest.raises(killed):
            trained(images, session)
        content = session.content
    assert trained(images, session_of(content=content)) == whole


@pytest.fixture(scope="module")
def contradicted(shades: Callable[..., ImageSet]) -> dict[str, Any]:
    """Held-out images that contradict the others: their loss rises, and each phase ends after `patience` epochs."""
    phases = (Phase(epochs=8, learning_rate=0.5), Phase(epochs=8, learning_rate=0.5))
    against = shades(6, classes=3, labels=[2, 2, 2, 0, 0, 0])
    return {"images": shades(24, classes=3), "phases": phases, "validation": against, "patience": 2}


@pytest.fixture(scope="module")
def stopped(contradicted: dict[str, Any], session_of: Callable[..., Any]) -> Result:
    weights, history = trained(session=session_of(), **contradicted)
    assert len(history) <= 8
    return weights, history


@pytest.mark.parametrize("epoch", [in_a_whole_run(2), in_a_whole_run(3), 4, in_a_whole_run(5)])
def test_a_run_that_stops_early_in_each_phase_resumes_too(
    contradicted: dict[str, Any], stopped: Result, session_of: Callable[..., Any], killed: Any, epoch: int
) -> None:
    session = session_of(dies_at=epoch)
    with pytest.raises(killed):
        trained(session=session, **contradicted)
    assert trained(session=session_of(content=session.content), **contradicted) == stopped


@pytest.mark.run
def test_a_finished_training_is_not_trained_any_further(
    images: ImageSet, whole: Result, session_of: Callable[..., Any]
) -> None:
    session = session_of()
    trained(images, session)
    again = session_of(content=session.content)
    assert trained(images, again) == whole
    assert again.saved == 0


def test_another_seed_of_the_process_does_not_matter_to_what_is_restored(
    images: ImageSet, whole: Result, session_of: Callable[..., Any]
) -> None:
    session = session_of()
    trained(images, session)
    model = network()  # with other weights than the first one started from
    objective = ClassObjective(images=images, preprocess=PREPARED, as_input=PREPARED.normalize_floats)
    again = session_of(content=session.content)
    history = fit(model, objective, SETTINGS, PHASES, session=again, on_step=lambda *_: None)
    assert (weights_to_bytes(model), history) == whole


# ---- the bytes themselves


def compiled(seed: int) -> Any:
    tf_keras.utils.set_random_seed(seed)
    model = network()
    model.compile(tf_keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


def step(model: Any) -> None:
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.normal(size=(8, 8, 8, 3)).astype(np.float32), np.arange(8) % 3)


def test_figures_come_back_as_they_were() -> None:
    progress = Progress(
        epochs_done=7,
        best_loss=0.1 + 0.2,
        best_epoch=5,
        best_weights=b"\x00\xffweights",
        history=[{"loss": 1 / 3}, {"loss": 1e-30, "accuracy": 1.0}],
    )
    assert read_progress(checkpoint(compiled(0), progress)) == progress
    assert read_progress(checkpoint(compiled(0), Progress())) == Progress()  # a best loss that is infinite


def test_a_restored_model_takes_the_same_next_step() -> None:
    one, other = compiled(0), compiled(1)
    step(one)
    content = checkpoint(one, Progress())
    restore(other, content, with_optimizer=True)
    assert weights_to_bytes(other) == weights_to_bytes(one)
    step(one)
    step(other)  # dropout's position, Adam's moments and its count of steps have to agree
    assert weights_to_bytes(other) == weights_to_bytes(one)


def test_without_the_optimizer_its_memory_starts_anew() -> None:
    one, other = compiled(0), compiled(1)
    step(one)
    restore(other, checkpoint(one, Progress()), with_optimizer=False)
    assert weights_to_bytes(other) == weights_to_bytes(one)
    assert (int(one.optimizer.iterations), int(other.optimizer.iterations)) == (1, 0)
    step(one)
    step(other)
    assert weights_to_bytes(other) != weights_to_bytes(one)
