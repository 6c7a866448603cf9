"""Find or download the weights that keras.applications publishes, check stored weights, and set them in a network.

The weights that Keras publishes for ImageNet are Apache-2.0.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mbexport.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGENET_CLASSES: Final = 1000

Stored = Mapping[str, Sequence["NDArray[np.float32]"]]  # the tensors of each layer, by its name
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredForm:
    """How Keras stores the weights of an architecture.

    - `keras_module`: the module of tf_keras.applications that publishes weights.
    - `head`: the last layer with weights, which gives the logits; Keras may have it as a dense layer.
    - `tail`: the layers that a file without a top lacks, the head among them.
    - `has_biased_body`: whether other convolutions than the head have a bias.
    - `alpha_of`: a guess at the width multiplier, from the shapes of all kernels.
    """

    keras_module: str
    head: str
    tail: tuple[str, ...]
    has_biased_body: bool
    alpha_of: Callable[[Sequence[Shape]], float]


def imagenet_weights(form: StoredForm, names: Sequence[str], keras_home: Path) -> Path:
    """The first of the files `names` that is in Keras' cache below `keras_home`; Keras downloads the first one else.

    Keras' progress bar goes to sys.stdout. Raises `DataError` if the file is missing and cannot be downloaded.
    """
    chosen = cached_file(names, keras_home)
    if chosen.is_file():
        return chosen
    import tf_keras

    try:
        keras_home.mkdir(parents=True, exist_ok=True)  # Keras would use /tmp in place of a missing folder
        # The public module leaves the address out.
        address = import_module(f"tf_keras.src.applications.{form.keras_module}").BASE_WEIGHT_PATH
        fetched = tf_keras.utils.get_file(
            chosen.name, address + chosen.name, cache_dir=str(keras_home), cache_subdir="models"
        )
    except Exception as error:  # of the disk, urllib, ssl, socket, and Keras' own plain Exception
        raise DataError(
            f"the ImageNet weights are not at {chosen} and cannot be downloaded ({_first_line(error)}): "
            f"put {chosen.name} there, or pass --weights FILE"
        ) from None
    return Path(fetched)


def cached_file(names: Sequence[str], keras_home: Path) -> Path:
    """Where the first of the files `names` that is in Keras' cache lies, or the first one would."""
    places = [keras_home / "models" / name for name in names]
    return next((each for each in places if each.is_file()), places[0])


def set_weights(form: StoredForm, model: Any, stored: Stored, *, source: Path, keeps_head: bool) -> tuple[str, ...]:
    """Set the weights of `model`, which the architecture built, to the tensors `stored` in the file `source`.

    Layers are matched by name or, for a file with the automatic names of Keras (conv2d_1), by their order. Without
    `keeps_head` the head, which is to be trained anew, stays unchanged, and so do layers of the tail that the file
    lacks. Returns the names of the layers that stayed unchanged. Raises `DataError` that names the first tensor that
    does not fit and the network that the file seems to hold; `model` is then unchanged.
    """
    weighted = [layer for layer in model.layers if layer.weights]
    found = stored if any(layer.name in stored for layer in weighted) else _renamed(form, model, stored)
    unset = () if keeps_head else tuple(name for name in form.tail if name == form.head or not found.get(name))
    layers = [layer for layer in weighted if layer.name not in unset]
    complaint = f"the weights {source} do not fit"
    fitting = {layer.name: _fitting(form, layer, found, complaint, stored) for layer in layers}
    strangers = [name for name, tensors in found.items() if tensors and name not in fitting and name != form.head]
    if strangers:
        raise DataError(f"{complaint}: the network has no layer {strangers[0]}; {_looks_like(form, stored)}")
    for layer in layers:
        layer.set_weights(fitting[layer.name])
    return unset


def _fitting(
    form: StoredForm, layer: Any, found: Stored, complaint: str, stored: Stored
) -> "list[NDArray[np.float32]]":
    """The tensors for `layer`, in its shapes. Raises `DataError` that begins with `complaint` if they do not fit."""
    tensors = found.get(layer.name, [])
    fitting = []
    for index, variable in enumerate(layer.weights):
        name = variable.name.removesuffix(":0")
        wanted = tuple(variable.shape)
        tensor = tensors[index] if index < len(tensors) else None
        if tensor is not None and layer.name == form.head and tensor.shape == wanted[2:]:
            tensor = tensor.reshape(wanted)  # a Dense head
        if tensor is None or tensor.shape != wanted:
            got = "nothing" if tensor is None else tensor.shape
            raise DataError(f"{complaint}: {name} must have shape {wanted}, got {got}; {_looks_like(form, stored)}")
        fitting.append(tensor)
    return fitting


def _renamed(form: StoredForm, model: Any, stored: Stored) -> Stored:
    """`stored` under the names of `model`: the n-th layer of a kind is the n-th of that kind, a dense one the head."""
    names = sorted((name for name in stored if stored[name]), key=_natural)
    renamed = dict(zip(names, (stored[name] for name in names), strict=True))
    for kind in ("conv2d", "depthwise_conv2d", "batch_normalization"):
        ours = [layer.name for layer in model.layers if layer.weights and _kind(layer) == kind]
        theirs = [name for name in names if re.sub(r"_\d+$", "", name) == kind]
        for our, their in zip(ours, theirs, strict=False):
            renamed[our] = renamed.pop(their)
    dense = next((name for name in names if re.fullmatch(r"dense(_\d+)?", name)), None)
    if dense is not None and form.head not in renamed:
        renamed[form.head] = renamed.pop(dense)
    return renamed


def head_classes(form: StoredForm, stored: Stored) -> int | None:
    """The number of classes of the stored head, None without one."""
    head = stored.get(form.head)
    if not head and not form.has_biased_body:
        head = next((tensors for tensors in reversed(list(stored.values())) if _is_biased(tensors)), None)
    return int(head[0].shape[-1]) if head else None


def _looks_like(form: StoredForm, stored: Stored) -> str:
    """A guess, for messages, at the network that the tensors belong to."""
    kernels = [tensor.shape for tensors in stored.values() for tensor in tensors if tensor.ndim in (2, 4)]
    if not kernels:
        return "it holds no convolutions"
    classes = head_classes(form, stored)
    head = f"with {classes} classes" if classes else "without a head"
    return f"it looks like alpha {form.alpha_of(kernels):.3g} {head}"


def widest_depthwise(kernels: Iterable[Shape]) -> int:
    """The channels of the widest depthwise convolution among these kernels, 0 if there is none."""
    return max((kernel[-2] for kernel in kernels if len(kernel) == 4 and kernel[-1] == 1), default=0)


def _is_biased(tensors: "Iterable[NDArray[np.float32]]") -> bool:
    """Whether the tensors are a kernel and a bias."""
    return [tensor.ndim for tensor in tensors] in ([4, 1], [2, 1])


def _natural(name: str) -> tuple[str, int]:
    prefix, number = re.fullmatch(r"(.*?)_?(\d*)", name).groups()  # type: ignore[union-attr]  # matches any text
    return prefix, int(number or 0)


def _kind(layer: Any) -> str:
    """The automatic name that Keras gives to the first layer of this class."""
    return {"Conv2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d"}.get(type(layer).__name__, "batch_normalization")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
