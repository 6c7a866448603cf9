"""Run a user's model as its own library does: what an import is held against.

The library gets the layers that the importer accepted, in the graph that was stored (`plain_config`), and reads the
weights by itself. A SavedModel is run as its frozen graph. No code of the file is run.
"""

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from tf_keras.src.saving.serialization_lib import SafeModeScope

from mbexport.errors import StageError
from mbexport.models.facts import Output
from mbexport.models.keras_import.canonical import ChainState
from mbexport.models.keras_import.chain import require_chain_shape
from mbexport.models.keras_import.files import (
    Config,
    keras_version,
    model_config,
    report_damage,
    require_model,
    weights_member,
)
from mbexport.models.keras_import.graph import Call, input_shape_of
from mbexport.models.keras_import.model import import_model
from mbexport.models.keras_import.plain_config import Library, Rewrite
from mbexport.models.keras_import.saved_model import ServingGraph, image_of, serving_graph
from mbexport.models.keras_import.saved_model_steps import GraphCall, graph_calls
from mbexport.models.keras_import.trust import resave_pickle
from mbexport.models.keras_import.weights import LayerPath, layer_weights
from mbexport.models.resolution import Resolution

Images = NDArray[np.float32]
Layer = Call | GraphCall

_KERAS_3: Final = 3


class Original(ABC):
    """A user's model that can be run: `library` is what runs it, with its version."""

    library: str

    @abstractmethod
    def __call__(self, images: Images) -> Images:
        """The scores (n, classes) float32 of images (n, h, w, channels) as the model takes them."""

    @abstractmethod
    def behind(self, layers: Sequence[Layer], images: Images) -> Iterator[Images]:
        """What the model computes behind each of its layers, in the order of the chain."""


def open_original(
    path: Path, *, resolution: Resolution | None = None, trust: bool = False, logits: bool = False
) -> Original:
    """The model at `path`, which the importer has accepted; with `logits` without the softmax or sigmoid at its end.

    Raises `DataError` for a model that the importer refuses, and `StageError` where its own library cannot load it.
    """
    kind = require_model(path, trust=trust)
    end = _end_of(path, resolution=resolution, trust=trust) if logits else None
    if kind == "folder":
        serving = serving_graph(path, resolution=resolution, trust=trust)
        calls = graph_calls(serving)
        output = end.data if isinstance(end, GraphCall) else serving.output.name
        return GraphOriginal(serving, calls, output=output)
    cut = end.path if isinstance(end, Call) else None
    if kind == "pickle":
        with tempfile.TemporaryDirectory() as folder:
            return _keras_original(resave_pickle(path, Path(folder)), cut=cut, trust=trust, resolution=resolution)
    return _keras_original(path, cut=cut, trust=trust, resolution=resolution)


def _end_of(path: Path, *, resolution: Resolution | None, trust: bool) -> Layer | None:
    """The layer that makes probabilities of the scores."""
    found: list[Layer] = []

    def look(call: Layer, state: ChainState) -> None:
        if state.output is not Output.LOGITS and not found:
            found.append(call)

    import_model(path, resolution=resolution, trust=trust, on_layer=look)
    return found[0] if found else None


class KerasOriginal(Original):
    """A functional or Sequential model of tf_keras or Keras 3."""

    def __init__(self, model: Any, library: Any, *, version: str) -> None:
        self.library = version
        self._model, self._library = model, library
        self._run = tf.function(lambda images: model(images, training=False), reduce_retracing=True)

    def __call__(self, images: Images) -> Images:
        return _rows(self._run(tf.constant(images)))

    def behind(self, layers: Sequence[Layer], images: Images) -> Iterator[Images]:
        computed = self._layers(self._model, tf.constant(images), ())
        for layer in layers:
            path = layer.path if isinstance(layer, Call) else ()
            yield next(_rows(value) for name, value in computed if name == path)

    def _layers(self, model: Any, value: Any, outer: LayerPath) -> Iterator[tuple[LayerPath, Any]]:
        """The output of each layer of a chain, those of nested models one by one, for the input `value`."""
        for layer in getattr(model, "operations", model.layers):  # Keras 3 counts arithmetic as no layer
            if type(layer).__name__ == "InputLayer":
                continue
            path = (*outer, str(layer.name))
            if hasattr(layer, "layers"):
                for found in self._layers(layer, value, path):
                    yield found
                    value = found[1]
                continue
            has_constants = type(layer).__name__ == "TFOpLambda" or not hasattr(layer, "weights")
            value = self._library.Model(layer.input, layer.output)(value) if has_constants else layer(value)
            yield path, value


