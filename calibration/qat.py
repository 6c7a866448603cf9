"""Turns a folded network with calibrated ranges into one whose weights have learned to live with 8 bits."""

import tf_keras

from mbexport.calibration.fake_quant import float_weights, quantizable
from mbexport.calibration.ranges import Ranges
from mbexport.models.data import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.models.train import OnStep, TrainSettings, fit, make_deterministic, steps_per_epoch


def quantization_aware_training(
    folded: tf_keras.Model,
    ranges: Ranges,
    images: ImageSet,
    preprocess: Preprocess,
    settings: TrainSettings,
    *,
    on_step: OnStep,
) -> None:
    """Trains `folded` in place, through a fake-quantized copy that starts from `ranges` and keeps them.

    The float network is the teacher: what counts is that the quantized one answers as it does.

    Batch normalization is frozen by being folded: its statistics cannot move. The learning rate falls from its
    peak to zero along a cosine. With zero epochs `folded` stays as it is.
    """
    if settings.epochs == 0:
        return
    make_deterministic(settings.seed)
    quantized = quantizable(
        folded, ranges, input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point
    )
    schedule = tf_keras.optimizers.schedules.CosineDecay(
        settings.learning_rate, settings.epochs * steps_per_epoch(images, settings)
    )
    fit(
        quantized,
        images,
        preprocess,
        settings,
        schedule=schedule,
        mean=preprocess.input_zero_point,
        on_step=on_step,
        teacher=folded,
    )
    for name, weights in float_weights(quantized).items():
        folded.get_layer(name).set_weights(weights)
