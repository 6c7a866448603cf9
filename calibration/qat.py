"""Turns a folded network with calibrated ranges into one whose weights have learned to live with 8 bits."""

from typing import Final

import numpy as np
import tf_keras

from mbexport.calibration.fake_quant import Largest, float_weights, quantizable
from mbexport.calibration.range_file import Ranges
from mbexport.models.data import ImageSet
from mbexport.models.fit import Lesson, OnStep, Phase, Session, TrainSettings, fit
from mbexport.models.preprocess import Preprocess
from mbexport.models.train import make_deterministic

_HELD_OUT: Final = 5  # every fifth image
_MOST_HELD_OUT: Final = 256
_LEARNING_RATE: Final = 1e-5  # weights only have to find the nearest grid point that works


def quantization_aware_training(
    folded: tf_keras.Model,
    images: ImageSet,
    preprocess: Preprocess,
    settings: TrainSettings,
    *,
    ranges: Ranges,
    largest: Largest,
    teacher: tf_keras.Model,
    epochs: int,
    session: Session,
    on_step: OnStep,
) -> None:
    """Trains `folded` in place, through a fake-quantized copy that starts from `ranges` and keeps them.

    `teacher` is the float network, with the same input: what counts is that the quantized one answers as it does. A
    fifth of the images is held out to judge that; the best epoch is kept, which may be none at all: training never
    ends with answers that are less alike than those it began with.

    Batch normalization is frozen by being folded: its statistics cannot move. So are the scales of the weights, in
    which `largest` is code 127. The learning rate falls from its peak to zero along a cosine. With zero `epochs`
    `folded` stays as it is.
    """
    if epochs == 0:
        return
    make_deterministic(settings.seed)
    quantized = quantizable(
        folded,
        ranges,
        input_scale=preprocess.input_scale,
        input_zero_point=preprocess.input_zero_point,
        largest=largest,
    )
    held_out = np.random.default_rng(settings.seed).permutation(len(images))[: max(1, len(images) // _HELD_OUT)]
    lesson = Lesson(
        images=images.without(held_out.tolist()),
        preprocess=preprocess,
        as_input=preprocess.dequantize_floats,
        teacher=teacher,
        validation=images.subset(held_out[:_MOST_HELD_OUT]),
        patience=epochs,
    )
    phases = (Phase(epochs=epochs, learning_rate=_LEARNING_RATE),)
    fit(quantized, lesson, settings, phases, session=session, on_step=on_step)
    for name, (kernel, bias) in float_weights(quantized).items():
        ends = largest[name].astype(np.float32)
        if isinstance(folded.get_layer(name), tf_keras.layers.DepthwiseConv2D):
            ends = ends[:, None]
        folded.get_layer(name).set_weights([np.clip(kernel, -ends, ends), bias])
