"""Read the weights that Keras stored, in any of its layouts, as arrays by layer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.models.keras_import.files import (
    SUPPORTED,
    Config,
    model_config,
    open_plain_hdf5,
    report_damage,
    snake_case,
    storage_kind,
)

Weights = list[NDArray[np.float32]]
LayerPath = tuple[str, ...]  # the names of the nested models around a layer, then its own

NESTING_CLASSES: Final = frozenset({"Functional", "Model", "Sequential"})
# Keras 3 and tf_keras >= 2.13 call the list of layers "layers"; TensorFlow 2.11 and 2.12 did not yet.
_CONTAINERS: Final = ("layers", "_layer_checkpoint_dependencies")


def stored_weights(path: Path) -> dict[str, Weights]:
    """The tensors (float32) of each layer by its name, in Keras' order; layers without weights are left out.

    Nested models are flattened; where two layers then have one name, both go by their whole path, a/b. In a
    .weights.h5 the name is the one that Keras 3 notes beside the arrays, else the group's, such as conv2d_1.
    Raises `DataError` for a damaged file, or one that is none of the forms.
    """
    if storage_kind(path) not in ("hdf5", "zip"):
        raise DataError(f"the weights {path} must be a Keras .h5 or a .keras file")
    config = model_config(path)
    if config is not None:
        return _by_name(layer_weights(path, config))
    with report_damage(path), open_plain_hdf5(path) as file:
        container = _container(file)
        found = _all_in(container) if container is not None else _legacy_by_prefix(file)
    if not found:
        raise DataError(f"the file {path} holds no weights of layers: {SUPPORTED}")
    return _by_name(found)


def layer_weights(path: Path, config: Config) -> dict[LayerPath, Weights]:
    """The tensors of each layer of the model that `config` describes; layers without weights are left out."""
    with report_damage(path), open_plain_hdf5(path) as file:
        container = _container(file)
        if container is not None:
            return _matched(container, config, ())
        groups = {name: _legacy_tensors(file, name) for name in _legacy_layers(file)}
        found = {path_: _legacy_match(groups, path_) for path_ in _layer_paths(config, ())}
    return {path_: weights for path_, weights in found.items() if weights}


def nested_layers(config: Config) -> list[Config]:
    """The layers of a Sequential or functional configuration; Keras before 2.2.3 wrote a Sequential as a bare list."""
    inner = config["config"]
    layers = inner if isinstance(inner, list) else inner["layers"]
    return list(layers)


def layer_name(layer: Config) -> str:
    """The name of a layer: beside its configuration in functional models, inside it in Sequential ones."""
    inner = layer["config"]
    return str(layer.get("name") or (inner.get("name") if isinstance(inner, dict) else None) or layer["class_name"])


def is_operation(layer: Config) -> bool:
    """Whether it is an operation of Keras 3, which has nothing to store: a layer can be trained, or not."""
    is_known = layer["class_name"] in NESTING_CLASSES or layer["class_name"] == "InputLayer"
    return not is_known and isinstance(layer["config"], dict) and "trainable" not in layer["config"]


def _by_name(found: Mapping[LayerPath, Weights]) -> dict[str, Weights]:
    names = [path[-1] for path in found]
    return {path[-1] if names.count(path[-1]) == 1 else "/".join(path): weights for path, weights in found.items()}


def _layer_paths(config: Config, outer: LayerPath) -> list[LayerPath]:
    paths: list[LayerPath] = []
    for layer in nested_layers(config):
        path = (*outer, layer_name(layer))
        paths += _layer_paths(layer, path) if layer["class_name"] in NESTING_CLASSES else [path]
    return paths


def _float32(dataset: Any, name: str) -> NDArray[np.float32]:
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
        raise DataError(f"the weights {name} must be numbers, got {getattr(dataset, 'dtype', 'a group')}")
    return np.asarray(dataset[()]).astype(np.float32)


# The layout before Keras 3: <layer>.attrs["weight_names"] lists <scope>/kernel:0; a whole model has model_weights
# around its layers.


def _legacy_root(file: h5py.File) -> h5py.Group:
    return file.get("model_weights", file)


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """An attribute, which Keras splits into name0, name1, ... where it would exceed HDF5's 64 kB."""
    values = list(group.attrs[attribute]) if attribute in group.attrs else []
    chunk = 0
    while f"{attribute}{chunk}" in group.attrs:
        values += list(group.attrs[f"{attribute}{chunk}"])
        chunk += 1
    return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]


def _legacy_layers(file: h5py.File) -> list[str]:
    return _names(_legacy_root(file), "layer_names")


