"""A folded network as a graph of steps, each of which makes a tensor that an integer artifact stores.

Ranges, corrections, fake quantization and sensitivity all go through these steps; `mbexport.models.graph` walks them.
What only moves codes or picks the largest of them stores nothing new: padding, reshapes, maximum pooling, dropout.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.models.activations import HardSwish
from mbexport.models.folding import gives_probabilities, is_convolution, is_sigmoid
from mbexport.models.graph import LayerNode, layers_of, only_readers, walk

_layers = tf_keras.layers
_NO_CEILING: Final = float("inf")
_MERGES: Final = (_layers.Add, _layers.Multiply)  # of several tensors into one; a ReLU may be part of them
# Further operators that make numbers of their own, which are stored.
_OPERATORS: Final = (
    _layers.Concatenate,
    _layers.GlobalAveragePooling2D,
    _layers.AveragePooling2D,
    _layers.ReLU,
    _layers.LeakyReLU,
    HardSwish,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What lies between stored tensors: layers without weights, then at most one convolution, then at most one ReLU.

    `site` is the layer behind which an integer artifact stores the result. `inputs` are the sites of the tensors that
    the step reads, or the network's input. `before` are the layers without weights, in order. A step without a
    convolution has an `operator`, such as a sum, a pooling or an activation, which is the last of `before` unless it
    is a ReLU. `weights` are the convolution's kernel and bias. `ceiling` is what the ReLU cuts at, infinite for a
    plain one, None without a ReLU. With `is_output` the network gives the result out, through nothing but layers such
    as a softmax.

    A depthwise convolution that makes m channels of each has a kernel (kh, kw, channels * m, 1), for an input whose
    channels are repeated m times.
    """

    site: str
    inputs: tuple[str, ...]
    before: tuple[LayerNode, ...]
    convolution: Any  # None for a step without
    weights: tuple[NDArray[np.float32], ...]
    ceiling: float | None
    operator: LayerNode | None = None
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
        """How many the result has."""
        return len(self.weights[1]) if self.operator is None else int(self.operator.layer.output_shape[-1])

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """(kh, kw, in, out) of the convolution, or (kh, kw, channels, 1)."""
        return tuple(self.weights[0].shape)

    @property
    def repeats(self) -> int:
        """How often each channel is repeated for the convolution: once, but for some depthwise ones."""
        return int(self.convolution.depth_multiplier) if self.is_depthwise else 1

    @property
    def keeps_channels(self) -> bool:
        """Whether the convolution takes the channels of its input as they are stored, one for one."""
        shapes = [node.layer for node in self.before if isinstance(node.layer, _layers.Reshape)]
        return self.repeats == 1 and all(each.input_shape[-1] == each.output_shape[-1] for each in shapes)

    def with_weights(self, weights: Mapping[str, list[NDArray[np.float32]]]) -> "Step":
        """The step with other kernels and biases: `weights` has them by the name of the convolution."""
        if self.convolution is None or self.convolution.name not in weights:
            return self
        kernel, bias = weights[self.convolution.name]
        return replace(self, weights=(as_step(self.convolution, kernel), bias))

    def operands(self, *tensors: Any) -> list[Any]:
        """What the operator reads, made of the tensors of `inputs`."""
        assert self.operator is not None
        made = dict(zip(self.inputs, tensors, strict=True))
        made |= {node.name: x for node, x in walk([n for n in self.before if n is not self.operator], made, _apply)}
        return [made[name] for name in self.operator.inputs]

    def sources(self) -> list[str]:
        """The site, or the network's input, that each operand of the operator comes from."""
        assert self.operator is not None
        between = {node.name: node.inputs[0] for node in self.before if node is not self.operator}
        found = list(self.operator.inputs)
        while any(name in between for name in found):
            found = [between.get(name, name) for name in found]
        return found

    def prepare(self, *tensors: Any) -> Any:
        """Apply the layers before the convolution to the tensors of `inputs`.

        All are float32 (n, height, width, channels).
        """
        x = tensors[0]
        for _, x in walk(self.before, dict(zip(self.inputs, tensors, strict=True)), _apply):  # noqa: B007
            pass
        return x if self.repeats == 1 else tf.repeat(x, self.repeats, axis=-1)

    def compute(self, *tensors: Any) -> Any:
        """The step's result in float arithmetic for the tensors of `inputs`."""
        x = self.prepare(*tensors)
        if self.convolution is not None:
            x = self.convolve(x, *self.weights)
        return x if self.ceiling is None else tf.clip_by_value(x, 0.0, self.ceiling)

    def convolve(self, x: Any, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> Any:
        """The convolution of `x`, as `prepare` gives it, with another kernel and bias of the same shapes."""
        strides, dilations = self.convolution.strides, self.convolution.dilation_rate
        if self.is_depthwise:
            return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], self.padding, dilations=dilations) + bias
        return tf.nn.conv2d(x, kernel, strides, self.padding, dilations=dilations) + bias


