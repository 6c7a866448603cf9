"""The published figures of MobileNet v1, to compare with and to set default limits by.

Source: research/slim/nets/mobilenet_v1.md of tensorflow/models (2018-02-22 checkpoints), unless said.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.published import PaperNetwork, Published
from mbexport.models.resolution import Resolution

SOURCE: Final = "tensorflow/models, research/slim, mobilenet_v1.md"
_PARAMETERS_M: Final[Mapping[float, float]] = MappingProxyType({1.0: 4.24, 0.75: 2.59, 0.5: 1.34, 0.25: 0.47})

PUBLISHED: Final[tuple[Published, ...]] = tuple(
    Published(
        spec=ModelSpec(alpha=alpha, resolution=Resolution.square(px)),
        mult_adds_m=macs,
        parameters_m=_PARAMETERS_M[alpha],
        top1_float=top1 / 100,
        top1_int8=quant / 100,
    )
    for alpha, px, macs, top1, quant in (
        (1.0, 224, 569, 70.9, 69.7),
        (1.0, 192, 418, 70.0, 69.0),
        (1.0, 160, 291, 68.0, 67.3),
        (1.0, 128, 186, 65.2, 64.0),
        (0.75, 224, 317, 68.4, 67.9),
        (0.75, 192, 233, 67.2, 66.2),
        (0.75, 160, 162, 65.3, 63.9),
        (0.75, 128, 104, 62.1, 59.8),
        (0.5, 224, 150, 63.3, 62.2),
        (0.5, 192, 110, 61.7, 60.4),
        (0.5, 160, 77, 59.1, 57.7),
        (0.5, 128, 49, 56.3, 54.9),
        (0.25, 224, 41, 49.8, 48.2),
        (0.25, 192, 34, 47.7, 45.8),
        (0.25, 160, 21, 45.5, 43.5),
        (0.25, 128, 14, 41.5, 39.9),
    )
)

# The published mult-adds of these rows are not those of the published network (docs/decisions/0003): at alpha 0.75
# the stem was left out (the paper's own table 6 has 325 M, with it);
# 34 M at 0.25/192 breaks the paper's rho**2 law (41 M * (192/224)**2 = 30 M) and is taken for a misprint.
ALPHA_WITHOUT_STEM: Final = 0.75
MISPRINTED: Final = (0.25, 192)
NOTE: Final = (
    "Published: research/slim of tensorflow/models. Its alpha 0.75 leaves out the stem (the paper has 325 M, "
    "as here); its 34 M at 0.25/192 breaks the rho*rho law (30 M)."
)

# Parameters with a 1000-class top, batch-normalization statistics included, of the weights that
# keras.applications publishes.
KERAS_PARAMETERS: Final[Mapping[float, int]] = MappingProxyType(
    {0.25: 475_544, 0.5: 1_342_536, 0.75: 2_601_976, 1.0: 4_253_864}
)


# arXiv 1704.04861, section 4.1: table 4 "Depthwise Separable vs Full Convolution MobileNet", table 5 "Narrow vs
# Shallow MobileNet". Parameters are kernels alone; 4866 M is our count without the head (4867 M with it), and only
# there: the other three are with the head.
PAPER: Final[tuple[PaperNetwork, ...]] = tuple(
    PaperNetwork(table=table, name=name, spec=spec, top1=top1 / 100, mult_adds_m=macs, parameters_m=parameters)
    for table, name, spec, top1, macs, parameters in (
        (4, "Conv MobileNet", ModelSpec(conv=Convolution.STANDARD), 71.7, 4866, 29.3),
        (4, "MobileNet", ModelSpec(), 70.6, 569, 4.2),
        (5, "0.75 MobileNet", ModelSpec(alpha=0.75), 68.4, 325, 2.6),
        (5, "Shallow MobileNet", ModelSpec(shallow=True), 65.3, 307, 2.9),
    )
)
