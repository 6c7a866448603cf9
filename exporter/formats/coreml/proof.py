"""Prove of a Core ML package what can be known without Core ML: its ends, its words, and every weight in it.

Whoever converts may take another order of colours, another scale or another axis, and the package would load, run and
answer. Nothing here runs a network: what is proved is certain.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.formats.coreml.codes import decided_codes
from mbexport.formats.coreml.convert_process import LABEL
from mbexport.formats.coreml.package import Files, ImageInput, Package, package_of
from mbexport.formats.coreml.program import Constant
from mbexport.formats.coreml.rows import PackageForm
from mbexport.formats.coreml.weights import StoredConvolution, convolutions_in, in_package_order, matched
from mbexport.formats.description import Description
from mbexport.formats.tflite.integers import Decided
from mbexport.models.facts import INPUT_NAME

SCORES: Final = f"{LABEL}_probs"
_LEAST: Final = 2.0**-24  # that float16 holds, beside zero
_FLOAT16_STEP: Final = 2**-10  # of numbers near 1, where a factor a channel is one of them
_NEAR: Final = 1e-5  # relative: constants of the input are float32
_SOFT: Final = ("softmax", "sigmoid")


def require_as_asked(
    files: Files, form: PackageForm, description: Description, convolutions: Mapping[str, Decided]
) -> None:
    """Raise `StageError` unless the package has the input, labels and version asked for, and holds these weights.

    float16 numbers are the nearest to float32; codes and scales are those that `decided_codes` gives.
    """
    package = package_of(files, name="the package")
    _require("version", package.specification, form.specification)
    resolution = description.resolution
    _require(
        "input",
        package.image,
        ImageInput(
            name=INPUT_NAME,
            height_px=resolution.height_px,
            width_px=resolution.width_px,
            colour=description.colour,
        ),
    )
    _require("outputs", package.outputs, (LABEL, SCORES))
    _require("label and scores", (package.label, package.scores), (LABEL, SCORES))
    if package.labels != description.labels:
        raise StageError(f"the package must have the {len(description.labels)} labels of the scores, got others")
    _require_normalization(package, description)
    for stored, name, decided in matched(convolutions_in(package), convolutions):
        _require_weights(stored, name, decided)
    endings = [each.kind for each in package.program.operations if each.kind in _SOFT]
    if not endings:
        raise StageError(f"the package must give probabilities, by {' or '.join(_SOFT)}, got neither")


def _require(what: str, got: object, expected: object) -> None:
    if got != expected:
        raise StageError(f"the {what} of the package must be {expected}, got {got}")


def _require_normalization(package: Package, description: Description) -> None:
    """Raise `StageError` unless what the program does to a byte first is (byte - mean) / std, channel by channel."""
    size = description.channels
    mean, std = (np.broadcast_to(np.array(values, np.float64), size) for values in (description.mean, description.std))
    scale, offset = _first_map(package, size)
    near = _NEAR if len(set(description.std)) == 1 else _FLOAT16_STEP
    ends = [np.abs((scale * byte + offset) - (byte - mean) / std) for byte in (0, 255)]
    if not all((end <= near * 255 / std).all() for end in ends):
        raise StageError(
            f"the package must make (byte - {mean.tolist()}) / {std.tolist()} of bytes, got byte * {scale.tolist()} + "
            f"{offset.tolist()}"
        )


def _first_map(package: Package, channels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the program multiplies the image by and adds to it, for each channel, before its first other operation."""
    known, name = package.program.constants(), INPUT_NAME
    scale, offset = np.ones(channels), np.zeros(channels)
    for operation in package.program.operations:
        if operation.read("x") != name or operation.kind not in ("mul", "add", "cast", "transpose"):
            continue
        if operation.kind in ("mul", "add"):
            other = operation.read("y")
            values = other.values if isinstance(other, Constant) else known.get(other or "")
            if values is None or values.size not in (1, channels):
                break
            each = np.broadcast_to(values.astype(np.float64).reshape(-1), channels)
            scale, offset = (scale * each, offset * each) if operation.kind == "mul" else (scale, offset + each)
        name = operation.outputs[0].name
    return scale, offset


def _require_weights(stored: StoredConvolution, name: str, decided: Decided) -> None:
    """Raise `StageError` unless a convolution holds the codes, or else the float16 numbers, that it must."""
    if stored.unpacking is None:
        _require_float16(f"weights of {name}", stored.kernel, in_package_order(decided))
    else:
        codes, given = decided_codes(decided), stored.unpacking.attributes
        _require_same(f"codes of {name}", given["quantized_data"].values, codes.codes)
        _require_same(f"scales of {name}", given["scale"].values, codes.scales)
        _require_same(f"zero points of {name}", given["zero_point"].values, np.zeros(len(codes.scales), np.int8))
        _require(f"axis of {name}", int(given["axis"].values), 0)
    bias = np.zeros(len(decided.bias), np.float16) if stored.bias is None else stored.bias
    _require_float16(f"bias of {name}", bias, decided.bias)


def _require_float16(what: str, stored: NDArray[Any], values: NDArray[np.float32]) -> None:
    """Raise `StageError` unless each number is the float16 nearest to float32's.

    Where that is zero and the number is not, it may be the least of float16 instead: coremltools lets no number of a
    small array vanish.
    """
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise StageError(f"the {what} are too large for float16: up to {np.abs(values).max():g}")
    if stored.shape == half.shape and stored.dtype == half.dtype:
        least = np.copysign(np.float16(_LEAST), half)
        half = np.where((half == 0) & (values != 0) & (stored == least), least, half)
    _require_same(what, stored, half)


def _require_same(what: str, stored: NDArray[Any], expected: NDArray[Any]) -> None:
    if stored.shape != expected.shape or stored.dtype != expected.dtype:
        raise StageError(
            f"the {what} must be {expected.dtype} {expected.shape}, got {stored.dtype} {stored.shape} in the package"
        )
    others = int((stored != expected).sum())
    if others:
        raise StageError(f"the {what} must be those that were asked for, got {others} of {expected.size} others")
