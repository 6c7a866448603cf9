"""Compute the mult-adds and parameters of each layer of a MobileNet v3, without building the network.

Convolutions alone are counted, those of squeeze-and-excite among them: not its product, and not h-swish.
"""

from collections.abc import Iterator

from mbexport.models.cost import Cost, LayerCost, convolution, depthwise
from mbexport.models.mobilenet_v3.spec import STEM_CHANNELS, STEM_KERNEL_PX, Block, MobileNetV3Spec
from mbexport.models.resolution import Resolution


def cost(spec: MobileNetV3Spec) -> Cost:
    """The cost of the MobileNet v3 that `spec` describes, equal to that of the network that `network.build` makes."""
    return Cost(layers=tuple(_layers(spec)))


def _layers(spec: MobileNetV3Spec) -> Iterator[LayerCost]:
    size = spec.resolution.strided(2)
    yield convolution("Conv", "stem", kernel_px=STEM_KERNEL_PX, m=3, n=STEM_CHANNELS, output=size)
    channels = STEM_CHANNELS
    for block in spec.blocks:
        yield from _block(block, size)
        size, channels = size.strided(block.stride), block.channels_out
    yield convolution("Conv_1", "pointwise", m=channels, n=spec.last_channels, output=size)
    pooled = Resolution.square(1)
    yield convolution("Conv_2", "head", m=spec.last_channels, n=spec.feature_channels, output=pooled, has_bias=True)
    yield convolution("Logits", "head", m=spec.feature_channels, n=spec.classes, output=pooled, has_bias=True)


def _block(block: Block, size: Resolution) -> Iterator[LayerCost]:
    """The convolutions of a block whose input has this `size`."""
    prefix, expanded = block.prefix, block.expanded
    if block.has_expansion:
        yield convolution(f"{prefix}expand", "pointwise", m=block.channels_in, n=expanded, output=size)
    size = size.strided(block.stride)
    yield depthwise(f"{prefix}depthwise", m=expanded, output=size, kernel_px=block.kernel_px)
    if block.squeezed is not None:
        for name, m, n in (("Conv", expanded, block.squeezed), ("Conv_1", block.squeezed, expanded)):
            named = f"{prefix}squeeze_excite/{name}"
            yield convolution(named, "squeeze-excite", m=m, n=n, output=Resolution.square(1), has_bias=True)
    yield convolution(f"{prefix}project", "pointwise", m=expanded, n=block.channels_out, output=size)
