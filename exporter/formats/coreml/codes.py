"""Store in a package the 8-bit codes that calibration decided, in the place of those that coremltools rounded to.

coremltools gives each channel the scale of its largest weight, in float16, and rounds to the nearest code. Rounding
that was decided with the network's answers in view, and biases that make up for it, keep far more of them (decision
0012), so the decided codes are written over the others, behind coremltools' back, as into .tflite files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import weight_affine
from mbexport.errors import StageError
from mbexport.formats.coreml.package import WEIGHTS, package_of
from mbexport.formats.coreml.program import Operation
from mbexport.formats.coreml.weights import convolutions_in, in_package_order, matched
from mbexport.formats.tflite.integers import Decided

_MOST: Final = 127
_LOSS: Final = 1 / 1024  # a float16 scale that is smaller than the decided one by more would cut the largest weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """The int8 codes (out, in, kh, kw) of a kernel and the float16 scale (out,) of each channel."""

    codes: NDArray[np.int8]
    scales: NDArray[np.float16]


def decided_codes(decided: Decided) -> Codes:
    """The codes of a decided kernel, in scales that float16 holds: the next larger one where none is near enough.

    Of scales that float16 holds well the codes are the decided ones. Those below 2**-14 it rounds to multiples of
    2**-24; a weight then gets the code nearest to it.
    """
    kernel = in_package_order(decided)
    affine = weight_affine(kernel, axis=0, least=decided.least)
    exact = np.array(affine.scale)
    scales = exact.astype(np.float16)
    too_small = scales.astype(np.float64) < exact * (1 - _LOSS)
    scales = np.where(too_small, np.nextafter(scales, np.float16(np.inf)), scales).astype(np.float16)
    weights = affine.dequantize(affine.quantize(kernel, low=-_MOST))
    steps = weights.astype(np.float64) / scales.astype(np.float64).reshape(-1, 1, 1, 1)
    return Codes(codes=np.clip(np.rint(steps), -_MOST, _MOST).astype(np.int8), scales=scales)


def with_decided_codes(files: Mapping[str, bytes], wanted: Mapping[str, Decided]) -> dict[str, bytes]:
    """The files of a package with the decided codes and scales, each in the place of the weights nearest to it.

    Kernels that coremltools leaves in float16, because they are small, stay so. Raises `StageError` if the package is
    of another network.
    """
    package, content = package_of(files, name="the package"), bytearray(files[WEIGHTS])
    for stored, name, decided in matched(convolutions_in(package), wanted):
        if stored.unpacking is None:
            continue
        codes = decided_codes(decided)
        _store(content, stored.unpacking, "quantized_data", codes.codes, name)
        _store(content, stored.unpacking, "scale", codes.scales, name)
    return {**files, WEIGHTS: bytes(content)}


def _store(content: bytearray, unpacking: Operation, attribute: str, values: NDArray[Any], layer: str) -> None:
    """Write numbers over those of an attribute, which must be of the same type and shape and lie in the file."""
    old = unpacking.attributes[attribute]
    if old.place is None or (old.values.dtype, old.values.shape) != (values.dtype, values.shape):
        raise StageError(
            f"{attribute} of {layer} must be {values.dtype} {values.shape} in the file of weights, got "
            f"{old.values.dtype} {old.values.shape}"
        )
    written = values.astype(values.dtype.newbyteorder("<")).tobytes()
    content[old.place : old.place + len(written)] = written
