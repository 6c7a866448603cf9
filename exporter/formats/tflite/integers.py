"""Prove that a .tflite file holds the integers that calibration decided, or store them in it.

The converter quantizes on its own account from what it finds in the graph. If it took another range or another
axis, the file would load, run and answer, and nobody would know that it is not the network that was simulated.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ai_edge_litert.schema_py_generated import BuiltinOperator, TensorType
from numpy.typing import NDArray

from mbexport.calibration.affine import Range, activation_affine, weight_affine
from mbexport.errors import StageError
from mbexport.formats.tflite.file import opened, packed

_SCALE_TOLERANCE: Final = 1e-4  # fake quantization computes its scale in float32, twice
# Weights on a tie: the converter divides in float32 and rounds away from zero, we in float64 and to even. One of the
# 864 weights of a small depthwise kernel is a large share already.
_TIES: Final = 3
_TIES_SHARE: Final = 5e-3
_CONVOLUTIONS: Final = (BuiltinOperator.CONV_2D, BuiltinOperator.DEPTHWISE_CONV_2D)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One convolution as it was decided, in float32.

    `kernel` is (kh, kw, in, out), or (kh, kw, channels, m) if depthwise, with out = channels * m; `bias` and `least`,
    the largest weight that a channel's scale must allow for, are (out,).
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    least: NDArray[np.float64]


def require_decided_integers(content: bytes, convolutions: Mapping[str, Decided], ranges: Mapping[str, Range]) -> None:
    """Raises `StageError` unless the file has the scale of every range and the codes of every kernel and bias.

    A convolution in the file is known by its weights.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    scales = np.array(
        [
            tensor["quantization_parameters"]["scales"][0]
            for tensor in tensors.values()
            if len(tensor["quantization_parameters"]["scales"]) == 1
        ]
    )
    for site, interval in ranges.items():
        scale = activation_affine(interval).scale[0]
        if not np.isclose(scales, scale, rtol=_SCALE_TOLERANCE, atol=0).any():
            raise StageError(f"the .tflite must hold the range of {site}, scale {scale:g}, got no such scale")
    ops = [op for op in interpreter._get_ops_details() if op["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    kernels = [
        _Kernel(values=interpreter.get_tensor(index), scales=tensors[index]["quantization_parameters"]["scales"])
        for index in (op["inputs"][1] for op in ops)
    ]
    for op, kernel, (name, decided) in zip(ops, kernels, _matched(kernels, convolutions), strict=True):
        is_depthwise = op["op_name"] == "DEPTHWISE_CONV_2D"
        affine = weight_affine(turned := in_tflite_order(decided), axis=3 if is_depthwise else 0, least=decided.least)
        _require_codes(name, kernel.values, affine.quantize(turned, low=-127))
        _, _, bias = op["inputs"]
        bias_scales = tensors[bias]["quantization_parameters"]["scales"]
        _require_bias(name, interpreter.get_tensor(bias), bias_scales, decided.bias)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kernel:
    """The kernel of one op in TFLite's order, with the scale of each channel, none if it is stored as floats."""

    values: NDArray[Any]
    scales: NDArray[np.float32]

    def distance(self, turned: NDArray[np.float32]) -> float:
        """How far the weights are from others in the same order, infinite if these have another shape."""
        if self.values.shape != turned.shape:
            return math.inf
        if not len(self.scales):
            return float(np.abs(self.values - turned).sum())
        shape = [1, 1, 1, -1] if turned.shape[0] == 1 and len(self.scales) > 1 else [-1, 1, 1, 1]
        return float(np.abs(self.values * self.scales.reshape(shape) - turned).sum())


def _matched(kernels: Sequence[_Kernel], convolutions: Mapping[str, Decided]) -> list[tuple[str, Decided]]:
    """The convolution of each kernel of a file: of those that are left, the first whose weights are nearest to it.

    Branches may stand in another order in the file. Raises `StageError` if the file is of another network.
    """
    if len(kernels) != len(convolutions):
        raise StageError(f"the .tflite must have {len(convolutions)} convolutions, got {len(kernels)}")
    left, found = {name: in_tflite_order(decided) for name, decided in convolutions.items()}, []
    for kernel in kernels:
        distances = {name: kernel.distance(turned) for name, turned in left.items()}
        name = min(distances, key=lambda each: distances[each])
        if distances[name] == math.inf:
            raise StageError(f"the kernel of {name} must have shape {left[name].shape}, got {kernel.values.shape}")
        found.append((name, convolutions[name]))
        del left[name]
    return found


def in_tflite_order(decided: Decided) -> NDArray[np.float32]:
    """A kernel in TFLite's order: (out, kh, kw, in), or (1, kh, kw, out) for a depthwise one."""
    kernel = decided.kernel
    if kernel.shape[-1] == len(decided.bias):
        return kernel.transpose(3, 0, 1, 2)
    return kernel.reshape(1, *kernel.shape[:2], -1)


def _require_bias(
    name: str, stored: NDArray[np.int32], scales: NDArray[np.float32], expected: NDArray[np.float32]
) -> None:
    """A bias is int32 in steps of input scale times weight scale: it may be a step off, but not saturated."""
    distance = np.abs(stored.astype(np.float64) * scales - expected)
    allowed = scales.astype(np.float64) + _SCALE_TOLERANCE * np.abs(expected)
    if (distance > allowed).any():
        worst = int((distance - allowed).argmax())
        raise StageError(
            f"the .tflite must hold the bias of {name}, {expected[worst]:g} in channel {worst}, got "
            f"{stored[worst] * float(scales[worst]):g}"
        )


def _require_codes(name: str, stored: NDArray[Any], expected: NDArray[np.int32]) -> None:
    if stored.shape != expected.shape:
        raise StageError(f"the kernel of {name} must have shape {expected.shape}, got {stored.shape}")
    distance = np.abs(stored.astype(np.int32) - expected)
    if distance.max() > 1 or (distance > 0).sum() > _TIES + _TIES_SHARE * distance.size:
        raise StageError(
            f"the .tflite must hold the codes that the weights of {name} round to, got up to {distance.max()} steps "
            f"from them in {(distance > 0).mean():.1%} of the weights"
        )


def with_decided_weights(content: bytes, convolutions: Mapping[str, Decided]) -> bytes:
    """The file with the codes and scales of `convolutions`, each in the place of the weights nearest to it.

    Biases stay floats in a file of dynamic range; with 16-bit activations they are int64, in whole steps of input
    scale times weight scale. Raises `StageError` if the file is of another network.
    """
    model = opened(content)
    (graph,) = model.subgraphs
    for op, _, decided in convolutions_of(model, convolutions):
        given, kernel, bias = (graph.tensors[index] for index in op.inputs)
        if kernel.type == TensorType.FLOAT32:
            continue  # so small that the converter leaves it as it is
        turned = in_tflite_order(decided)
        affine = weight_affine(turned, axis=kernel.quantization.quantizedDimension, least=decided.least)
        _store(model, kernel, affine.quantize(turned, low=-127).astype(np.int8))
        scales = np.array(affine.scale)
        kernel.quantization.scale = scales.astype(np.float32)
        if bias.type != TensorType.FLOAT32:
            bias_scales = scales * given.quantization.scale[0]
            _store(model, bias, np.rint(decided.bias / bias_scales).astype(np.int64))
            bias.quantization.scale = bias_scales.astype(np.float32)
    return packed(model)


def convolutions_of(model: Any, convolutions: Mapping[str, Decided]) -> list[tuple[Any, str, Decided]]:
    """Each convolution of a file, as the OperatorT of its ModelT, with the one of `convolutions` that it is.

    Raises `StageError` if the file is of another network.
    """
    (graph,) = model.subgraphs
    ops = [op for op in graph.operators if model.operatorCodes[op.opcodeIndex].builtinCode in _CONVOLUTIONS]
    matched = _matched([_stored(model, graph.tensors[op.inputs[1]]) for op in ops], convolutions)
    return [(op, name, decided) for op, (name, decided) in zip(ops, matched, strict=True)]


def _stored(model: Any, tensor: Any) -> _Kernel:
    """The kernel in a tensor of the file."""
    is_float = tensor.type == TensorType.FLOAT32
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32 if is_float else np.int8)
    scales = np.zeros(0, np.float32) if is_float else np.asarray(tensor.quantization.scale, np.float32)
    return _Kernel(values=values.reshape(tuple(int(size) for size in tensor.shape)), scales=scales)


def _store(model: Any, tensor: Any, values: NDArray[Any]) -> None:
    model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