def as_step(convolution: Any, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The kernel of a convolution as its step has it: (kh, kw, in, out), or (kh, kw, channels, 1) if depthwise."""
    return kernel.reshape(*kernel.shape[:2], -1, 1) if isinstance(convolution, _layers.DepthwiseConv2D) else kernel


def as_layer(convolution: Any, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The kernel of a step as its convolution holds it: the inverse of `as_step`."""
    if not isinstance(convolution, _layers.DepthwiseConv2D):
        return kernel
    return kernel.reshape(*kernel.shape[:2], -1, convolution.depth_multiplier)


def steps_of(folded: tf_keras.Model) -> list[Step]:
    """The steps of a folded network up to its logits, in order; what turns these into probabilities is no step.

    A ReLU belongs to the convolution, sum or product that it alone reads, and is a step by itself behind anything
    else. Raises `StageError` for a layer that can be part of no step.
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
    inner = _inner(nodes)
    for node in nodes:
        if is_convolution(node.layer) or isinstance(node.layer, _MERGES):
            reader = readers.get(node.name)
            sites[node.name] = reader.name if reader and isinstance(reader.layer, _layers.ReLU) else node.name
        elif _is_operator(node, inner) and node.name not in sites.values():
            sites[node.name] = node.name
        elif len(node.inputs) > 1:
            raise StageError(
                f"several tensors can be added, multiplied or concatenated, got {node.name}, "
                f"{type(node.layer).__name__}"
            )
    return sites


def _is_operator(node: LayerNode, inner: Container[str]) -> bool:
    return isinstance(node.layer, _OPERATORS) or (is_sigmoid(node.layer) and node.name in inner)


def _inner(nodes: Sequence[LayerNode]) -> set[str]:
    """The layers that a convolution or an operator comes behind: a sigmoid among them gives no probabilities."""
    found: set[str] = set()
    for node in reversed(nodes):
        if node.name in found or is_convolution(node.layer) or isinstance(node.layer, _MERGES + _OPERATORS):
            found.update(node.inputs)
    return found


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
    """The step around `node`, a convolution, an operator or a ReLU by itself."""
    before, inputs = _between(nodes, sites, node.inputs)
    for each in before:
        if gives_probabilities(each.layer):
            raise StageError(f"probabilities must be the end of the network, got {each.name} inside")
    layer, site, kernel_and_bias = node.layer, sites[node.name], node.layer.get_weights()
    if is_convolution(layer):
        kernel_and_bias[0] = as_step(layer, kernel_and_bias[0])
    is_part_of_before = not (is_convolution(layer) or isinstance(layer, _layers.ReLU))
    return Step(
        site=site,
        inputs=inputs,
        before=(*before, node) if is_part_of_before else before,
        convolution=layer if is_convolution(layer) else None,
        weights=tuple(kernel_and_bias),
        ceiling=_ceiling(next(each.layer for each in nodes if each.name == site)),
        operator=None if is_convolution(layer) else node,
        is_output=is_output,
    )


def _ceiling(layer: Any) -> float | None:
    """What a ReLU cuts at, None for another layer."""
    if not isinstance(layer, _layers.ReLU):
        return None
    return _NO_CEILING if layer.max_value is None else float(layer.max_value)
