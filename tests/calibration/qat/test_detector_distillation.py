"""A quantized detector learns the answers of the float one, in every kernel, and never ends worse than it began."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from small_detector import PREPROCESS as PREPARED

from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.integers.corrections import Corrected, Corrections, correct
from mbexport.calibration.qat import train as qat
from mbexport.calibration.qat.detector_objective import DetectorObjective, with_joined_heads
from mbexport.calibration.qat.fake_quant import PREFIX, fake_quantize, float_weights, input_range
from mbexport.calibration.qat.train import Distilled, Duration, quantization_aware_training
from mbexport.calibration.ranges.observe import observe
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.training.augment import DIGITS_AUGMENTATION
from mbexport.models.training.stream import TrainSettings

pytestmark = pytest.mark.run

ENDS = {"input_scale": PREPARED.input_scale, "input_zero_point": PREPARED.input_zero_point}
SETTINGS = TrainSettings(batch=8, seed=0, augmentation=DIGITS_AUGMENTATION)


@pytest.fixture(scope="module")
def images(digits: ImageSet) -> np.ndarray:
    return PREPARED.dequantize(np.concatenate(list(iter_pixels(digits, PREPARED))))


@pytest.fixture(scope="module")
def teacher(small_detector: Callable[[], Any]) -> Any:
    return small_detector()


@pytest.fixture(scope="module")
def found(teacher: Any, images: np.ndarray) -> Corrected:
    """The integers as plain rounding decides them, so that training has something to gain."""
    return correct(
        teacher, observe(teacher, [images]), lambda: [images], entry=input_range(**ENDS), corrections=Corrections.of(())
    )


@pytest.fixture
def folded(small_detector: Callable[[], Any], found: Corrected) -> Any:
    made = small_detector()
    for name, weights in found.weights.items():
        made.get_layer(name).set_weights(weights)
    return made


@pytest.fixture(scope="module")
def objective(teacher: Any, detector: DetectorMeasure, digits: ImageSet) -> DetectorObjective:
    return DetectorObjective(
        images=digits, preprocess=PREPARED, teacher=teacher, detector=detector, held_out=digits, patience=1
    )


@pytest.fixture
def rounded(folded: Any, found: Corrected) -> Any:
    return fake_quantize(folded, found.ranges, **ENDS, largest=found.largest)


@pytest.fixture
def student(rounded: Any, teacher: Any, detector: DetectorMeasure) -> Any:
    return with_joined_heads(rounded, detector, names=teacher.output_names)


@pytest.fixture
def distil(
    folded: Any, found: Corrected, objective: DetectorObjective, digits: ImageSet, session_of: Any
) -> Callable[..., Distilled]:
    """Trains `folded` in place; with `is_spoiled` it sees too much in the first map to begin with."""

    def run(*, steps: int, is_spoiled: bool = False, unless_below: float = 0.0) -> Distilled:
        if is_spoiled:
            kernel, bias = folded.get_layer("classes_0").get_weights()
            folded.get_layer("classes_0").set_weights([kernel, bias + np.float32(0.5)])
        outcome = quantization_aware_training(
            folded, digits, PREPARED, SETTINGS, ranges=found.ranges, largest=found.largest, teacher=objective.teacher,
            detector=objective.detector, duration=Duration(steps=steps, unless_below=unless_below),
            session=session_of(), on_step=lambda *_: None,
        )  # fmt: skip
        assert outcome is not None
        return outcome

    return run


def test_the_student_s_one_output_are_the_joined_heads(
    rounded: Any, student: Any, detector: DetectorMeasure, images: np.ndarray
) -> None:
    by_name = {name.removeprefix(PREFIX): x for name, x in zip(rounded.output_names, rounded(images[:3]), strict=True)}
    np.testing.assert_array_equal(student(images[:3]), detector.joined(by_name))


def answers(network: Any, detector: DetectorMeasure, images: np.ndarray) -> Any:
    return detector.joined(dict(zip(network.output_names, network(images), strict=True)))


def test_a_gradient_reaches_every_kernel(student: Any, teacher: Any, detector: DetectorMeasure, images: Any) -> None:
    before = float_weights(student)
    student.compile(tf_keras.optimizers.Adam(1e-5), loss=detector.mean_divergence)
    student.train_on_batch(images[:16], answers(teacher, detector, images[:16]))
    after = float_weights(student)
    assert len(after) == len(before) == 9
    assert [name for name in after if np.array_equal(after[name][0], before[name][0])] == []


def test_an_evaluation_by_hand(student: Any, objective: DetectorObjective, images: np.ndarray) -> None:
    judged = objective.rated([objective.evaluated(student)])
    detector, teacher = objective.detector, objective.teacher
    expected, made = (tf.cast(each, tf.float64) for each in (answers(teacher, detector, images), student(images)))
    assert judged.loss == pytest.approx(float(detector.mean_divergence(expected, made)), rel=1e-3)
    either, both = (each.sum() for each in detector.shown(expected, made))
    assert judged.accuracy == pytest.approx(both / either)
    assert 0 < judged.accuracy < 1
    itself = with_joined_heads(teacher, detector, names=teacher.output_names)
    exact = objective.rated([objective.evaluated(itself)])
    assert exact.loss == pytest.approx(0, abs=1e-6)
    assert exact.accuracy == 1
    assert objective.is_better(exact, judged)
    assert not objective.is_better(judged, judged)


def test_distillation_brings_detections_nearer_to_float_s(
    distil: Callable[..., Distilled], folded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qat, "_LEARNING_RATE", 1e-2)
    before = folded.get_weights()
    outcome = distil(steps=30, is_spoiled=True)
    assert outcome.is_kept
    assert 0 < outcome.best.loss < 0.8 * outcome.start.loss
    assert [step for step, _ in outcome.history] == [6, 12, 18, 24, 30]
    assert (outcome.images, outcome.held_out) == (52, 12)
    assert any(not np.array_equal(one, other) for one, other in zip(before, folded.get_weights(), strict=True))


def test_it_is_settled_by_the_boxes_of_an_object_ten_of_which_are_shown(distil: Callable[..., Distilled]) -> None:
    outcome = distil(steps=2, unless_below=1e9)
    assert (outcome.is_kept, outcome.history) == (False, ())
    assert distil(steps=2, unless_below=9.9 * outcome.start.loss).history
    assert not distil(steps=2, unless_below=10.1 * outcome.start.loss).history


def test_distillation_that_does_harm_changes_nothing_and_says_so(
    distil: Callable[..., Distilled], folded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qat, "_LEARNING_RATE", 3.0)
    before = folded.get_weights()
    outcome = distil(steps=6)
    assert not outcome.is_kept
    assert [value.tobytes() for value in folded.get_weights()] == [value.tobytes() for value in before]
