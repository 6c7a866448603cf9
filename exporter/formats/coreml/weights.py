"""The weights of a Core ML package's convolutions, and which layer of the network each of them is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.formats.coreml.package import Package
from mbexport.formats.coreml.program import UNPACK, Constant, Operation
from mbexport.formats.tflite.integers import Decided


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConvolution:
    """One convolution of a program: its kernel (out, in / groups, kh, kw) and its bias, as the program computes them.

    `unpacking` is the operation that unpacks the kernel from codes; None where it is stored in float16.
    """

    name: str
    kernel: NDArray[Any]
    bias: NDArray[Any] | None
    unpacking: Operation | None


def in_package_order(decided: Decided) -> NDArray[np.float32]:
    """A kernel in a package's order: (out, in, kh, kw), or (out, 1, kh, kw) for a depthwise one."""
    kernel = decided.kernel
    if kernel.shape[-1] == len(decided.bias):
        return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    high, wide = kernel.shape[:2]
    return np.ascontiguousarray(kernel.reshape(high, wide, 1, -1).transpose(3, 2, 0, 1))


def convolutions_in(package: Package) -> list[StoredConvolution]:
    """The convolutions whose kernels are stored, in the order of the program."""
    known = package.program.constants()
    makers = {each.outputs[0].name: each for each in package.program.operations}
    found = []
    for operation in package.program.operations:
        kernel, bias = operation.read("weight"), operation.read("bias")
        if operation.kind != "conv" or not isinstance(kernel, str) or kernel not in known:
            continue
        unpacking = makers[kernel] if makers[kernel].kind == UNPACK else None
        found.append(
            StoredConvolution(
                name=operation.outputs[0].name,
                kernel=known[kernel],
                bias=bias.values if isinstance(bias, Constant) else known.get(bias or ""),
                unpacking=unpacking,
            )
        )
    return found


def matched(
    stored: list[StoredConvolution], wanted: Mapping[str, Decided]
) -> list[tuple[StoredConvolution, str, Decided]]:
    """Each stored convolution with the layer that it is: of those that are left, that with the nearest weights.

    Raises `StageError` for another number of them, or shapes that no layer has.
    """
    if len(stored) != len(wanted):
        raise StageError(f"the package must have {len(wanted)} convolutions, got {len(stored)}")
    left, found = {name: in_package_order(decided) for name, decided in wanted.items()}, []
    for each in stored:
        distances = {name: _distance(each.kernel, kernel) for name, kernel in left.items()}
        name = min(distances, key=lambda name: distances[name])
        if not distances[name] < math.inf:
            raise StageError(f"the package has a kernel {each.kernel.shape} of no layer, or one that is not finite")
        found.append((each, name, wanted[name]))
        del left[name]
    return found


def _distance(stored: NDArray[Any], wanted: NDArray[np.float32]) -> float:
    if stored.shape != wanted.shape:
        return math.inf
    return float(np.abs(stored.astype(np.float32) - wanted).sum())
