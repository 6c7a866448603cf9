"""The tensors that layers have to read while their integers are decided, of as many images as each one needs.

Early tensors are large, and few images tell enough of them; later ones are small, and want more images. So each step
gets as many images as make some millions of values. Images that are wanted later only go through all steps that were
decided before at once, and nothing of them is kept but what is still to be read: memory does not grow with the number
of images, and each image goes through each step once.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import Range, activation_affine
from mbexport.calibration.integers.stored_site import StoredSite
from mbexport.calibration.integers.tensors import Grid, Pair, StoredTensor
from mbexport.calibration.ranges.watch import small_batches, together
from mbexport.calibration.steps import Step
from mbexport.models.graph import entry_of, walk

_VALUES: Final = 8_000_000  # of the largest tensor that a step reads or makes
_LATER_VALUES: Final = 12_000_000  # of the same of any later step: images that came stay

Array = NDArray[np.float32]
Run = Callable[[Sequence[Pair]], Pair]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A step whose integers are decided.

    `run` makes its output of its inputs, float and quantized values; the latter are still to be rounded to the codes
    of `interval`.
    """

    name: str
    inputs: tuple[str, ...]
    run: Run
    interval: Range
    is_output: bool = False


class Propagation:
    """The tensors that steps still have to read, of as many images as they needed so far."""

    def __init__(
        self, folded: tf_keras.Model, steps: Sequence[Step], batches: Iterable[Array], *, interval: Range
    ) -> None:
        """`batches` are inputs of `folded`, float32 (n, px, px, channels), whose range is `interval`."""
        self._sizes = tensor_sizes(folded, steps)
        self._last_readers = {name: step.name for step in steps for name in step.inputs}
        self._left = small_batches(batches, largest=max(self._sizes.values()))
        entry = entry_of(steps)
        self._entry, self._interval, self._shape, self._images = entry, interval, folded.input_shape, 0
        self._decided: list[Decided] = []
        self._wanted = self._images_wanted(steps)
        self._held = {entry: StoredTensor.of(interval)}
        self._sites: dict[str, StoredSite] = {}

    def inputs_of(self, step: Step) -> list[StoredTensor]:
        """The tensors that the next step reads, of as many images as it needs, or of all."""
        if self._images < self._wanted[step.name]:
            self._bring(self._wanted[step.name])
        largest = self._largest(step)
        return [replace(self._held[name], together=together(largest)) for name in step.inputs]

    def add(self, decided: Decided, pairs: Iterable[Pair]) -> None:
        """Take the next step, and what it makes of the images so far; let the tensors go that it read last."""
        tensor = StoredTensor.of(decided.interval)
        for pair in pairs:
            tensor.add(*pair)
        self._decided.append(decided)
        self._held[decided.name] = tensor
        for name in [name for name in self._held if self._last_readers.get(name) == decided.name]:
            self._sites[name] = self._held.pop(name).site()

    def sites(self) -> dict[str, StoredSite]:
        """How well each tensor is stored on the images that it had, the input first."""
        found = self._sites | {name: tensor.site() for name, tensor in self._held.items()}
        return {name: found[name] for name in (self._entry, *(each.name for each in self._decided))}

    def _largest(self, step: Step) -> int:
        """How many values an image has in the largest tensor that the step reads or makes."""
        return max(self._sizes[name] for name in (step.name, *step.inputs))

    def _images_wanted(self, steps: Sequence[Step]) -> dict[str, int]:
        """How many images each step is given, if there are as many.

        A sum of small tensors could do with more than the large ones behind it.
        """
        wanted, most = {}, 1
        for step in reversed(steps):
            most = max(most, self._largest(step))
            wanted[step.name] = max(1, min(-(-_VALUES // self._largest(step)), -(-_LATER_VALUES // most)))
        return wanted

    def _bring(self, wanted: int) -> None:
        """Bring more images to where the others are, until there are as many as `wanted`, or all."""
        images = tf.TensorSpec(self._shape, tf.float32)
        forward = tf.function(self._stored, input_signature=[images], autograph=False)
        while self._images < wanted and (batch := next(self._left, None)) is not None:
            self._images += len(batch)
            for (name, tensor), stored in zip(self._held.items(), forward(batch), strict=True):
                if name == self._entry:
                    tensor.add(batch, batch)
                else:  # counted when it was decided
                    tensor.append(*stored)

    def _stored(self, x: Any) -> list[Any]:
        """What is kept of each held tensor of a batch of inputs."""
        found: dict[str, Pair] = {}

        def rounded(name: str, interval: Range, pair: Pair) -> Pair:
            found[name] = (pair[0], Grid(affine=activation_affine(interval)).rounded(pair[1]))
            return found[name]

        given = {self._entry: rounded(self._entry, self._interval, (x, x))}
        for _ in walk(self._decided, given, lambda step, pairs: rounded(step.name, step.interval, step.run(pairs))):
            pass
        return [tensor.grid.stored(*found[name]) for name, tensor in self._held.items()]


def tensor_sizes(folded: tf_keras.Model, steps: Sequence[Step]) -> dict[str, int]:
    """How many values one image has in each tensor, by name: the input and what each step makes."""
    shapes = {step.site: folded.get_layer(step.site).output_shape for step in steps}
    shapes[entry_of(steps)] = folded.input_shape
    return {name: math.prod(shape[1:]) for name, shape in shapes.items()}
