"""The published figures of MobileNet v3, to compare with and to set default limits by.

Source: research/slim/nets/mobilenet/README.md of tensorflow/models, whose mult-adds and parameters the documentation
of tf.keras.applications repeats (its accuracies of the networks at alpha 1 are those of other checkpoints).
"""

from typing import Final

from mbexport.models.mobilenet_v3.spec import LargeSpec, MobileNetV3Spec, SmallSpec
from mbexport.models.published import Published

SOURCE: Final = "tensorflow/models, research/slim, mobilenet/README.md"
# The small network of the paper's table 2, which Keras builds and publishes weights of, has 56.5 M mult-adds by our
# count, 52.3 M if it is minimalistic, and 2.5 M parameters: 66, 65 and 2.9 must be of another one.
NOTE: Final = (
    "Published: research/slim of tensorflow/models, mobilenet/README.md. Its mult-adds and parameters of the small "
    "networks at alpha 1 are not those of the network that Keras builds, as here."
)


def _row(
    spec: MobileNetV3Spec, *, mult_adds_m: int, parameters_m: float, top1: float, int8: float | None = None
) -> Published:
    """A row of the source, whose accuracies are in percent."""
    return Published(
        spec=spec,
        mult_adds_m=mult_adds_m,
        parameters_m=parameters_m,
        top1_float=top1 / 100,
        top1_int8=None if int8 is None else int8 / 100,
    )


LARGE: Final = (
    _row(LargeSpec(), mult_adds_m=217, parameters_m=5.4, top1=75.2, int8=73.9),
    _row(LargeSpec(alpha=0.75), mult_adds_m=155, parameters_m=4.0, top1=73.3),
    _row(LargeSpec(minimalistic=True), mult_adds_m=209, parameters_m=3.9, top1=72.3, int8=71.3),
)
SMALL: Final = (
    _row(SmallSpec(), mult_adds_m=66, parameters_m=2.9, top1=67.5, int8=64.9),
    _row(SmallSpec(alpha=0.75), mult_adds_m=44, parameters_m=2.4, top1=65.4),
    _row(SmallSpec(minimalistic=True), mult_adds_m=65, parameters_m=2.0, top1=61.9),
)
