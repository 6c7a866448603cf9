"""Stream the batches of training epochs, which depend on the seed and the epoch's number only."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, Final, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.models.data.imageset import ImageSet, reader_pool
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.pixel_store import PixelStore

_BATCHES_AHEAD: Final = 2  # decoded while the network trains on one
_SEEDS_PER_BATCH: Final = 16  # `augment` draws from seed + 0, seed + 1, ...
_EPOCH_BITS: Final = 32  # an epoch and a step share one 64-bit seed


class Augments(Protocol):
    """Random changes of images, and of what is learned of them.

    `mixes` says that images are blended with others of their batch: what is learned of them is then not known.
    """

    @property
    def mixes(self) -> bool: ...

    def moved(self, pixels: Any, targets: Any, *, seed: Any, output: Resolution | None) -> tuple[Any, Any]:
        """Change a batch (n, h, w, channels) of bytes to float32 0..255, of the size `output`, and its targets.

        `seed` (2 integers) decides everything.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """The settings of a training: `batch` images a step, their `augmentation`, and the `seed` of all random choices."""

    batch: int
    seed: int
    augmentation: Augments


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What is to be learned of images: `of(indices)` are those of some, an array (n, *shape) of numpy's `dtype`."""

    of: Callable[[NDArray[np.int64]], NDArray[Any]]
    dtype: Any
    shape: tuple[int, ...] = ()


def labels_of(images: ImageSet) -> Targets:
    """The label of each image, int64."""
    return Targets(of=lambda indices: images.labels[indices], dtype=np.int64)


def steps_per_epoch(images: ImageSet, settings: TrainSettings) -> int:
    """The number of whole batches in the images, at least one."""
    return max(1, len(images) // settings.batch)


def training_steps(
    images: ImageSet,
    preprocess: Preprocess,
    settings: TrainSettings,
    *,
    steps: range,
    store: PixelStore | None,
    output: Resolution,
    targets: Targets | None = None,
) -> Any:
    """The batches of `steps`, counted from the first of epoch 0, as `training_batches` streams them."""
    per_epoch = steps_per_epoch(images, settings)
    return training_batches(
        images,
        preprocess,
        batch=settings.batch,
        seed=settings.seed,
        epochs=range(steps.start // per_epoch, -(-steps.stop // per_epoch)),
        steps=steps,
        augmentation=settings.augmentation,
        store=store,
        output=output,
        targets=targets,
    )


def training_batches(
    images: ImageSet,
    preprocess: Preprocess,
    *,
    batch: int,
    seed: int,
    epochs: range,
    steps: range | None = None,
    augmentation: Augments | None,
    store: PixelStore | None,
    output: Resolution | None = None,
    targets: Targets | None = None,
) -> Any:
    """A tf.data stream of (float32 pixels 0..255 of shape (batch, *preprocess.shape), targets of (batch, ...)).

    The stream covers `epochs`, whose first may be any, or those `steps` of them, counted from the first step of
    epoch 0. It has whole batches only, and each image at most once an epoch; a set smaller than a batch is one batch.
    `seed` and the epoch's number alone decide the order and the augmentation of each image, so that a resumed
    training sees the same batches as an undisturbed one. Without `augmentation` the pixels are those of `preprocess`;
    with it they may have another size, `output`. `store` caches the pixels of these images from one epoch to the
    next; without it they are decoded again. Without `targets` these are the images' labels. Raises `ValueError` for a
    store of another size.
    """
    _require_fit(store, images, preprocess)
    rows = min(batch, len(images))
    per_epoch = len(images) // rows
    numbers = range(epochs.start * per_epoch, epochs.stop * per_epoch) if steps is None else steps
    learned = targets or labels_of(images)
    read = _BatchReader(
        learned.of, pixels_of(images, preprocess, store), count=len(images), rows=rows, seed=seed, stop=numbers.stop
    )

    def load(number: Any) -> Any:
        pixels, found = tf.numpy_function(read, [number], [tf.uint8, tf.as_dtype(learned.dtype)])
        shape = (rows, *learned.shape)
        return number, tf.ensure_shape(pixels, (rows, *preprocess.shape)), tf.ensure_shape(found, shape)

    def move(number: Any, pixels: Any, found: Any) -> Any:
        if augmentation is None:
            return tf.cast(pixels, tf.float32), found
        return augmentation.moved(pixels, found, seed=_seed_of(seed, number, per_epoch), output=output)

    return tf.data.Dataset.range(numbers.start, numbers.stop).map(load).map(move)


def _require_fit(store: PixelStore | None, images: ImageSet, preprocess: Preprocess) -> None:
    if store is not None and (store.count, store.shape) != (len(images), preprocess.shape):
        raise ValueError(
            f"the store must be of {len(images)} images of {preprocess.shape}, got {store.count} of {store.shape}"
        )


def pixels_of(images: ImageSet, preprocess: Preprocess, store: PixelStore | None) -> Callable[[int], Pixels]:
    """A function that decodes one image, or finds it in the store."""

    def decode(index: int) -> Pixels:
        return preprocess.pixels(images.read(index))

    return decode if store is None else lambda index: store.pixels(index, decode)


def _seed_of(seed: int, number: Any, per_epoch: int) -> list[Any]:
    """The two integers that decide how the images of batch `number` are moved."""
    which = number // per_epoch * (1 << _EPOCH_BITS) + number % per_epoch
    return [tf.constant(seed * _SEEDS_PER_BATCH, tf.int64), which]


class _BatchReader:
    """Reads batches by their number, counted over all epochs, while other threads decode the next ones.

    Deterministic tf.data calls a Python function once at a time and drops every prefetch behind it
    (tensorflow/core/grappler/optimizers/data/make_deterministic.cc), so the work ahead is done here.
    """

    def __init__(
        self,
        targets_of: Callable[[NDArray[np.int64]], NDArray[Any]],
        pixels_of: Callable[[int], Pixels],
        *,
        count: int,
        rows: int,
        seed: int,
        stop: int,
    ) -> None:
        self._targets_of, self._pixels_of, self._count = targets_of, pixels_of, count
        self._rows, self._seed, self._stop = rows, seed, stop
        self._order = lru_cache(maxsize=2)(self._order_of)
        self._begun: dict[int, list[Future[Pixels]]] = {}
        self._lock = Lock()

    def __call__(self, number: int) -> tuple[Pixels, NDArray[Any]]:
        """The uint8 pixels and the targets of batch `number`. Raises `DataError` for an image that is damaged."""
        first = int(number)
        with self._lock:
            for ahead in range(first, min(first + 1 + _BATCHES_AHEAD, self._stop)):
                if ahead not in self._begun:
                    chosen = self._chosen(ahead).tolist()
                    self._begun[ahead] = [reader_pool().submit(self._pixels_of, index) for index in chosen]
            images = self._begun.pop(first)
            targets = self._targets_of(self._chosen(first))
        return np.stack([image.result() for image in images]), targets

    def _chosen(self, number: int) -> NDArray[np.int64]:
        epoch, step = divmod(number, self._count // self._rows)
        return self._order(epoch)[step * self._rows : (step + 1) * self._rows]

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch]).permutation(self._count)
