"""Compute the mult-adds and parameters of each layer of a MobileNet v1, without building the network.

Source of the formulas: arXiv 1704.04861, section 3.1. With width multiplier α and resolution multiplier ρ, a depthwise
separable block costs D_K²·αM·ρ²D_F² + αM·αN·ρ²D_F² mult-adds.
"""

from collections.abc import Iterator

from mbexport.models.cost import Cost, LayerCost, Remarks, convolution, depthwise, pointwise_remarks
from mbexport.models.mobilenet_v1.spec import KERNEL_PX, STEM_FILTERS, Body, Convolution, ModelSpec
from mbexport.models.resolution import Resolution


def cost(spec: ModelSpec) -> Cost:
    """The cost of the MobileNet v1 that `spec` describes, equal to that of the network that `network.build` makes."""
    return Cost(layers=tuple(_layers(spec)))


def separable_saving(total: Cost) -> tuple[int, int]:
    """Mult-adds of the blocks as separable and as standard 3x3 convolutions, whichever of them they are."""
    blocks = [layer for layer in total.layers if layer.kind in ("pointwise", "standard")]
    separable = sum((KERNEL_PX**2 + layer.channels_out) * layer.channels_in * layer.output.pixels for layer in blocks)
    standard = sum(KERNEL_PX**2 * layer.channels_out * layer.channels_in * layer.output.pixels for layer in blocks)
    return separable, standard


def remarks(spec: ModelSpec, total: Cost) -> Remarks:
    """Where the work is, and what the blocks would cost as convolutions of the other kind."""
    separable, standard = separable_saving(total)
    figures = {"separable_mult_adds": separable, "standard_mult_adds": standard}
    if spec.conv is Convolution.STANDARD:
        share = f"the blocks' standard convolutions {total.held('standard')}"
        compared = (
            f"the {len(spec.blocks)} blocks of standard 3x3 convolutions cost {standard / 1e6:.1f} M, "
            f"{standard / separable:.1f} times as much as separable blocks in their place, {separable / 1e6:.1f} M"
        )
    else:
        (share,) = pointwise_remarks(spec, total).lines
        compared = (
            f"the {len(spec.blocks)} separable blocks cost {separable / 1e6:.1f} M; standard 3x3 convolutions in their "
            f"place {standard / 1e6:.1f} M, {standard / separable:.1f} times as much"
        )
    return Remarks(lines=(share, compared), figures=figures)


def _layers(spec: ModelSpec) -> Iterator[LayerCost]:
    yield from (body := tuple(body_layers(spec)))
    m = body[-1].channels_out
    yield convolution("conv_preds", "head", m=m, n=spec.classes, output=Resolution.square(1), has_bias=True)


def body_layers(body: Body) -> Iterator[LayerCost]:
    """The cost of the stem and of each block of `body`, layer by layer."""
    channels = body.channels(STEM_FILTERS)
    size = body.resolution.strided(2)
    yield convolution("conv1", "stem", kernel_px=KERNEL_PX, m=3, n=channels, output=size)
    for number, block in enumerate(body.blocks, start=1):
        size = size.strided(block.stride)
        n = body.channels(block.filters)
        if body.conv is Convolution.STANDARD:
            yield convolution(f"conv_std_{number}", "standard", kernel_px=KERNEL_PX, m=channels, n=n, output=size)
        else:
            yield depthwise(f"conv_dw_{number}", m=channels, output=size, kernel_px=KERNEL_PX)
            yield convolution(f"conv_pw_{number}", "pointwise", m=channels, n=n, output=size)
        channels = n
