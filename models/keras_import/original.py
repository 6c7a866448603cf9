"""Run a user's model as its own library does: what an import is held against.

The library gets the layers that the importer accepted, in the graph that was stored (`plain_config`), and reads the
weights by itself. A SavedModel is run as its frozen graph. No code of the file is run.
"""

import functools
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from tf_keras.src.saving.serialization_lib import SafeModeScope

from mbexport.errors import StageError
from mbexport.models.keras_import.calls import Call, input_shape_of
from mbexport.models.keras_import.detector import places_of_heads
from mbexport.models.keras_import.files import (
    Config,
    Kind,
    keras_version,
    model_config,
    report_damage,
    require_model,
    weights_member,
)
from mbexport.models.keras_import.model import Layer, model_steps
from mbexport.models.keras_import.plain_config import Library, Rewrite
from mbexport.models.keras_import.saved_model import ServingGraph, image_of, serving_graph
from mbexport.models.keras_import.saved_model_calls import GraphCall, graph_calls
from mbexport.models.keras_import.steps import Finish, require_chain_shape
from mbexport.models.keras_import.trust import resave_pickle
from mbexport.models.keras_import.weights import LayerPath, layer_weights
from mbexport.models.resolution import Resolution

Images = NDArray[np.float32]

_KERAS_3: Final = 3


class Original(ABC):
    """A user's model that can be run: `library` is what runs it, with its version.

    Where the model gives one score, two classes have scores here, as in its import: the first has 1 minus that, or 0
    if the score `is_logit`. A detector gives `heads`, which are no scores.
    """

    library: str
    is_logit: bool

    def __call__(self, images: Images) -> Images:
        """The scores (n, classes) float32 of images (n, h, w, channels) as the model takes them."""
        (given,) = self.heads(images)
        scores = _rows(given)
        if scores.shape[1] != 1:
            return scores
        return np.concatenate([np.zeros_like(scores) if self.is_logit else 1 - scores, scores], axis=1)

    @abstractmethod
    def heads(self, images: Images) -> list[Images]:
        """The model's outputs for images (n, h, w, channels), each (n, ...): of a detector in the order of `HEADS`."""

    @abstractmethod
    def behind(self, layers: Sequence[Layer], images: Images) -> list[Images]:
        """What the model computes behind each of these layers, one row for each image."""


def open_original(
    path: Path,
    *,
    resolution: Resolution | None = None,
    trust: bool = False,
    logits: bool = False,
    has_heads: bool = False,
) -> Original:
    """The model at `path`, which the importer has accepted; with `logits` without the softmax or sigmoid at its end.

    A detector `has_heads`. Raises `DataError` for a model that the importer refuses, and `StageError` where its own
    library cannot load it.
    """
    kind = require_model(path, trust=trust)
    if has_heads:
        return _original_detector(path, kind, resolution=resolution, trust=trust)
    if kind == "folder":
        serving = serving_graph(path, resolution=resolution, trust=trust)
        calls = graph_calls(serving)  # that they can be read shows that the graph does nothing but compute
        last = next((call for call in calls if any(isinstance(step, Finish) for step in call.steps)), None)
        output = last.inputs[0] if last and logits else serving.outputs[0].name
        return GraphOriginal(serving, outputs=[output], is_logit=logits or last is None)
    ending = model_steps(path, resolution=resolution, trust=trust).ending
    is_logit = logits or ending is None
    cut = ending.path if logits and isinstance(ending, Call) else None
    with _as_keras(path, kind) as file:
        return _keras_original(file, cut=cut, trust=trust, resolution=resolution, is_logit=is_logit)


def _original_detector(path: Path, kind: Kind, *, resolution: Resolution | None, trust: bool) -> Original:
    """The detector at `path`, with its heads in order."""
    places = places_of_heads(path, model_steps(path, resolution=resolution, trust=trust, has_heads=True))
    if kind == "folder":
        serving = serving_graph(path, resolution=resolution, trust=trust, has_heads=True)
        return GraphOriginal(serving, outputs=[serving.outputs[place].name for place in places], is_logit=True)
    with _as_keras(path, kind) as file:
        return _keras_original(file, cut=None, trust=trust, resolution=resolution, is_logit=True, places=places)


