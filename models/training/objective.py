"""What a training asks of whatever is learned: its batches, its loss, and how good a network is on held-out images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import tf_keras

from mbexport.models.data.open import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.models.training.pixel_store import PixelStore
from mbexport.models.training.stream import TrainSettings

Stream = Callable[[range], Any]  # steps, counted from the first of epoch 0, to their batches for Keras' `fit`


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The loss and the accuracy (0 to 1) of a network on held-out images.

    With a teacher `loss` is the divergence from its scores, 0 for equal ones, and `accuracy` the share of images for
    which both have the same top class; without one they are the cross-entropy and the share of right top classes. Of a
    detector `accuracy` is the average precision.
    """

    loss: float
    accuracy: float


class Objective(Protocol):
    """What a network learns from `images`, and what an epoch of it is worth.

    Their pixels are kept from one epoch to the next as `stored_as` makes them. With `has_held_out` each epoch is
    evaluated on other images, the weights of the best one are kept, and a phase ends after `patience` epochs without a
    better one; with `may_keep_start` the best weights may be those that the training started from.
    """

    @property
    def images(self) -> ImageSet: ...
    @property
    def stored_as(self) -> Preprocess: ...
    @property
    def has_held_out(self) -> bool: ...
    @property
    def may_keep_start(self) -> bool: ...
    @property
    def patience(self) -> int: ...

    def compile_options(self) -> dict[str, Any]:
        """The loss and the metrics, as arguments of Keras' `compile`."""

    def stream(self, model: tf_keras.Model, settings: TrainSettings, store: PixelStore | None) -> Stream:
        """The batches of any steps of a training of `model`. Raises `ValueError` for augmentation without a target."""

    def evaluated(self, model: tf_keras.Model) -> dict[str, float]:
        """The figures of `model` on the held-out images, by the names that they have in the history."""

    def rated(self, history: Sequence[Mapping[str, float]]) -> Evaluation:
        """What the last epoch of `history` is worth, of which each has the figures of `evaluated`."""

    def is_better(self, found: Evaluation, best: Evaluation) -> bool:
        """Whether `found` is better than the `best` so far."""