class GraphOriginal(Original):
    """The frozen graph of a SavedModel, of which nothing but the serving signature is ever run."""

    def __init__(self, serving: ServingGraph, calls: Sequence[GraphCall], *, output: str) -> None:
        self.library = f"tensorflow {tf.__version__}"
        self._function, self._batch = serving.function, serving.batch
        self._image = image_of(serving.function)
        self._run = self._pruned(output)
        del calls  # that they could be read shows that the graph does nothing but compute

    def __call__(self, images: Images) -> Images:
        return _rows(self._in_batches(self._run, images))

    def behind(self, layers: Sequence[Layer], images: Images) -> Iterator[Images]:
        for layer in layers:
            name = layer.result if isinstance(layer, GraphCall) else self._image.name
            yield _rows(self._in_batches(self._pruned(name), images))

    def _pruned(self, tensor: str) -> Any:
        return self._function.prune(self._image, self._function.graph.get_tensor_by_name(tensor))

    def _in_batches(self, run: Any, images: Images) -> Images:
        """The results for all images, of a graph that may take a certain number of them alone."""
        kind = self._image.dtype
        given = np.rint(images) if kind.is_integer else images
        size = self._batch or len(given)
        found = []
        for start in range(0, len(given), size):
            part = given[start : start + size]
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            result = np.asarray(run(tf.cast(filled, kind)), np.float32)
            found.append(result.reshape(size, -1)[: len(part)])
        return np.concatenate(found)


def _rows(values: Any) -> Images:
    """What belongs to each image as one row."""
    array = np.asarray(values, np.float32)
    return array.reshape(len(array), -1)


def _keras_original(path: Path, *, cut: LayerPath | None, trust: bool, resolution: Resolution | None) -> KerasOriginal:
    config = model_config(path)
    assert config is not None  # `require_model` has seen to that
    name: Library = "keras" if keras_version(path) >= _KERAS_3 else "tf_keras"
    library = _keras_3() if name == "keras" else tf_keras
    version = f"{name} {library.__version__}"
    with report_damage(path):
        plain = Rewrite(library=name, cut=cut, keeps_code=trust).model(config)
        try:
            model = _built(library, plain, trust=trust)
            if not model.built:
                model.build((None, *require_chain_shape(input_shape_of(config), resolution=resolution)))
            _load_weights(model, path, config)
        except Exception as error:  # whatever a library trips over
            reason = " ".join(str(error).split()) or type(error).__name__
            raise StageError(f"{version} cannot load {path}, so that nothing proves its import: {reason}") from None
    return KerasOriginal(model, library, version=version)


def _keras_3() -> Any:
    """Keras 3 on TensorFlow, loaded when a file of it is met: it takes seconds."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's own configuration says
    import keras

    return keras


def _built(library: Any, plain: Config, *, trust: bool) -> Any:
    if library is tf_keras:
        with SafeModeScope(not trust):
            return library.layers.deserialize(plain, use_legacy_format=True)
    return library.saving.deserialize_keras_object(plain, safe_mode=not trust)


def _load_weights(model: Any, path: Path, config: Config) -> None:
    """Let the library read the weights; those of layouts that it cannot read any more are read as the importer does."""
    with tempfile.TemporaryDirectory() as folder:
        stored = weights_member(path)
        file = Path(folder) / ("model.weights.h5" if stored is not None else "model.h5")
        file.write_bytes(path.read_bytes() if stored is None else stored)
        try:
            model.load_weights(file)
        except Exception:  # an older layout
            for names, tensors in layer_weights(path, config).items():
                layer = model
                for name in names:
                    layer = layer.get_layer(name)
                layer.set_weights(tensors)
                if hasattr(layer, "finalize_state"):
                    layer.finalize_state()