@contextmanager
def _as_keras(path: Path, kind: Kind) -> Iterator[Path]:
    """The model as a file of Keras: what a pickle holds is saved as one, for as long as it is read."""
    if kind != "pickle":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield resave_pickle(path, Path(folder))


class KerasOriginal(Original):
    """A functional or Sequential model of tf_keras or Keras 3; its outputs are those at `places`."""

    def __init__(self, model: Any, *, version: str, is_logit: bool, places: Sequence[int] = (0,)) -> None:
        self.library, self.is_logit = version, is_logit
        self._model, self._places = model, places
        self._run = tf.function(lambda images: model(images, training=False), reduce_retracing=True)

    def heads(self, images: Images) -> list[Images]:
        given = tf.nest.flatten(self._run(tf.constant(images)))
        return [np.asarray(given[place], np.float32) for place in self._places]

    def behind(self, layers: Sequence[Layer], images: Images) -> list[Images]:
        computed: dict[LayerPath, Images] = {}
        calls = [(layer, layer.call) for _, layer in _leaves(self._model, ())]
        for path, layer in _leaves(self._model, ()):
            layer.call = _kept(layer.call, computed, path)
        self._model(tf.constant(images), training=False)
        for layer, call in calls:
            layer.call = call
        return [computed[layer.path] for layer in layers if isinstance(layer, Call)]


def _leaves(model: Any, outer: LayerPath) -> Iterator[tuple[LayerPath, Any]]:
    """The layers and the operations of a model, those of models inside it one by one."""
    for layer in getattr(model, "operations", model.layers):  # Keras 3 counts arithmetic as no layer
        path = (*outer, str(layer.name))
        if hasattr(layer, "layers"):
            yield from _leaves(layer, path)
        elif type(layer).__name__ != "InputLayer":
            yield path, layer


def _kept(call: Callable[..., Any], computed: dict[LayerPath, Images], path: LayerPath) -> Callable[..., Any]:
    @functools.wraps(call)
    def keeping(*arguments: Any, **named: Any) -> Any:
        value = call(*arguments, **named)
        computed[path] = _rows(value)
        return value

    return keeping


class GraphOriginal(Original):
    """The frozen graph of a SavedModel, of which nothing but the serving signature is ever run."""

    def __init__(self, serving: ServingGraph, *, outputs: Sequence[str], is_logit: bool) -> None:
        self.library, self.is_logit = f"tensorflow {tf.__version__}", is_logit
        self._function, self._batch = serving.function, serving.batch
        self._image = image_of(serving.function)
        self._run = self._pruned(outputs)

    def heads(self, images: Images) -> list[Images]:
        return self._in_batches(self._run, images)

    def behind(self, layers: Sequence[Layer], images: Images) -> list[Images]:
        names = [layer.result for layer in layers if isinstance(layer, GraphCall)]
        return [_rows(values) for values in self._in_batches(self._pruned(names), images)]

    def _pruned(self, tensors: Sequence[str]) -> Any:
        return self._function.prune(self._image, [self._function.graph.get_tensor_by_name(name) for name in tensors])

    def _in_batches(self, run: Any, images: Images) -> list[Images]:
        """The results for all images, of a graph that may take a certain number of them alone."""
        kind = self._image.dtype
        given = np.rint(images) if kind.is_integer else images
        size = self._batch or len(given)
        found = []
        for start in range(0, len(given), size):
            part = given[start : start + size]
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            results = (np.asarray(value, np.float32) for value in run(tf.cast(filled, kind)))
            found.append([result.reshape(size, *result.shape[1:])[: len(part)] for result in results])
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def _rows(values: Any) -> Images:
    """What belongs to each image as one row."""
    array = np.asarray(values, np.float32)
    return array.reshape(len(array), -1)


def _keras_original(
    path: Path,
    *,
    cut: LayerPath | None,
    trust: bool,
    resolution: Resolution | None,
    is_logit: bool,
    places: Sequence[int] = (0,),
) -> KerasOriginal:
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
    return KerasOriginal(model, version=version, is_logit=is_logit, places=places)


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
