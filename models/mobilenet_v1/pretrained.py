"""What Keras calls the weights that it publishes for MobileNet v1, and how it stores them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from mbexport.errors import OptionError
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.pretrained import Shape, StoredForm

HEAD: Final = "conv_preds"

# tf_keras.applications.mobilenet.MobileNet: how a file's name spells alpha, and the resolutions there are.
_ALPHA_TEXT: Final[Mapping[float, str]] = MappingProxyType({0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"})
_RESOLUTIONS_PX: Final = (128, 160, 192, 224)
_LAST_FILTERS: Final = 1024  # arXiv 1704.04861, table 1, at alpha 1


def imagenet_files(spec: ModelSpec) -> tuple[str, ...]:
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
    px = spec.resolution.json if spec.resolution.json in _RESOLUTIONS_PX else max(_RESOLUTIONS_PX)
    return (f"mobilenet_{_ALPHA_TEXT[spec.alpha]}_{px}_tf.h5",)


def _alpha_of(kernels: Sequence[Shape]) -> float:
    """The width multiplier by the widest layer inside, which a network of standard convolutions has as well."""
    return max((kernel[-2] for kernel in kernels if kernel[-1] != 1), default=0) / _LAST_FILTERS


FORM: Final = StoredForm(keras_module="mobilenet", head=HEAD, tail=(HEAD,), has_biased_body=False, alpha_of=_alpha_of)
