"""What Keras calls the weights that it publishes for MobileNet v3, and how it stores them."""

from collections.abc import Sequence
from typing import Final

from mbexport.errors import OptionError
from mbexport.models.mobilenet_v3.spec import LargeSpec, MobileNetV3Spec, SmallSpec
from mbexport.models.pretrained import Shape, StoredForm, widest_depthwise

HEAD: Final = "Logits"
TAIL: Final = ("Conv_2", HEAD)  # both work on the pooled features

# tf_keras.applications.mobilenet_v3.WEIGHTS_HASHES: all of 224 px.
_ALPHAS: Final = (0.75, 1.0)
_MINIMALISTIC_ALPHAS: Final = (1.0,)


def imagenet_files(spec: MobileNetV3Spec) -> tuple[str, ...]:
    """The names of the ImageNet weights that Keras publishes for `spec`, at 224 px, with a top and without one.

    Raises `OptionError` if Keras publishes none for its width.
    """
    legal = _MINIMALISTIC_ALPHAS if spec.minimalistic else _ALPHAS
    if spec.alpha not in legal:
        kind = " with --minimalistic" if spec.minimalistic else ""
        raise OptionError(
            f"ImageNet weights (--weights imagenet) are published{kind} for alpha "
            f"{', '.join(f'{alpha:g}' for alpha in legal)}, got {spec.alpha:g}"
        )
    size = spec.architecture.removeprefix("mobilenet_v3_")
    kind = "_minimalistic" if spec.minimalistic else ""
    stem = f"weights_mobilenet_v3_{size}{kind}_224_{float(spec.alpha)}_float"
    return f"{stem}.h5", f"{stem}_no_top_v2.h5"


def _form(spec: type[MobileNetV3Spec]) -> StoredForm:
    widest = max(block.expanded for block in spec().blocks)

    def alpha_of(kernels: Sequence[Shape]) -> float:
        """The width multiplier by the widest depthwise convolution, as near as rounding to 8 lets one say."""
        return widest_depthwise(kernels) / widest

    return StoredForm(keras_module="mobilenet_v3", head=HEAD, tail=TAIL, has_biased_body=True, alpha_of=alpha_of)


SMALL_FORM: Final = _form(SmallSpec)
LARGE_FORM: Final = _form(LargeSpec)
