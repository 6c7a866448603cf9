"""What Keras calls the weights that it publishes for MobileNet v2, and how it stores them."""

from collections.abc import Sequence
from typing import Final

from mbexport.errors import OptionError
from mbexport.models.mobilenet_v2.spec import ROWS, MobileNetV2Spec
from mbexport.models.pretrained import Shape, StoredForm, widest_depthwise

HEAD: Final = "predictions"

# tf_keras.applications.mobilenet_v2.MobileNetV2: the widths and resolutions that there are weights of.
_ALPHAS: Final = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_RESOLUTIONS_PX: Final = (96, 128, 160, 192, 224)
_WIDEST_FILTERS: Final = max(row.expansion * row.filters for row in ROWS[:-1])  # of a depthwise convolution, at alpha 1


def imagenet_files(spec: MobileNetV2Spec) -> tuple[str, ...]:
    """The names of the ImageNet weights that Keras publishes for `spec`, with a top and without one.

    They are those of 224 px if there are none of its resolution. Raises `OptionError` if Keras publishes none for its
    width.
    """
    if spec.alpha not in _ALPHAS:
        legal = ", ".join(f"{alpha:g}" for alpha in _ALPHAS)
        raise OptionError(f"ImageNet weights (--weights imagenet) are published for alpha {legal}, got {spec.alpha:g}")
    px = spec.resolution.json if spec.resolution.json in _RESOLUTIONS_PX else max(_RESOLUTIONS_PX)
    stem = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(spec.alpha)}_{px}"
    return f"{stem}.h5", f"{stem}_no_top.h5"


def _alpha_of(kernels: Sequence[Shape]) -> float:
    """The width multiplier by the widest depthwise convolution, as near as rounding to 8 channels lets one say."""
    return widest_depthwise(kernels) / _WIDEST_FILTERS


FORM: Final = StoredForm(
    keras_module="mobilenet_v2", head=HEAD, tail=(HEAD,), has_biased_body=False, alpha_of=_alpha_of
)
