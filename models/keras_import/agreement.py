"""Hold an import against the user's own model on the same images, and find the first layer where they part."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.models.facts import Output
from mbexport.models.folding import without_probabilities
from mbexport.models.keras_import.canonical import ChainState, layer_of
from mbexport.models.keras_import.chain import Step
from mbexport.models.keras_import.model import import_model
from mbexport.models.keras_import.original import Images, Layer, Original, open_original
from mbexport.models.resolution import Resolution

TOLERANCE: Final = 1e-4  # of a probability, or of the largest logit
_ROUNDING: Final = 1e-5  # of the largest value: what float32 may do behind many layers
_LEAST_VALUE: Final = 1e-30  # where all are zero, any other value is far from them


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A user's model in a file, as `import_model` takes it."""

    path: Path
    resolution: Resolution | None = None
    trust: bool = False

    def original(self, *, logits: bool = False) -> Original:
        """The model as its own library runs it; with `logits` without the softmax or sigmoid at its end."""
        return open_original(self.path, resolution=self.resolution, trust=self.trust, logits=logits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The largest distance of an import from the user's model on so many images, and the library that ran that.

    Of probabilities, or of logits in units of the largest one.
    """

    images: int
    difference: float
    library: str


def require_agreement(source: Source, network: Any, images: Images, inputs: Images, *, output: Output) -> Agreement:
    """How near the imported `network` of `source` is to the user's own model.

    `images` (n, h, w, channels) are what the model takes, and `inputs` the same images as the network takes them.
    Raises `StageError`, which names the first layer that differs, beyond `TOLERANCE`.
    """
    original = source.original()
    expected, found = original(images), _scores(network(inputs, training=False))
    difference = _distance(expected, found, is_relative=output is Output.LOGITS)
    if difference <= TOLERANCE or (output is not Output.LOGITS and _is_rounding(source, network, images, inputs)):
        return Agreement(images=len(images), difference=difference, library=original.library)
    layer = first_difference(source, original, images)
    where = "in its last digits behind many layers" if layer is None else f"at first behind {layer}"
    raise StageError(
        f"the import of {source.path} is not the model that {original.library} computes: on {len(images)} images "
        f"scores differ by up to {difference:.2g}, {where}. This is a fault of mbexport, and nothing was exported"
    )


def _is_rounding(source: Source, network: Any, images: Images, inputs: Images) -> bool:
    """Whether probabilities differ because scores in the hundreds do in their last digits."""
    expected = source.original(logits=True)(images)
    found = _scores(without_probabilities(network)(inputs, training=False))
    return _distance(expected, found, is_relative=True) <= _ROUNDING


def first_difference(source: Source, original: Original, images: Images) -> Layer | None:
    """The first layer behind which the import differs from the user's model; None if there is none."""
    states: list[tuple[Layer, ChainState]] = []
    import_model(
        source.path,
        resolution=source.resolution,
        trust=source.trust,
        on_layer=lambda layer, state: states.append((layer, state)),
    )
    computed = original.behind([layer for layer, _ in states], images)
    for (layer, _), expected, found in zip(states, computed, _replayed(states, images), strict=True):
        is_last = layer is states[-1][0]
        is_relative = not is_last or states[-1][1].output is Output.LOGITS
        if expected.shape != found.shape or not _distance(expected, found, is_relative=is_relative) <= TOLERANCE:
            return layer
    return None


def _replayed(states: list[tuple[Layer, ChainState]], images: Images) -> Iterator[Images]:
    """What the import computes behind each layer; what did not change since the layer before is not computed again."""
    held: list[tuple[Step, Any]] = []
    for _, state in states:
        same = 0
        while same < min(len(held), len(state.entries)) and held[same][0] is state.entries[same]:
            same += 1
        del held[same:]
        factor, shift = (value.astype(np.float32) for value in state.before)
        value = held[-1][1] if held else tf.constant(images * factor + shift)
        for step in state.entries[same:]:
            value = _applied(step, value)
            held.append((step, value))
        yield _ended(_scores(value * state.factor.astype(np.float32) + state.shift.astype(np.float32)), state.output)


def _applied(step: Step, value: Any) -> Any:
    layer, weights = layer_of(step, name="replayed")
    layer.build(value.shape)
    layer.set_weights([each.astype(np.float32) for each in weights])
    return layer(value, training=False) if weights else layer(value)


def _ended(scores: Images, output: Output) -> Images:
    if output is Output.SOFTMAX:
        return np.asarray(tf.nn.softmax(scores))
    return np.asarray(tf.sigmoid(scores)) if output is Output.SIGMOID else scores


def _scores(values: Any) -> Images:
    array: NDArray[np.float32] = np.asarray(values, np.float32)
    return array.reshape(len(array), -1)


def _distance(expected: Images, found: Images, *, is_relative: bool) -> float:
    """The largest distance, in units of the largest expected value if that `is_relative`; infinite for no numbers."""
    if expected.shape != found.shape or not (np.isfinite(expected).all() and np.isfinite(found).all()):
        return float("inf")
    largest = float(np.abs(expected).max(initial=_LEAST_VALUE)) if is_relative else 1.0
    return float(np.abs(expected - found).max(initial=0)) / largest
