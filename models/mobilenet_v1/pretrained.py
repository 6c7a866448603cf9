"""Find or download pretrained weights, check them, and set them in a MobileNet v1.

The weights that keras.applications publishes for ImageNet are Apache-2.0.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mbexport.errors import DataError, OptionError
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGENET_CLASSES: Final = 1000
HEAD: Final = "conv_preds"

# tf_keras.applications.mobilenet.MobileNet: how a file's name spells alpha, and the resolutions there are.
_ALPHA_TEXT: Final[Mapping[float, str]] = MappingProxyType({0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"})
_RESOLUTIONS_PX: Final = (128, 160, 192, 224)
_LAST_FILTERS: Final = 1024  # arXiv 1704.04861, table 1, at alpha 1

Stored = Mapping[str, Sequence["NDArray[np.float32]"]]  # the tensors of each layer, by its name


def imagenet_file(spec: ModelSpec) -> str:
    """The name of the ImageNet weights that Keras publishes for `spec`: those of 224 px if none of its resolution.

    Raises `OptionError` if Keras publishes none for its width or its kind of blocks.
    """
    if spec.conv is not Convolution.SEPARABLE or spec.shallow:
        raise OptionError(
            "ImageNet weights (--weights imagenet) are published for the separable, full-depth network only: "
            "drop --conv and --shallow"
        )
    if spec.alpha not in _ALPHA_TEXT:
        legal = ", ".join(f"{alpha:g}" for alpha in _ALPHA_TEXT)
        raise OptionError(f"ImageNet weights (--weights imagenet) are published for alpha {legal}, got {spec.alpha:g}")
    px = spec.resolution_px if spec.resolution_px in _RESOLUTIONS_PX else max(_RESOLUTIONS_PX)
    return f"mobilenet_{_ALPHA_TEXT[spec.alpha]}_{px}_tf.h5"


def imagenet_weights(spec: ModelSpec, keras_home: Path) -> Path:
    """The file of published weights in Keras' cache below `keras_home`; Keras downloads a missing one.

    Keras' progress bar goes to sys.stdout. Raises `DataError` if the file is missing and cannot be downloaded.
    """
    name = imagenet_file(spec)
    cached = keras_home / "models" / name
    if cached.is_file():
        return cached
    import tf_keras
    from tf_keras.src.applications.mobilenet import BASE_WEIGHT_PATH  # the public module leaves it out

    try:
        keras_home.mkdir(parents=True, exist_ok=True)  # Keras would use /tmp in place of a missing folder
        fetched = tf_keras.utils.get_file(
            name, BASE_WEIGHT_PATH + name, cache_dir=str(keras_home), cache_subdir="models"
        )
    except Exception as error:  # of the disk, urllib, ssl, socket, and Keras' own plain Exception
        raise DataError(
            f"the ImageNet weights are not at {cached} and cannot be downloaded ({_first_line(error)}): "
            f"put {name} there, or pass --weights FILE"
        ) from None
    return Path(fetched)


def set_weights(model: Any, stored: Stored, *, source: Path, keeps_head: bool) -> None:
    """Set the weights of `model`, which `network.build` made, to the tensors `stored` in the file `source`.

    Layers are matched by name or, for a file with the automatic names of Keras (conv2d_1), by their order. Without
    `keeps_head` the last convolution, which is to be trained anew, stays unchanged. Raises `DataError` that names
    the first tensor that does not fit and the network that the file seems to hold; `model` is then unchanged.
    """
    layers = [layer for layer in model.layers if layer.weights and (keeps_head or layer.name != HEAD)]
    found = stored if any(layer.name in stored for layer in layers) else _renamed(model, stored)
    fitting = {layer.name: _fitting(layer, found, f"the weights {source} do not fit", stored) for layer in layers}
    strangers = [name for name, tensors in found.items() if tensors and name not in fitting and name != HEAD]
    if strangers:
        raise DataError(
            f"the weights {source} do not fit: the network has no layer {strangers[0]}; {_looks_like(stored)}"
        )
    for layer in layers:
        layer.set_weights(fitting[layer.name])


def _fitting(layer: Any, found: Stored, complaint: str, stored: Stored) -> "list[NDArray[np.float32]]":
    """The tensors for `layer`, in its shapes. Raises `DataError` that begins with `complaint` if they do not fit."""
    tensors = found.get(layer.name, [])
    fitting = []
    for index, variable in enumerate(layer.weights):
        name = variable.name.removesuffix(":0")
        wanted = tuple(variable.shape)
        tensor = tensors[index] if index < len(tensors) else None
        if tensor is not None and layer.name == HEAD and tensor.shape == wanted[2:]:
            tensor = tensor.reshape(wanted)  # a Dense head
        if tensor is None or tensor.shape != wanted:
            got = "nothing" if tensor is None else tensor.shape
            raise DataError(f"{complaint}: {name} must have shape {wanted}, got {got}; {_looks_like(stored)}")
        fitting.append(tensor)
    return fitting


def _renamed(model: Any, stored: Stored) -> Stored:
    """`stored` under the names of `model`: the n-th layer of a kind is the n-th of that kind."""
    names = sorted((name for name in stored if stored[name]), key=_natural)
    renamed = dict(zip(names, (stored[name] for name in names), strict=True))
    for kind in ("conv2d", "depthwise_conv2d", "batch_normalization"):
        ours = [layer.name for layer in model.layers if layer.weights and _kind(layer) == kind]
        theirs = [name for name in names if re.sub(r"_\d+$", "", name) == kind]
        for our, their in zip(ours, theirs, strict=False):
            renamed[our] = renamed.pop(their)
    return renamed


def head_classes(stored: Stored) -> int | None:
    """The number of classes of the stored head, None without one."""
    head = stored.get(HEAD) or next((tensors for tensors in reversed(list(stored.values())) if _is_head(tensors)), None)
    return int(head[0].shape[-1]) if head else None


def _looks_like(stored: Stored) -> str:
    """A guess, for messages, at the network that the tensors belong to."""
    kernels = [tensor for tensors in stored.values() for tensor in tensors if tensor.ndim in (2, 4)]
    if not kernels:
        return "it holds no convolutions"
    inside = [kernel.shape[-2] for kernel in kernels if kernel.shape[-1] != 1]
    alpha = max(inside, default=0) / _LAST_FILTERS
    classes = head_classes(stored)
    head = f"with {classes} classes" if classes else "without a head"
    return f"it looks like alpha {alpha:.3g} {head}"


def _is_head(tensors: "Iterable[NDArray[np.float32]]") -> bool:
    """Whether the tensors are a kernel and a bias: every other convolution of a MobileNet v1 has no bias."""
    return [tensor.ndim for tensor in tensors] in ([4, 1], [2, 1])


def _natural(name: str) -> tuple[str, int]:
    prefix, number = re.fullmatch(r"(.*?)_?(\d*)", name).groups()  # type: ignore[union-attr]  # matches any text
    return prefix, int(number or 0)


def _kind(layer: Any) -> str:
    """The automatic name that Keras gives to the first layer of this class."""
    return {"Conv2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d"}.get(type(layer).__name__, "batch_normalization")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
