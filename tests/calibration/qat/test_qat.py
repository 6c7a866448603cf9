"""Quantization-aware training: where it starts, what it changes, and that it repeats."""

import io
import itertools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from mbexport.calibration.affine import Range
from mbexport.calibration.integers.corrections import Corrections, correct
from mbexport.calibration.qat import train as qat
from mbexport.calibration.qat.fake_quant import fake_quantize, input_range
from mbexport.calibration.qat.train import Duration, quantization_aware_training
from mbexport.calibration.ranges.observe import observe
from mbexport.models.data.open import iter_pixels
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.augment import DIGITS_AUGMENTATION
from mbexport.models.training.stream import TrainSettings

pytestmark = pytest.mark.run

Weights = dict[str, list[np.ndarray]]
SETTINGS = TrainSettings(batch=32, seed=0, augmentation=DIGITS_AUGMENTATION)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: the weights before and behind it, and what was reported on the way."""

    before: Weights
    after: Weights
    checkpoint: bytes
    steps: list[tuple[int, int, str]]


def weights_of(network: tf_keras.Model) -> Weights:
    return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def start(folded: tf_keras.Model, inputs: np.ndarray, preprocess: Preprocess) -> dict[str, Any]:
    """Rounds the network's weights, and gives the ranges that training keeps."""
    found = correct(
        folded,
        observe(folded, [inputs]),
        lambda: [inputs],
        entry=input_range(input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point),
        corrections=Corrections.of(()),
    )
    teacher = tf_keras.models.clone_model(folded)
    teacher.set_weights(folded.get_weights())
    return {"ranges": found.ranges, "largest": found.largest, "teacher": teacher}


def kernels_in(checkpoint: bytes, folder: Path) -> list[np.ndarray]:
    """The kernels that a training had at its checkpoint, without the optimizer's copies of their shape."""
    with zipfile.ZipFile(io.BytesIO(checkpoint)) as archive:
        archive.extractall(folder)
    stored = tf.train.load_checkpoint(str(folder / "variables"))
    names = [name for name in stored.get_variable_to_shape_map() if name.startswith("weights/")]
    weights = [stored.get_tensor(name) for name in names if ".OPTIMIZER_SLOT" not in name]
    return [weight for weight in weights if np.ndim(weight) == 4]


def as_bytes(weights: Weights) -> dict[str, list[bytes]]:
    return {name: [value.tobytes() for value in values] for name, values in weights.items()}


@pytest.fixture(scope="module")
def run(tiny_mobilenet, digits, inputs, preprocess, session_of):
    """Trains the same network from the same start."""
    unrelated = itertools.count(100)

    def train(*, epochs: int) -> Run:
        folded = tiny_mobilenet()
        kept = start(folded, inputs, preprocess)
        before = weights_of(folded)
        steps: list[tuple[int, int, str]] = []
        tf_keras.utils.set_random_seed(next(unrelated))  # what the process drew before must not matter
        session = session_of()
        quantization_aware_training(
            folded,
            digits,
            preprocess,
            SETTINGS,
            **kept,
            duration=Duration(epochs=epochs),
            session=session,
            on_step=lambda *step: steps.append(step),
        )
        return Run(before=before, after=weights_of(folded), checkpoint=session.content or b"", steps=steps)

    return train


@pytest.fixture(scope="module")
def one_epoch(run) -> Run:
    return run(epochs=1)


@pytest.mark.run
def test_an_epoch_changes_every_kernel(one_epoch, tmp_path):
    assert len(one_epoch.before) == 28
    # As the epoch left them: whether one step was better than none, and is kept, differs from processor to processor.
    trained = kernels_in(one_epoch.checkpoint, tmp_path)
    assert len(trained) == 28
    same = [name for name, (kernel, _) in one_epoch.before.items() if any(np.array_equal(kernel, k) for k in trained)]
    assert same == []
    assert all(np.isfinite(value).all() for values in one_epoch.after.values() for value in values)


@pytest.mark.run
def test_an_epoch_moves_a_weight_by_no_more_than_its_steps_allow(one_epoch):
    # One step of Adam, of the learning rate of 1e-5 at most (Kingma & Ba 2015, arXiv 1412.6980, section 2.1).
    for name, (kernel, _) in one_epoch.after.items():  # biases are rounded to their own steps
        assert np.abs(kernel - one_epoch.before[name][0]).max() <= 1.1e-5


@pytest.mark.run
def test_every_step_of_an_epoch_is_reported(one_epoch):
    # 64 images, of which a fifth is held out, 32 a batch.
    assert [(done, total) for done, total, _ in one_epoch.steps] == [(1, 1)]
    assert all("loss" in text and "nan" not in text for _, _, text in one_epoch.steps)


def test_no_epochs_leave_the_weights_as_they_are(run):
    untouched = run(epochs=0)
    assert as_bytes(untouched.after) == as_bytes(untouched.before)
    assert untouched.steps == []


@pytest.mark.run
def test_the_same_seed_gives_the_same_weights(run, one_epoch):
    again = run(epochs=1)
    assert as_bytes(again.before) == as_bytes(one_epoch.before)
    assert as_bytes(again.after) == as_bytes(one_epoch.after)


@pytest.mark.run
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_killed_training_that_is_taken_up_again_ends_the_same(short_network, digits, session_of, killed, epoch):
    preprocess = Preprocess(resolution=Resolution.square(8), crop_fraction=1.0)
    inputs = preprocess.dequantize(next(iter_pixels(digits, preprocess)))

    def trained(session):
        folded, steps = short_network(), []
        kept, note = start(folded, inputs, preprocess), steps.append
        quantization_aware_training(
            folded,
            digits,
            preprocess,
            SETTINGS,
            **kept,
            duration=Duration(epochs=2),
            session=session,
            on_step=lambda *step: note(step),
        )
        return as_bytes(weights_of(folded)), steps

    first = session_of(dies_at=epoch)
    with pytest.raises(killed):
        trained(first)
    expected, steps = trained(session_of())
    found, later_steps = trained(session_of(content=first.content))
    assert found == expected
    assert later_steps == steps[epoch:]


def test_before_the_first_step_the_network_answers_as_the_float_one(
    short_network, digits, session_of, monkeypatch, killed
):
    # tfmot by itself starts every range at [-6, 6], and needs a thousand steps to forget it.
    preprocess = Preprocess(resolution=Resolution.square(8), crop_fraction=1.0)
    inputs = preprocess.dequantize(np.concatenate(list(iter_pixels(digits, preprocess))))
    folded = short_network()
    kept = start(folded, inputs, preprocess)
    at_start = []

    def look(network, *_, **__):
        at_start.append(network.predict_on_batch(inputs))
        raise killed

    monkeypatch.setattr(qat, "fit", look)
    with pytest.raises(killed):
        quantization_aware_training(
            folded,
            digits,
            preprocess,
            SETTINGS,
            **kept,
            duration=Duration(epochs=1),
            session=session_of(),
            on_step=lambda *_: None,
        )
    wide = fake_quantize(
        folded,
        dict.fromkeys(kept["ranges"], Range(low=-6, high=6)),
        input_scale=preprocess.input_scale,
        input_zero_point=preprocess.input_zero_point,
    ).predict_on_batch(inputs)
    scores = folded.predict_on_batch(inputs)
    error, wide_error = (np.abs(found - scores).mean() for found in (at_start[0], wide))
    assert error < scores.std(axis=0).mean() / 10
    assert error < wide_error / 2
