"""The mult-adds and parameters of a network's convolutions, which each architecture lists without building them.

Source of the formulas: arXiv 1704.04861, section 3.1. With kernel D_K, input channels M, output channels N and
output map D_F x D_F, a standard convolution costs D_K²·M·N·D_F² mult-adds, a depthwise one D_K²·M·D_F².
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from mbexport.models.resolution import Resolution
from mbexport.models.spec import NetworkSpec

Kind = Literal["stem", "depthwise", "pointwise", "standard", "squeeze-excite", "head", "predictor"]
_BATCH_NORM_PARAMETERS: Final = 4  # gamma, beta, moving mean, moving variance for each channel


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One convolution: `channels_in` (M) to `channels_out` (N) on a map of size `output` (D_F x D_F if square).

    `mult_adds` counts one multiplication with its addition as one, as the paper does; `parameters` includes
    the batch normalization behind the layer (four a channel) or the bias. Layers of the kind "head" work on the pooled
    features; those of the kind "predictor" give a detector's boxes and scores for every place of a map.
    """

    name: str
    kind: Kind
    kernel_px: int
    channels_in: int
    channels_out: int
    output: Resolution
    parameters: int

    @property
    def weights(self) -> int:
        """The kernel's weights, without bias or batch normalization: each is used once for every output pixel."""
        return self.kernel_px**2 * self.channels_out * (1 if self.kind == "depthwise" else self.channels_in)

    @property
    def folded_parameters(self) -> int:
        """The kernel's weights and one bias a channel, as exported networks have them."""
        return self.weights + self.channels_out

    @property
    def mult_adds(self) -> int:
        return self.weights * self.output.pixels

    @property
    def standard_mult_adds(self) -> int:
        """The mult-adds of a standard convolution of the same kernel and channels: D_K²·M·N·D_F²."""
        return self.kernel_px**2 * self.channels_in * self.channels_out * self.output.pixels


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
    def folded_parameters(self) -> int:
        """Kernels and one bias a channel, batch normalization being folded into them."""
        return sum(layer.folded_parameters for layer in self.layers)

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

    def held(self, kind: Kind) -> str:
        """The shares of one kind of layers in words."""
        mult_add_share, weight_share = self.share(kind)
        return f"hold {mult_add_share:.1%} of the mult-adds and {weight_share:.1%} of the weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarks:
    """What is worth saying of a network's cost: `lines` for people, and `figures` by name."""

    lines: tuple[str, ...]
    figures: Mapping[str, int] = field(default_factory=dict)


def pointwise_remarks(_spec: NetworkSpec, total: Cost) -> Remarks:
    """Where most of the work is in a network of depthwise separable convolutions."""
    return Remarks(lines=(f"1x1 convolutions {total.held('pointwise')}",))


def convolution(
    name: str, kind: Kind, *, m: int, n: int, output: Resolution, kernel_px: int = 1, has_bias: bool = False
) -> LayerCost:
    """A convolution from `m` to `n` channels, to a map of size `output`; with a bias, else with batch normalization."""
    return LayerCost(
        name=name,
        kind=kind,
        kernel_px=kernel_px,
        channels_in=m,
        channels_out=n,
        output=output,
        parameters=kernel_px**2 * m * n + (n if has_bias else _BATCH_NORM_PARAMETERS * n),
    )


def depthwise(name: str, *, m: int, output: Resolution, kernel_px: int = 3) -> LayerCost:
    """A depthwise convolution of `m` channels to a map of size `output`, with batch normalization."""
    return LayerCost(
        name=name,
        kind="depthwise",
        kernel_px=kernel_px,
        channels_in=m,
        channels_out=m,
        output=output,
        parameters=(kernel_px**2 + _BATCH_NORM_PARAMETERS) * m,
    )
