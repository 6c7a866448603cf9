"""A folded network as a graph of steps, each of which makes a tensor that an integer artifact stores.

Ranges, corrections, fake quantization and sensitivity all go through these steps; `mbexport.models.graph` walks them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.models.folding import gives_probabilities, is_convolution
from mbexport.models.graph import LayerNode, layers_of, only_readers, walk

_layers = tf_keras.layers
_NO_CEILING: Final = float("inf")
_MERGES: Final = (_layers.Add, _layers.Multiply)  # of several tensors into one


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What lies between stored tensors: layers without weights, then at most one convolution, then at most one ReLU.

    `site` is the layer behind which an integer artifact stores the result. `inputs` are the sites of the tensors that
    the step reads, or the network's input. `before` are the layers without weights, in order; a sum, a product and a
    pooling are among them. `weights` are the convolution's kernel and bias. `ceiling` is what the ReLU cuts at,
    infinite for a plain one, None without a ReLU. With `is_output` the network gives the result out, through nothing
    but layers such as a softmax.
    """

    site: str
    inputs: tuple[str, ...]
    before: tuple[LayerNode, ...]
    convolution: Any  # None for a step without
    weights: tuple[NDArray[np.float32], ...]
    ceiling: float | None
    is_output: bool = False

    @property
    def name(self) -> str:
        """The site, by which other steps know the result."""
        return self.site

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel is convolved by itself."""
        return isinstance(self.convolution, _layers.DepthwiseConv2D)

    @property
    def padding(self) -> str:
        """The convolution's own padding, as TensorFlow's operators name it."""
        return str(self.convolution.padding.upper())

    @property
    def is_padded(self) -> bool:
        """Whether zeros are put around what the convolution takes."""
        has_zeros = any(isinstance(node.layer, _layers.ZeroPadding2D) for node in self.before)
        return has_zeros or (self.kernel_shape[:2] != (1, 1) and self.padding != "VALID")

    @property
    def channels(self) -> int:
        """How many the convolution makes, 0 for a step without."""
        return 0 if self.convolution is None else len(self.weights[1])

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """(kh, kw, in, out) of the convolution, or (kh, kw, channels, 1)."""
        return tuple(self.weights[0].shape)

    def with_weights(self, weights: Mapping[str, list[NDArray[np.float32]]]) -> "Step":
        """The step with other kernels and biases: `weights` has them by the name of the convolution."""
        if self.convolution is None or self.convolution.name not in weights:
            return self
        return replace(self, weights=tuple(weights[self.convolution.name]))

    def prepare(self, *tensors: Any) -> Any:
        """Apply the layers before the convolution to the tensors of `inputs`.

        All are float32 (n, height, width, channels).
        """
        x = tensors[0]
        for _, x in walk(self.before, dict(zip(self.inputs, tensors, strict=True)), _apply):  # noqa: B007
            pass
        return x

    def compute(self, *tensors: Any) -> Any:
        """The step's result in float arithmetic for the tensors of `inputs`."""
        x = self.prepare(*tensors)
        if self.convolution is not None:
            x = self.convolve(x, *self.weights)
        return x if self.ceiling is None else tf.clip_by_value(x, 0.0, self.ceiling)

    def convolve(self, x: Any, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> Any:
        """The convolution of `x`, as `prepare` gives it, with another kernel and bias of the same shapes."""
        strides = self.convolution.strides
        if self.is_depthwise:
            return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], self.padding) + bias
        return tf.nn.conv2d(x, kernel, strides, self.padding) + bias


def steps_of(folded: tf_keras.Model) -> list[Step]:
    """The steps of a folded network up to its logits, in order; what turns these into probabilities is no step.

    A ReLU belongs to the convolution or merge that it alone reads, and is a step by itself behind anything else.
    Raises `StageError` for a layer that can be part of no step.
    """
    nodes = layers_of(folded)
    sites = _sites(nodes, only_readers(nodes))
    given_out = {name for node in nodes if node.is_output for name in _between(nodes, sites, (node.name,))[1]}
    return [_step(nodes, sites, node, is_output=sites[node.name] in given_out) for node in nodes if node.name in sites]


def _apply(node: LayerNode, tensors: Sequence[Any]) -> Any:
    return node.apply(tensors, training=False)


def activation_sites(folded: tf_keras.Model) -> tuple[str, ...]:
    """The layers behind which an integer artifact stores a tensor: ReLUs, sums, the pooled features, the logits."""
    nodes = layers_of(folded)
    return tuple(_sites(nodes, only_readers(nodes)).values())


def _sites(nodes: Sequence[LayerNode], readers: Mapping[str, LayerNode]) -> dict[str, str]:
    """By layer whose output is stored, the layer behind which that happens: itself, or its ReLU."""
    sites: dict[str, str] = {}
    for node in nodes:
        if is_convolution(node.layer) or isinstance(node.layer, _MERGES):
            reader = readers.get(node.name)
            sites[node.name] = reader.name if reader and isinstance(reader.layer, _layers.ReLU) else node.name
        elif len(node.inputs) > 1:
            raise StageError(
                f"several tensors can be added or multiplied, got {node.name}, {type(node.layer).__name__}"
            )
        elif isinstance(node.layer, _layers.GlobalAveragePooling2D | _layers.ReLU) and node.name not in sites.values():
            sites[node.name] = node.name
    return sites


def _between(
    nodes: Sequence[LayerNode], sites: Mapping[str, str], names: Sequence[str]
) -> tuple[tuple[LayerNode, ...], tuple[str, ...]]:
    """The layers between stored tensors and those called `names`, in order, and the names of the stored ones."""
    wanted, between, stored = dict.fromkeys(names), [], set(sites.values())
    for node in reversed(nodes):
        if node.name in wanted and node.name not in stored:
            del wanted[node.name]
            wanted |= dict.fromkeys(node.inputs)
            between.append(node)
            if node.layer.weights:
                raise StageError(f"layers with weights must be convolutions, got {node.name}")
    return tuple(between[::-1]), tuple(wanted)


def _step(nodes: Sequence[LayerNode], sites: Mapping[str, str], node: LayerNode, *, is_output: bool) -> Step:
    """The step around `node`, a convolution, a merge, a pooling or a ReLU by itself."""
    before, inputs = _between(nodes, sites, node.inputs)
    for each in before:
        if gives_probabilities(each.layer):
            raise StageError(f"probabilities must be the end of the network, got {each.name} inside")
    layer, site = node.layer, sites[node.name]
    is_part_of_before = not (is_convolution(layer) or isinstance(layer, _layers.ReLU))
    return Step(
        site=site,
        inputs=inputs,
        before=(*before, node) if is_part_of_before else before,
        convolution=layer if is_convolution(layer) else None,
        weights=tuple(layer.get_weights()),
        ceiling=_ceiling(next(each.layer for each in nodes if each.name == site)),
        is_output=is_output,
    )


def _ceiling(layer: Any) -> float | None:
    """What a ReLU cuts at, None for another layer."""
    if not isinstance(layer, _layers.ReLU):
        return None
    return _NO_CEILING if layer.max_value is None else float(layer.max_value)
