"""Compute the mult-adds and parameters of each layer of a MobileNet v2, without building the network."""

from collections.abc import Iterator

from mbexport.models.cost import Cost, LayerCost, convolution, depthwise
from mbexport.models.mobilenet_v2.spec import KERNEL_PX, MobileNetV2Spec
from mbexport.models.resolution import Resolution


def cost(spec: MobileNetV2Spec) -> Cost:
    """The cost of the MobileNet v2 that `spec` describes, equal to that of the network that `network.build` makes."""
    return Cost(layers=tuple(_layers(spec)))


def _layers(spec: MobileNetV2Spec) -> Iterator[LayerCost]:
    size = spec.resolution.strided(2)
    yield convolution("Conv1", "stem", kernel_px=KERNEL_PX, m=3, n=spec.stem_channels, output=size)
    channels = spec.stem_channels
    for block in spec.blocks:
        if block.has_expansion:
            yield convolution(f"{block.prefix}expand", "pointwise", m=block.channels_in, n=block.expanded, output=size)
        size = size.strided(block.stride)
        yield depthwise(f"{block.prefix}depthwise", m=block.expanded, output=size, kernel_px=KERNEL_PX)
        yield convolution(f"{block.prefix}project", "pointwise", m=block.expanded, n=block.channels_out, output=size)
        channels = block.channels_out
    yield convolution("Conv_1", "pointwise", m=channels, n=spec.last_channels, output=size)
    yield convolution(
        "predictions", "head", m=spec.last_channels, n=spec.classes, output=Resolution.square(1), has_bias=True
    )
