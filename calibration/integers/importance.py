"""The cost of noise in each channel of a tensor: how far it moves the float network's answers.

The second derivative of the Kullback-Leibler divergence from a network's own probabilities is the Fisher information:
the mean square of the gradient of log p(answer), with answers drawn from those probabilities (Martens 2020, "New
Insights and Perspectives on the Natural Gradient Method", arXiv 1412.1193, sections 5 and 9). Half of it, times the
variance of noise, is what the noise costs. On MobileNet 0.25 this gives two thirds of what rounding one channel of
the first tensors is measured to cost, and the right order.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.steps import Step
from mbexport.models.graph import entry_of, walk

_IMAGES: Final = 64  # twice as many change the figures by a tenth

Array = NDArray[np.float64]


def noise_costs(
    steps: Sequence[Step], sites: Iterable[str], batches: Iterable[NDArray[np.float32]], *, is_softmax: bool, seed: int
) -> dict[str, Array]:
    """By site, the cost of noise of variance 1 at all positions of a channel: (channels,), in nats.

    `batches` are (n, px, px, channels) float32, of which the first 64 images count; `seed` decides the answers that
    are drawn. For a network whose scores are no softmax, the cost is half the squared error of the logits.
    """
    rng = np.random.default_rng(seed)
    names, seen = list(sites), 0
    costs: dict[str, Array] = {}
    for batch in batches:
        images = batch[: _IMAGES - seen]
        if not len(images):
            break
        tensors, logits, tape = _forward(steps, names, tf.constant(images))
        with tape:
            drawn = _drawn(logits, rng, is_softmax=is_softmax)
        for name, gradient in zip(names, tape.gradient(drawn, [tensors[name] for name in names]), strict=True):
            found = np.asarray(tf.reduce_sum(tf.square(gradient), [0, 1, 2]), np.float64)
            costs[name] = costs.get(name, np.zeros_like(found)) + found
        seen += len(images)
    return {name: values / (2 * max(seen, 1)) for name, values in costs.items()}


def _forward(steps: Sequence[Step], names: Sequence[str], x: Any) -> tuple[dict[str, Any], Any, tf.GradientTape]:
    """The tensors of `names`, the logits (n, classes), and the tape on which both lie.

    The logits of several outputs stand side by side.
    """
    tensors, outputs = {}, []
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        for step, made in walk(steps, {entry_of(steps): x}, lambda step, inputs: step.compute(*inputs)):
            if step.site in names:
                tensors[step.site] = made
            if step.is_output:
                outputs.append(tf.reshape(made, [made.shape[0], -1]))
        logits = tf.concat(outputs, axis=1) if len(outputs) > 1 else outputs[0]
    return tensors, logits, tape


def _drawn(logits: Any, rng: np.random.Generator, *, is_softmax: bool) -> Any:
    """A scalar whose gradient has the Fisher information as mean square: log p(answer), or a random sum of logits."""
    if not is_softmax:
        return tf.reduce_sum(logits * rng.choice([-1.0, 1.0], size=logits.shape).astype(np.float32))
    # The largest of probabilities with Gumbel noise is an answer drawn from them.
    answers = np.argmax(np.asarray(logits) + rng.gumbel(size=logits.shape), axis=1)
    return tf.reduce_sum(tf.gather(tf.nn.log_softmax(logits), answers, axis=1, batch_dims=1))
