"""Compute what a Core ML package's program gives for images, operation by operation: a simulation, not Core ML.

Each result is rounded to the type that the program states for it, mostly float16. What Core ML's own kernels give lies
near that and is not known here: they run on Apple's systems alone.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.coreml.operations import OPERATIONS, Floats
from mbexport.formats.coreml.package import ImageInput, Package
from mbexport.formats.coreml.program import UNPACK, Constant, Operation
from mbexport.models.preprocess import Pixels

_LABELS: Final = "classify"
_FLOATS: Final = ("float16", "float32")


class SimulatedPackage:
    """A package that gives the scores of images. Raises `DataError` for a program with an operation not known here."""

    def __init__(self, package: Package, *, name: str) -> None:
        self._package, self._name = package, name
        self._constants = package.program.constants()
        operations = [each for each in package.program.operations if each.kind not in ("const", UNPACK)]
        self._operations = [each for each in operations if each.kind != _LABELS]
        unknown = sorted({each.kind for each in self._operations} - set(OPERATIONS))
        scores = [each.read("probabilities") for each in operations if each.kind == _LABELS]
        if unknown or package.image is None or len(scores) != 1:
            what = f"the operation {unknown[0]}" if unknown else "no image as its input or no labels as its output"
            raise DataError(f"{name} cannot be simulated: it has {what}")
        self._image: ImageInput = package.image
        self._scores = str(scores[0])

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        """The scores (n, classes) of uint8 images (n, h, w, channels), RGB or grey, as an app feeds them."""
        return np.stack([self._one(each) for each in pixels])

    def tensors(self, image: Pixels) -> dict[str, Floats]:
        """Every tensor that the program computes of a uint8 image (h, w, channels), by name."""
        planes = image.transpose(2, 0, 1)[np.newaxis].astype(np.float32)
        if self._image.colour == "BGR":
            planes = planes[:, ::-1]
        known: dict[str, Any] = {**self._constants, self._image.name: planes}
        for operation in self._operations:
            known[operation.outputs[0].name] = self._computed(operation, known)
        return known

    def _one(self, image: Pixels) -> NDArray[np.float32]:
        known = self.tensors(image)
        if self._scores not in known:
            raise DataError(f"{self._name} cannot be simulated: its labels are of scores that it does not compute")
        return np.asarray(known[self._scores], np.float32).reshape(-1)

    def _computed(self, operation: Operation, known: dict[str, Any]) -> Floats:
        output = operation.outputs[0]
        try:
            given = {name: self._given(name, values, known) for name, values in operation.inputs.items()}
            found = np.asarray(OPERATIONS[operation.kind](given))
        except (DataError, KeyError, ValueError, TypeError, IndexError) as error:
            raise DataError(f"{self._name} cannot be simulated at {output.name}: {error}") from None
        if found.shape != output.shape:
            raise DataError(f"{self._name}: {output.name} must have shape {output.shape}, got {found.shape}")
        return found.astype(output.dtype).astype(np.float32) if output.dtype in _FLOATS else found

    def _given(self, name: str, values: tuple[str | Constant, ...], known: dict[str, Any]) -> Any:
        found = [known[each] if isinstance(each, str) else each.values for each in values]
        if name == "values":  # of concat, which takes any number
            return found
        (only,) = found
        return only.astype(np.float32) if only.dtype == np.float16 and name in ("x", "y") else only
