"""Networks with branches are distilled as chains are: every kernel learns, within the scales that were decided."""

from typing import Any

import branched_networks
import numpy as np
import pytest
import tf_keras
from branched_networks import PREPROCESS, pixels

from mbexport.calibration.integers.corrections import Corrected, Corrections, correct
from mbexport.calibration.qat.fake_quant import fake_quantize, float_weights, input_range
from mbexport.calibration.qat.train import Duration, quantization_aware_training
from mbexport.calibration.ranges.observe import observe
from mbexport.models.folding import fold_batch_norm
from mbexport.models.training.augment import DIGITS_AUGMENTATION
from mbexport.models.training.stream import TrainSettings

pytestmark = pytest.mark.run

ENDS = {"input_scale": PREPROCESS.input_scale, "input_zero_point": PREPROCESS.input_zero_point}


@pytest.fixture(scope="module", params=["squeezed", "every_operator"])
def teacher(request: Any) -> Any:
    return fold_batch_norm(getattr(branched_networks, request.param)(), preprocess=PREPROCESS)


@pytest.fixture(scope="module")
def found(teacher: Any) -> Corrected:
    """The integers of the network as plain rounding decides them, so that training has something to gain."""
    images = PREPROCESS.dequantize(pixels())
    return correct(
        teacher,
        observe(teacher, [images]),
        lambda: [images],
        entry=input_range(**ENDS),
        corrections=Corrections.of(()),
    )


def with_weights(teacher: Any, found: Corrected) -> Any:
    rounded = fold_batch_norm(teacher)
    for name, weights in found.weights.items():
        rounded.get_layer(name).set_weights(weights)
    return rounded


def test_a_gradient_reaches_every_kernel(teacher: Any, found: Corrected) -> None:
    student = fake_quantize(with_weights(teacher, found), found.ranges, **ENDS, largest=found.largest)
    before = float_weights(student)
    student.compile(tf_keras.optimizers.Adam(1e-5), "mse")
    images = PREPROCESS.dequantize(pixels(8))
    student.train_on_batch(images, np.asarray(teacher(images)) + 0.1)
    after = float_weights(student)
    assert set(after) == set(found.weights)
    same = [name for name in after if np.array_equal(after[name][0], before[name][0])]
    assert same == []


def test_a_training_ends_with_codes_within_their_scales(
    teacher: Any, found: Corrected, digits: Any, session_of: Any
) -> None:
    folded = with_weights(teacher, found)
    outcome = quantization_aware_training(
        folded,
        digits,
        PREPROCESS,
        TrainSettings(batch=16, seed=0, augmentation=DIGITS_AUGMENTATION),
        ranges=found.ranges,
        largest=found.largest,
        teacher=teacher,
        duration=Duration(steps=2),
        session=session_of(),
        on_step=lambda *_: None,
    )
    assert outcome is not None
    assert np.isfinite(outcome.best.loss)
    for name, largest in found.largest.items():
        kernel, bias = folded.get_layer(name).get_weights()
        assert (np.abs(kernel.reshape(-1, len(bias))) <= largest * (1 + 1e-6)).all()
