"""Compute the mult-adds and parameters of each layer of a MobileNet v1, without building the network.

Source of the formulas: arXiv 1704.04861, section 3.1. With kernel D_K, input channels M, output channels N and
output map D_F (at rho = 1), a standard convolution costs D_K²·M·N·D_F² mult-adds, a depthwise separable one
D_K²·αM·ρ²D_F² + αM·αN·ρ²D_F².
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from mbexport.models.mobilenet_v1.spec import KERNEL_PX, STEM_FILTERS, Convolution, ModelSpec

Kind = Literal["stem", "depthwise", "pointwise", "standard", "head"]
_BATCH_NORM_PARAMETERS: Final = 4  # gamma, beta, moving mean, moving variance for each channel


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One convolution: `channels_in` (M) to `channels_out` (N) on a square output map of `map_px` (D_F).

    `mult_adds` counts one multiplication with its addition as one, as the paper does; `parameters` includes
    the batch normalization behind the layer (four a channel) or the bias.
    """

    name: str
    kind: Kind
    kernel_px: int
    channels_in: int
    channels_out: int
    map_px: int
    mult_adds: int
    parameters: int

    @property
    def weights(self) -> int:
        """The kernel's weights, without bias or batch normalization: each is used once for every output pixel."""
        return self.mult_adds // self.map_px**2

    @property
    def standard_mult_adds(self) -> int:
        """The mult-adds of a standard convolution of the same kernel and channels: D_K²·M·N·D_F²."""
        return self.kernel_px**2 * self.channels_in * self.channels_out * self.map_px**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of a whole network, layer by layer."""

    layers: tuple[LayerCost, ...]

    @property
    def mult_adds(self) -> int:
        return sum(layer.mult_adds for layer in self.layers)

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def weights(self) -> int:
        """The kernels' weights, without batch normalization and bias: what the paper counts as parameters."""
        return sum(layer.weights for layer in self.layers)

    def share(self, kind: Kind) -> tuple[float, float]:
        """The shares of mult-adds and of weights in the layers of one kind (paper, table 2: 1x1 is "pointwise")."""
        layers = [layer for layer in self.layers if layer.kind == kind]
        mult_adds = sum(layer.mult_adds for layer in layers)
        weights = sum(layer.weights for layer in layers)
        return mult_adds / self.mult_adds, weights / self.weights

    def separable_saving(self) -> tuple[int, int]:
        """Mult-adds of the blocks as separable and as standard 3x3 convolutions, whichever of them they are."""
        blocks = [layer for layer in self.layers if layer.kind in ("pointwise", "standard")]
        separable = sum((KERNEL_PX**2 + layer.channels_out) * layer.channels_in * layer.map_px**2 for layer in blocks)
        standard = sum(KERNEL_PX**2 * layer.channels_out * layer.channels_in * layer.map_px**2 for layer in blocks)
        return separable, standard


def cost(spec: ModelSpec) -> Cost:
    """The cost of the MobileNet v1 that `spec` describes, equal to that of the network that `network.build` makes."""
    return Cost(layers=tuple(_layers(spec)))


def _layers(spec: ModelSpec) -> Iterator[LayerCost]:
    channels = spec.channels(STEM_FILTERS)
    map_px = spec.resolution_px // 2
    yield _convolution("conv1", "stem", kernel_px=KERNEL_PX, m=3, n=channels, map_px=map_px)
    for number, block in enumerate(spec.blocks, start=1):
        map_px //= block.stride
        n = spec.channels(block.filters)
        if spec.conv is Convolution.STANDARD:
            yield _convolution(f"conv_std_{number}", "standard", kernel_px=KERNEL_PX, m=channels, n=n, map_px=map_px)
        else:
            yield _depthwise(f"conv_dw_{number}", m=channels, map_px=map_px)
            yield _convolution(f"conv_pw_{number}", "pointwise", kernel_px=1, m=channels, n=n, map_px=map_px)
        channels = n
    yield LayerCost(
        name="conv_preds",
        kind="head",
        kernel_px=1,
        channels_in=channels,
        channels_out=spec.classes,
        map_px=1,
        mult_adds=channels * spec.classes,
        parameters=(channels + 1) * spec.classes,
    )


def _convolution(name: str, kind: Kind, *, kernel_px: int, m: int, n: int, map_px: int) -> LayerCost:
    weights = kernel_px**2 * m * n
    return LayerCost(
        name=name,
        kind=kind,
        kernel_px=kernel_px,
        channels_in=m,
        channels_out=n,
        map_px=map_px,
        mult_adds=weights * map_px**2,
        parameters=weights + _BATCH_NORM_PARAMETERS * n,
    )


def _depthwise(name: str, *, m: int, map_px: int) -> LayerCost:
    weights = KERNEL_PX**2 * m
    return LayerCost(
        name=name,
        kind="depthwise",
        kernel_px=KERNEL_PX,
        channels_in=m,
        channels_out=m,
        map_px=map_px,
        mult_adds=weights * map_px**2,
        parameters=weights + _BATCH_NORM_PARAMETERS * m,
    )
