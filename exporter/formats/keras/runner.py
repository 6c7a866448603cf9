"""Run a trained Keras model of any file form; no code from the file is executed."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Precision, TensorSpec
from mbexport.errors import DataError, StageError
from mbexport.formats.runner import FLOAT, ConvLayer, Runner

_BATCH: Final = 1  # as exported artifacts take it, so that a time is that of one image
_PROOFS: Final = 4  # images


class KerasRunner(Runner):
    """A .h5, a .keras or a SavedModel folder as a graph of layers in TensorFlow, which takes the threads it wants.

    What the model does to its own input before the first layer is `rescaling`, and not part of the graph. `prove` holds
    the graph against the model as its own library computes it. Raises `DataError` for a file that is damaged or no
    such graph.
    """

    runtime = "tensorflow"
    precision = Precision.FP32

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        del threads  # TensorFlow's are those of the whole process, and cannot be changed once it has begun
        from mbexport.models.keras_import.model import import_model  # loads TensorFlow

        found = import_model(path)
        self.rescaling = (found.input_scale, found.input_offset)
        self._network, self._ending = found.network, found.output
        shapes = (found.network.input_shape, found.network.output_shape)
        source, target = (
            TensorSpec(name=name, shape=(_BATCH, *shape[1:]), dtype=FLOAT)
            for name, shape in zip(("image", "scores"), shapes, strict=True)
        )
        import tensorflow as tf

        self._classify = tf.function(
            lambda images: found.network(images, training=False),
            input_signature=[tf.TensorSpec(source.shape, tf.float32)],
        )
        super().__init__(path, source, target)

    def _invoke(self, feed: NDArray[Any]) -> list[NDArray[Any]]:
        return [np.asarray(self._classify(feed))]

    def prove(self) -> None:
        """Raise `DataError` unless the graph answers what the model itself does, on images of noise."""
        from mbexport.models.keras_import.agreement import Source, require_agreement

        scale, offset = (np.array(value, np.float32) for value in self.rescaling)
        noise = np.random.default_rng(0).uniform(-1, 1, (_PROOFS, *self.input.shape[1:])).astype(np.float32)
        images = (noise - offset) / scale
        source = Source(path=self.path)
        try:
            require_agreement(source, self._network, images, images * scale + offset, output=self._ending)
        except StageError as error:
            raise DataError(str(error)) from None

    def ending(self) -> str:
        return self._ending

    def conv_layers(self) -> tuple[ConvLayer, ...]:
        from tf_keras import layers

        return tuple(
            ConvLayer(channels=layer.output_shape[-1], is_depthwise=isinstance(layer, layers.DepthwiseConv2D))
            for layer in self._network.layers
            if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D)
        )

    def metadata(self) -> dict[str, str]:
        return {}
