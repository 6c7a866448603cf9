"""Turns a folded network with calibrated ranges into one whose weights have learned to live with 8 bits."""

from typing import Final

import tf_keras

from mbexport.calibration.fake_quant import float_weights, quantizable
from mbexport.calibration.ranges import Ranges
from mbexport.models.data import ImageSet
from mbexport.models.fit import Lesson, OnStep, Phase, Session, TrainSettings, fit
from mbexport.models.preprocess import Preprocess
from mbexport.models.train import make_deterministic

_LEARNING_RATE: Final = 1e-4  # weights only have to find the nearest grid point that works


def quantization_aware_training(
    folded: tf_keras.Model,
    ranges: Ranges,
    images: ImageSet,
    preprocess: Preprocess,
    settings: TrainSettings,
    *,
    epochs: int,
    session: Session,
    on_step: OnStep,
) -> None:
    """Trains `folded` in place, through a fake-quantized copy that starts from `ranges` and keeps them.

    The float network is the teacher: what counts is that the quantized one answers as it does.

    Batch normalization is frozen by being folded: its statistics cannot move. The learning rate falls from its
    peak to zero along a cosine. With zero `epochs` `folded` stays as it is.
    """
    if epochs == 0:
        return
    make_deterministic(settings.seed)
    quantized = quantizable(
        folded, ranges, input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point
    )
    lesson = Lesson(images=images, preprocess=preprocess, as_input=preprocess.dequantize_floats, teacher=folded)
    phases = (Phase(epochs=epochs, learning_rate=_LEARNING_RATE),)
    fit(quantized, lesson, settings, phases, session=session, on_step=on_step)
    for name, weights in float_weights(quantized).items():
        folded.get_layer(name).set_weights(weights)
