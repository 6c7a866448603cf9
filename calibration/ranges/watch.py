"""Watch tensors of a network while images go through it once, each through a view that keeps what is wanted of it."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.errors import StageError

_BATCH_VALUES: Final = 2_000_000  # of the largest tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is wanted of the tensor behind the layer `site`.

    `reduce` makes a smaller tensor of a batch of it, inside TensorFlow; `see` takes that as an array.
    """

    site: str
    reduce: Callable[[Any], Any]
    see: Callable[[NDArray[Any]], None]


def together(largest: int) -> int:
    """How many images fit into a batch in which a tensor has `largest` values of each."""
    return max(1, _BATCH_VALUES // largest)


def small_batches(batches: Iterable[NDArray[np.float32]], *, largest: int) -> Iterator[NDArray[np.float32]]:
    """The same images in batches so small that a tensor of `largest` values an image stays small as well."""
    images = together(largest)
    for batch in batches:
        for start in range(0, len(batch), images):
            yield batch[start : start + images]


def watch(
    model: tf_keras.Model, batches: Iterable[NDArray[np.float32]], views: Sequence[View], *, keeps_batches: bool = False
) -> int:
    """Give batches of inputs (n, px, px, channels) to the network and what it makes of them to the views.

    Batches are made smaller, so that what is held of the network stays small as well, unless it `keeps_batches`.
    Returns how many images there were. Raises `StageError` for an input that is not finite: kernels differ in whether
    a ReLU lets it through.
    """
    if not views:
        return 0
    sites = list(dict.fromkeys(view.site for view in views))
    probe = tf_keras.Model(model.input, [model.get_layer(site).output for site in sites])

    def reduced(x: Any) -> list[Any]:
        outputs = probe(x, training=False)
        tensors = dict(zip(sites, outputs if len(sites) > 1 else [outputs], strict=True))
        return [view.reduce(tensors[view.site]) for view in views]

    images = tf.TensorSpec(model.input_shape, tf.float32)
    compiled, seen = tf.function(reduced, input_signature=[images], autograph=False), 0
    largest = max(math.prod(output.shape[1:]) for output in probe.outputs)
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: Future[None] | None = None
        for batch in batches if keeps_batches else small_batches(batches, largest=largest):
            if not np.isfinite(batch).all():
                raise StageError("calibration images must be finite numbers, got one that holds NaN or infinity")
            found = compiled(tf.constant(batch))
            if waiting:  # views see one batch while the network is given the next
                waiting.result()
            waiting = pool.submit(_show, views, found)
            seen += len(batch)
        if waiting:
            waiting.result()
    return seen


def _show(views: Sequence[View], found: Sequence[Any]) -> None:
    """Let each view see what it made of a batch."""
    for view, values in zip(views, found, strict=True):
        view.see(np.asarray(values))


def ends(values: Any) -> Any:
    """The least and the greatest of a tensor's values, (2,); NaN if one of them is not finite."""
    is_finite = tf.reduce_all(tf.math.is_finite(values))
    return tf.where(is_finite, tf.stack([tf.reduce_min(values), tf.reduce_max(values)]), np.float32(np.nan))


def whole(values: Any) -> Any:
    """All of a tensor."""
    return values