def _legacy_tensors(file: h5py.File, layer: str) -> list[tuple[LayerPath, NDArray[np.float32]]]:
    """The tensors of a top-level layer, in order, each with the scope in its name: ("conv1",) for conv1/kernel:0."""
    group = _legacy_root(file)[layer]
    return [(tuple(name.split("/")[:-1]), _float32(group[name], name)) for name in _names(group, "weight_names")]


def _legacy_match(groups: Mapping[str, list[tuple[LayerPath, NDArray[np.float32]]]], path: LayerPath) -> Weights:
    tensors = groups.get(path[0], [])
    if len(path) == 1:  # whatever the scope is called: sessions made it unique, conv1_1 for conv1
        return [tensor for _, tensor in tensors]
    name, outer = tuple(path[-1].split("/")), tuple(part for name in path for part in name.split("/"))
    scopes = {scope for scope, _ in tensors if scope[-len(name) :] == name}
    # of two that end alike, such as Conv and expanded_conv/squeeze_excite/Conv, the one with nothing else before it
    chosen = max(scopes, key=lambda scope: (_common_end(scope, outer), -len(scope)), default=None)
    return [tensor for scope, tensor in tensors if scope == chosen]


def _common_end(scope: LayerPath, path: LayerPath) -> int:
    same = 0
    for one, other in zip(reversed(scope), reversed(path), strict=False):
        if one != other:
            break
        same += 1
    return same


def _legacy_by_prefix(file: h5py.File) -> dict[LayerPath, Weights]:
    """Without a configuration: a group whose tensors have several scopes is a nested model."""
    found: dict[LayerPath, Weights] = {}
    for layer in _legacy_layers(file):
        tensors = _legacy_tensors(file, layer)
        is_nested = len({scope for scope, _ in tensors}) > 1
        for scope, tensor in tensors:
            found.setdefault((layer, *scope) if is_nested else (layer,), []).append(tensor)
    return found


# The layout since Keras 3: layers/<name>/vars/<index>, and layers/<name>/layers/... for a nested model.


def _container(group: h5py.Group) -> h5py.Group | None:
    return next((group[name] for name in _CONTAINERS if isinstance(group.get(name), h5py.Group)), None)


def _variables(group: h5py.Group) -> Weights:
    variables = group.get("vars", {})
    return [_float32(variables[str(index)], f"{group.name}/vars/{index}") for index in range(len(variables))]


def _all_in(container: h5py.Group, outer: LayerPath = ()) -> dict[LayerPath, Weights]:
    found: dict[LayerPath, Weights] = {}
    for key in sorted(container, key=_counted):
        group = container[key]
        path = (*outer, _noted_name(group) or key)
        inner = _container(group)
        if inner is not None:
            found |= _all_in(inner, path)
        elif weights := _variables(group):
            found[path] = weights
    return found


def _counted(key: str) -> tuple[str, int]:
    """The order of counted names: conv2d_2 before conv2d_10."""
    stem, _, number = key.rpartition("_")
    return (stem, int(number)) if number.isdigit() else (key, 0)


def _noted_name(group: h5py.Group) -> str | None:
    name = group["vars"].attrs.get("name") if "vars" in group else None
    return name.decode("utf-8") if isinstance(name, bytes) else name


def _matched(container: h5py.Group, config: Config, outer: LayerPath) -> dict[LayerPath, Weights]:
    found: dict[LayerPath, Weights] = {}
    layers = nested_layers(config)
    for layer, key in zip(layers, _keys(container, layers), strict=True):
        path = (*outer, layer_name(layer))
        if not key or key not in container:
            continue  # an operation, or a layer that has nothing to store
        group = container[key]
        inner = _container(group)
        if layer["class_name"] in NESTING_CLASSES and inner is not None:
            found |= _matched(inner, layer, path)
        elif weights := _variables(group):
            found[path] = weights
    return found


def _keys(container: h5py.Group, layers: list[Config]) -> list[str]:
    """The group of each layer: named after its class and counted (conv2d, conv2d_1, ...), or after the layer itself.

    Both spellings occur, and TensorFlow 2.12 counted every layer with weights twice, so groups are matched by order.
    A group that notes another layer's name, or is left over, rules the first spelling out.
    """
    groups: dict[str, list[str]] = {}
    for key in sorted(container, key=_counted):
        groups.setdefault(_counted(key)[0], []).append(key)
    by_class = []
    for layer in layers:
        stem = snake_case("Functional" if layer["class_name"] == "Model" else layer["class_name"])
        by_class.append(groups[stem].pop(0) if groups.get(stem) and not is_operation(layer) else "")
    by_name = [layer_name(layer) for layer in layers]
    noted = {key: _noted_name(container[key]) for key in container}
    fits = all(noted[key] in (None, name) for key, name in zip(by_class, by_name, strict=True) if key)
    weighted = {key for key in container if _variables(container[key]) or _container(container[key]) is not None}
    return by_class if fits and weighted <= set(by_class) else by_name
