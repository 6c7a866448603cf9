"""What LiteRT's integer kernels make of each of the 256 codes, for activations that no convolution takes in.

Each is a function of one number, so a table says all of it. Where onnxruntime has no such kernel it computes with
floats and rounds once, half to even; `rounded_table` is that.
Sources: tensorflow/lite/kernels/internal/reference/hard_swish.h and kernels/activations.cc (HARD_SWISH, RELU, RELU6);
XNNPACK, src/microparams-init.c and src/qs8-vlrelu (LEAKY_RELU), src/operators/unary-elementwise-nc.c (LOGISTIC).
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, INT8_MIN, Affine
from mbexport.models.activations import HardSwish
from mbexport.models.folding import is_sigmoid

_INT16_MAX: Final = 2**15 - 1
_HIGH_BITS: Final = 7  # by which HARD_SWISH shifts a code to the left, into the high bits of 16
_LEAKY_BITS: Final = 8
_TURN: Final = 3.0  # where hard-swish becomes 0 and the identity

Codes = NDArray[np.int64]
Numbers = NDArray[np.float64]


def has_table(layer: Any) -> bool:
    """Whether the layer computes each number from one."""
    kinds = (tf_keras.layers.ReLU, tf_keras.layers.LeakyReLU, HardSwish)
    return isinstance(layer, kinds) or is_sigmoid(layer)


def litert_table(layer: Any, taken: Affine, made: Affine) -> Codes:
    """The int8 codes, stored as `made`, that LiteRT gives for the codes -128 to 127 stored as `taken`; int64 (256,)."""
    steps = np.arange(INT8_MIN, INT8_MAX + 1) - taken.zero_point[0]
    input_scale, output_scale = np.float32(taken.scale[0]), np.float32(made.scale[0])
    if isinstance(layer, HardSwish):
        found = _hard_swish(steps, input_scale, output_scale)
    elif isinstance(layer, tf_keras.layers.ReLU):
        found = _relu(steps, input_scale, output_scale, layer.max_value)
    elif isinstance(layer, tf_keras.layers.LeakyReLU):
        found = _leaky_relu(steps, input_scale, output_scale, float(layer.alpha))
    else:
        return rounded_table(layer, taken, made)
    return np.asarray(np.clip(found + made.zero_point[0], INT8_MIN, INT8_MAX))


def rounded_table(layer: Any, taken: Affine, made: Affine) -> Codes:
    """As `litert_table`, computed without error and rounded once, half to even."""
    return _clipped(_exact(layer, taken, made), made)


def agrees(layer: Any, taken: Affine, made: Affine, *, margin: float = 1e-3) -> bool:
    """Whether LiteRT gives the nearest code for each code, none of which lies within `margin` of a tie.

    Then any kernel that computes with floats gives the same codes.
    """
    exact = _exact(layer, taken, made)
    wanted = litert_table(layer, taken, made)
    return all(np.array_equal(_clipped(exact + by, made), wanted) for by in (-margin, margin))


def _clipped(steps: Numbers, made: Affine) -> Codes:
    return np.asarray(np.clip(np.rint(steps) + made.zero_point[0], INT8_MIN, INT8_MAX), np.int64)


def _exact(layer: Any, taken: Affine, made: Affine) -> Numbers:
    """What the layer makes of each code, in steps of the output."""
    x = (np.arange(INT8_MIN, INT8_MAX + 1) - taken.zero_point[0]) * float(np.float32(taken.scale[0]))
    found: Numbers = _function(layer)(np.asarray(x, np.float64)) / float(np.float32(made.scale[0]))
    return found


def _function(layer: Any) -> Callable[[Numbers], Numbers]:
    if isinstance(layer, HardSwish):
        return lambda x: x * np.clip(x + _TURN, 0, 2 * _TURN) / (2 * _TURN)
    if isinstance(layer, tf_keras.layers.ReLU):
        return lambda x: np.clip(x, 0, math.inf if layer.max_value is None else float(layer.max_value))
    if isinstance(layer, tf_keras.layers.LeakyReLU):
        return lambda x: np.where(x < 0, x * float(layer.alpha), x)
    return lambda x: 1 / (1 + np.exp(-x))


def _hard_swish(steps: Codes, input_scale: np.float32, output_scale: np.float32) -> Codes:
    """HARD_SWISH in 16-bit fixed point: x on the output's scale, times 0 to 1."""
    fine_scale = input_scale / np.float32(2**_HIGH_BITS)
    fine = steps << _HIGH_BITS
    multiplier, shift = _multiplier(float(fine_scale / output_scale), bits=15)
    scaled = _high_product(fine, multiplier)
    slope, exponent = _multiplier(float(fine_scale / np.float32(_TURN / 2**15)), bits=15)
    gate = fine
    if exponent > 0:
        gate = _saturated(gate << (exponent - 1))
    gate = _high_product(gate, slope)
    gate = _saturated(gate << 1) if exponent > 0 else _shifted(gate, -exponent)
    gate = (gate + 2**15) >> 1
    product = gate * scaled
    return _shifted(np.sign(product) * (np.abs(product) >> 15), -shift)  # C cuts off towards zero


def _relu(steps: Codes, input_scale: np.float32, output_scale: np.float32, ceiling: Any) -> Codes:
    """RELU and RELU6: two roundings, as gemmlowp has it, then the clip."""
    multiplier, shift = _multiplier(float(input_scale / output_scale), bits=31)
    left = max(shift, 0)
    product = (steps << left) * multiplier
    high = np.sign(product) * ((np.abs(product) + 2**30) >> 31)
    most = math.inf if ceiling is None else round(float(np.float32(ceiling) / output_scale))
    return np.asarray(np.clip(_shifted(high, left - shift), 0, most), np.int64)


def _leaky_relu(steps: Codes, input_scale: np.float32, output_scale: np.float32, alpha: float) -> Codes:
    """XNNPACK's LEAKY_RELU: two multipliers in 256ths, rounded half up."""
    positive = input_scale / output_scale
    up, down = (int(np.rint(np.float32(2**_LEAKY_BITS) * scale)) for scale in (positive, positive * np.float32(alpha)))
    return np.asarray((steps * np.where(steps < 0, down, up) + 2 ** (_LEAKY_BITS - 1)) >> _LEAKY_BITS)


def _multiplier(real: float, *, bits: int) -> tuple[int, int]:
    """A positive number as a whole one of so many bits, times 2 to the power of the exponent minus those bits."""
    fraction, exponent = math.frexp(real)
    whole = round(fraction * 2**31)
    if whole == 2**31:
        whole, exponent = 2**30, exponent + 1
    if bits == 31:
        return whole, exponent
    return min((whole + 2**15) >> 16, _INT16_MAX), exponent


def _high_product(values: Codes, multiplier: int) -> Codes:
    """gemmlowp's SaturatingRoundingDoublingHighMul of 16 bits: half away from zero, but half up where negative."""
    product = values * multiplier
    nudged = product + np.where(product >= 0, 2**14, 1 - 2**14)
    return np.asarray(np.sign(nudged) * (np.abs(nudged) >> 15))


def _shifted(values: Codes, by: int) -> Codes:
    """gemmlowp's RoundingDivideByPOT: divided by a power of two, half away from zero."""
    return np.asarray(np.sign(values) * ((np.abs(values) + ((1 << by) >> 1)) >> by))


def _saturated(values: Codes) -> Codes:
    return np.asarray(np.clip(values, -_INT16_MAX - 1, _INT16_MAX))
