"""Hold an import against the user's own model on the same images, and find the first layer where they part."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.models.facts import Output
from mbexport.models.folding import without_probabilities
from mbexport.models.keras_import.detector import import_detector
from mbexport.models.keras_import.model import Imported, Layer, import_model
from mbexport.models.keras_import.original import Images, Original, open_original
from mbexport.models.resolution import Resolution

TOLERANCE: Final = 1e-4  # of a probability, or of the largest logit
_ROUNDING: Final = 1e-5  # of the largest value: what float32 may do behind many layers
_AT_ONCE: Final = 4  # images: what all layers give of them is held at once
_LEAST_VALUE: Final = 1e-30  # where all are zero, any other value is far from them


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A user's model in a file, as `import_model` takes it or, of a detector, `import_detector`."""

    path: Path
    resolution: Resolution | None = None
    trust: bool = False
    is_detector: bool = False

    def imported(self) -> Imported:
        """The import of the model."""
        if self.is_detector:
            return import_detector(self.path, resolution=self.resolution, trust=self.trust).imported
        return import_model(self.path, resolution=self.resolution, trust=self.trust)

    def original(self, *, logits: bool = False) -> Original:
        """The model as its own library runs it; with `logits` without the softmax or sigmoid at its end."""
        return open_original(
            self.path, resolution=self.resolution, trust=self.trust, logits=logits, has_heads=self.is_detector
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The largest distance of an import from the user's model on so many images, and the library that ran that.

    Of probabilities, or of logits in units of the largest one; of a detector the largest of its heads.
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
    is_relative = output in (Output.LOGITS, Output.DETECTIONS)
    expected = original.heads(images) if source.is_detector else [original(images)]
    heads = zip(expected, tf.nest.flatten(network(inputs, training=False)), strict=True)
    difference = max(_distance(_rows(one), _rows(other), is_relative=is_relative) for one, other in heads)
    if difference <= TOLERANCE or (not is_relative and _is_rounding(source, network, images, inputs)):
        return Agreement(images=len(images), difference=difference, library=original.library)
    layer, what = first_difference(source, original, images), "heads" if source.is_detector else "scores"
    where = "in its last digits behind many layers" if layer is None else f"at first behind {layer}"
    raise StageError(
        f"the import of {source.path} is not the model that {original.library} computes: on {len(images)} images "
        f"{what} differ by up to {difference:.2g}, {where}. This is a fault of mbexport, and nothing was exported"
    )


def _is_rounding(source: Source, network: Any, images: Images, inputs: Images) -> bool:
    """Whether probabilities differ because scores in the hundreds do in their last digits."""
    expected = source.original(logits=True)(images)
    found = _rows(without_probabilities(network)(inputs, training=False))
    return _distance(expected, found, is_relative=True) <= _ROUNDING


def first_difference(source: Source, original: Original, images: Images) -> Layer | None:
    """The first layer behind which the import differs from the user's model; None if there is none."""
    found = source.imported()
    by_name = {layer.name: layer.output for layer in found.network.layers}
    names = list(dict.fromkeys(trace.name for trace in found.traces))
    network = tf_keras.Model(found.network.inputs, [by_name[name] for name in names])
    layers = [trace.layer for trace in found.traces]
    differs: set[int] = set()
    for start in range(0, len(images), _AT_ONCE):
        part = images[start : start + _AT_ONCE]
        inputs = part * np.array(found.input_scale, np.float32) + np.array(found.input_offset, np.float32)
        values = dict(zip(names, tf.nest.flatten(network(inputs, training=False)), strict=True))
        computed = original.behind(layers, part)
        for number, (trace, expected) in enumerate(zip(found.traces, computed, strict=True)):
            own = trace.found(np.asarray(values[trace.name], np.float32))
            if not _distance(expected, own, is_relative=trace.is_relative) <= TOLERANCE:
                differs.add(number)
    return layers[min(differs)] if differs else None


def _rows(values: Any) -> Images:
    array: NDArray[np.float32] = np.asarray(values, np.float32)
    return array.reshape(len(array), -1)


def _distance(expected: Images, found: Images, *, is_relative: bool) -> float:
    """The largest distance, in units of the largest expected value if that `is_relative`; infinite for no numbers."""
    if expected.shape != found.shape or not (np.isfinite(expected).all() and np.isfinite(found).all()):
        return float("inf")
    largest = float(np.abs(expected).max(initial=_LEAST_VALUE)) if is_relative else 1.0
    return float(np.abs(expected - found).max(initial=0)) / largest
