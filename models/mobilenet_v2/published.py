"""The published figures of MobileNet v2, to compare with and to set default limits by.

Source: research/slim/nets/mobilenet/README.md of tensorflow/models, which the documentation of
tf.keras.applications.mobilenet_v2 repeats; the one quantized checkpoint is from tensorflow/contrib/quantize/README.md
of TensorFlow 1.15 ("Mobilenet-v2-224-1"). Published parameters are kernels and the head's bias.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mbexport.models.mobilenet_v2.spec import MobileNetV2Spec
from mbexport.models.published import Published
from mbexport.models.resolution import Resolution

SOURCE: Final = "TensorFlow 1.15, tensorflow/contrib/quantize/README.md"
NOTE: Final = (
    "Published: research/slim of tensorflow/models, mobilenet/README.md; int8: tensorflow/contrib/quantize of "
    "TensorFlow 1.15. Published parameters are kernels and the head's bias."
)
_PARAMETERS_M: Final[Mapping[float, float]] = MappingProxyType(
    {1.4: 6.06, 1.3: 5.34, 1.0: 3.47, 0.75: 2.61, 0.5: 1.95, 0.35: 1.66}
)
_INT8: Final[Mapping[tuple[float, int], float]] = MappingProxyType({(1.0, 224): 0.708})

PUBLISHED: Final[tuple[Published, ...]] = tuple(
    Published(
        spec=MobileNetV2Spec(alpha=alpha, resolution=Resolution.square(px)),
        mult_adds_m=macs,
        parameters_m=_PARAMETERS_M[alpha],
        top1_float=top1 / 100,
        top1_int8=_INT8.get((alpha, px)),
    )
    for alpha, px, macs, top1 in (
        (1.4, 224, 582, 75.0),
        (1.3, 224, 509, 74.4),
        (1.0, 224, 300, 71.8),
        (1.0, 192, 221, 70.7),
        (1.0, 160, 154, 68.8),
        (1.0, 128, 99, 65.3),
        (1.0, 96, 56, 60.3),
        (0.75, 224, 209, 69.8),
        (0.75, 192, 153, 68.7),
        (0.75, 160, 107, 66.4),
        (0.75, 128, 69, 63.2),
        (0.75, 96, 39, 58.8),
        (0.5, 224, 97, 65.4),
        (0.5, 192, 71, 63.9),
        (0.5, 160, 50, 61.0),
        (0.5, 128, 32, 57.7),
        (0.5, 96, 18, 51.2),
        (0.35, 224, 59, 60.3),
        (0.35, 192, 43, 58.2),
        (0.35, 160, 30, 55.7),
        (0.35, 128, 20, 50.8),
        (0.35, 96, 11, 45.5),
    )
)
