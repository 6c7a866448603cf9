"""Compute the mult-adds and parameters of each layer of a MobileNet v3, without building the network.

Convolutions alone are counted, those of squeeze-and-excite among them: not its product, and not h-swish.
"""

from collections.abc import Iterator

from mbexport.models.cost import Cost, LayerCost, convolution, depthwise, strided
from mbexport.models.mobilenet_v3.spec import STEM_CHANNELS, STEM_KERNEL_PX, Block, MobileNetV3Spec
from mbexport.models.spec import Size


def cost(spec: MobileNetV3Spec) -> Cost:
    """The cost of the MobileNet v3 that `spec` describes, equal to that of the network that `network.build` makes."""
    return Cost(layers=tuple(_layers(spec)))


def _layers(spec: MobileNetV3Spec) -> Iterator[LayerCost]:
    size = strided(spec.sides_px, 2)
    yield convolution("Conv", "stem", kernel_px=STEM_KERNEL_PX, m=3, n=STEM_CHANNELS, size=size)
    channels = STEM_CHANNELS
    for block in spec.blocks:
        yield from _block(block, size)
        size, channels = strided(size, block.stride), block.channels_out
    yield convolution("Conv_1", "pointwise", m=channels, n=spec.last_channels, size=size)
    pooled = (1, 1)
    yield convolution("Conv_2", "head", m=spec.last_channels, n=spec.feature_channels, size=pooled, has_bias=True)
    yield convolution("Logits", "head", m=spec.feature_channels, n=spec.classes, size=pooled, has_bias=True)


def _block(block: Block, size: Size) -> Iterator[LayerCost]:
    """The convolutions of a block whose input has this `size`."""
    prefix, expanded = block.prefix, block.expanded
    if block.has_expansion:
        yield convolution(f"{prefix}expand", "pointwise", m=block.channels_in, n=expanded, size=size)
    size = strided(size, block.stride)
    yield depthwise(f"{prefix}depthwise", m=expanded, size=size, kernel_px=block.kernel_px)
    if block.squeezed is not None:
        for name, m, n in (("Conv", expanded, block.squeezed), ("Conv_1", block.squeezed, expanded)):
            named = f"{prefix}squeeze_excite/{name}"
            yield convolution(named, "squeeze-excite", m=m, n=n, size=(1, 1), has_bias=True)
    yield convolution(f"{prefix}project", "pointwise", m=expanded, n=block.channels_out, size=size)
