"""The cost of noise in each channel of a tensor: how far it moves the float network's answers.

The second derivative of the Kullback-Leibler divergence from a network's own probabilities is the Fisher information:
the mean square of the gradient of log p(answer), with answers drawn from those probabilities (Martens 2020, "New
Insights and Perspectives on the Natural Gradient Method", arXiv 1412.1193, sections 5 and 9). Half of it, times the
variance of noise, is what the noise costs. On MobileNet 0.25 this gives two thirds of what rounding one channel of
the first tensors is measured to cost, and the right order. A detector's classes and boxes are drawn likewise, by the
divergence of `calibration.detector_measure`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.steps import Step
from mbexport.models.graph import entry_of, walk

_IMAGES: Final = 64  # twice as many change the figures by a tenth

Array = NDArray[np.float64]


def noise_costs(
    steps: Sequence[Step],
    sites: Iterable[str],
    batches: Iterable[NDArray[np.float32]],
    *,
    is_softmax: bool,
    detector: DetectorMeasure | None = None,
    seed: int,
) -> dict[str, Array]:
    """By site, the cost of noise of variance 1 at all positions of a channel: (channels,), in nats.

    `batches` are (n, px, px, channels) float32, of which the first 64 images count; `seed` decides the answers that
    are drawn. For a network whose scores are no softmax, the cost is half the squared error of the logits; for a
    `detector` its divergence.
    """
    names, seen = list(sites), 0
    costs: dict[str, Array] = {}

    def drawn(outputs: Mapping[str, Any], first: Any) -> Any:
        if detector:
            answers = detector.joined(outputs)
            return detector.drawn(answers, _noise(answers, first, seed))
        logits = _side_by_side(outputs)
        return _drawn(logits, _noise(logits, first, seed), is_softmax=is_softmax)

    def squared(images: Any, first: Any) -> list[Any]:
        return _squared_gradients(steps, names, images, lambda outputs: drawn(outputs, first))

    compiled = tf.function(squared, reduce_retracing=True, autograph=False)
    for batch in batches:
        images = batch[: _IMAGES - seen]
        if not len(images):
            break
        for name, found in zip(names, compiled(tf.constant(images), tf.constant(seen)), strict=True):
            costs[name] = costs.get(name, np.zeros(found.shape)) + np.asarray(found, np.float64)
        seen += len(images)
    return {name: values / (2 * max(seen, 1)) for name, values in costs.items()}


def _squared_gradients(
    steps: Sequence[Step], names: Sequence[str], x: Any, drawn: Callable[[Mapping[str, Any]], Any]
) -> list[Any]:
    """By name, the sum of the squared gradient of what is `drawn` of the outputs, over images and all positions."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        tensors, outputs = _forward(steps, names, x)
        scalar = drawn(outputs)
    gradients = tape.gradient(scalar, [tensors[name] for name in names])
    return [tf.reduce_sum(tf.square(gradient), [0, 1, 2]) for gradient in gradients]


def _forward(steps: Sequence[Step], names: Sequence[str], x: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors of `names`, and the outputs of the network, by name."""
    tensors, outputs = {}, {}
    for step, made in walk(steps, {entry_of(steps): x}, lambda step, inputs: step.compute(*inputs)):
        if step.site in names:
            tensors[step.site] = made
        if step.is_output:
            outputs[step.site] = made
    return tensors, outputs


def _side_by_side(outputs: Mapping[str, Any]) -> Any:
    """The outputs as logits (n, classes)."""
    flat = [tf.reshape(made, [-1, math.prod(made.shape[1:])]) for made in outputs.values()]
    return tf.concat(flat, axis=1) if len(flat) > 1 else flat[0]


def _noise(answers: Any, first: Any, seed: int) -> Any:
    """Numbers between 0 and 1 of the shape of `answers`; `first` is the number of their first image."""
    shape = [_IMAGES, *answers.shape[1:]]
    noise = tf.random.stateless_uniform(shape, [seed, 0], minval=np.finfo(np.float32).tiny)
    return noise[first : first + tf.shape(answers)[0]]


def _drawn(logits: Any, noise: Any, *, is_softmax: bool) -> Any:
    """A scalar whose gradient has the Fisher information as mean square: log p(answer), or a random sum of logits.

    `noise` (n, classes) lies evenly between 0 and 1.
    """
    if not is_softmax:
        return tf.reduce_sum(logits * tf.sign(noise - 0.5))
    # The largest of logits with Gumbel noise is an answer drawn from their probabilities.
    answers = tf.argmax(tf.stop_gradient(logits) - tf.math.log(-tf.math.log(noise)), axis=1)
    return tf.reduce_sum(tf.gather(tf.nn.log_softmax(logits), answers, axis=1, batch_dims=1))
