"""Compare an int8 .tflite with the network that simulates it: how alike they answer, and the layer where they part.

Fake quantization sums in float32, the file in integers: now and then a value that lies between two codes is rounded
the other way, later layers amplify the difference, and images between two classes change their answer. The same
network in integers tells what the file must give code for code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.examine.twins import Twin, run_in_integers
from mbexport.errors import StageError
from mbexport.formats.registry import open_runner
from mbexport.models.graph import entry_of, outputs_of
from mbexport.models.preprocess import Pixels, Preprocess

LEAST_AGREEMENT: Final = 0.97
BATCH: Final = 16
LOCATED_ON: Final = 2  # images: each has thousands of codes in every layer
# LiteRT's own kernels round twice, which moves up to a hundredth of the codes by one, and none by more.
_FAR_CODES: Final = 1e-3
_CONVOLUTIONS: Final = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """How alike the file and its simulation answer, on so many `images`; fractions 0..1.

    `agreement` is that of fake quantization with the file; `near_ties` are the other images where the file's answer
    is, for fake quantization, one code of the logits or less behind its own; `max_lsb` is the largest
    distance of its logits in codes. `integers` is the agreement of the same network in integers.
    """

    images: int
    agreement: float
    near_ties: float
    max_lsb: int
    integers: float

    @property
    def alike(self) -> float:
        """The fraction of answers that are those of fake quantization, or of the integers if these are nearer.

        Where float sums part from integer ones, as on a network that has learned nothing, the integers are what counts.
        """
        return max(self.agreement + self.near_ties, self.integers)

    def require_alike(self, *, parting: str | None, answers: str = "") -> None:
        """Raises `StageError` if too many answers differ; `parting` is the layer where the codes begin to.

        `answers` says what is compared, such as "the boxes of ", if it is not the images.
        """
        if not (self.alike >= LEAST_AGREEMENT):
            asked = f"{answers}{self.images} images"
            where = f"; they part at {parting}" if parting else "; no layer by itself gives other codes"
            raise StageError(
                f"the .tflite must answer as its simulation on at least {LEAST_AGREEMENT:.0%} of {asked}, "
                f"got {self.alike:.1%}{where}"
            )


def parting_layer(tflite: Path, twins: Sequence[Twin], pixels: Pixels, preprocess: Preprocess) -> str | None:
    """The first convolution whose codes in the file are more than one off, given the file's own codes before it."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(tflite),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    ops = [op for op in interpreter._get_ops_details() if op["op_name"] in _CONVOLUTIONS]
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    made = _matched(twins, [interpreter.get_tensor(op["inputs"][1]) for op in ops])
    feeds = open_runner(tflite).prepare(pixels, preprocess)
    far: dict[str, list[float]] = {}
    for index in range(len(pixels)):
        source = interpreter.get_input_details()[0]
        interpreter.set_tensor(source["index"], feeds[index : index + 1].repeat(source["shape"][0], axis=0))
        interpreter.invoke()
        stored = {layer: _steps(interpreter, tensors[ops[place]["outputs"][0]]) for layer, place in made.items()}
        for layer, distances in _distances(twins, preprocess.steps(pixels[index : index + 1]), stored):
            far.setdefault(layer, []).append(float((distances > 1).mean()))
    return next((layer for layer, shares in far.items() if np.mean(shares) > _FAR_CODES), None)


def _matched(twins: Sequence[Twin], kernels: Sequence[NDArray[Any]]) -> dict[str, int]:
    """By layer, the place of its convolution in the file, whose `kernels` are in TFLite's own order of axes.

    Branches may stand in another order in the file. Those with the same codes are one first, so that a convolution
    with other codes is left for the layer that it should be.
    """
    codes = {twin.layer: _turned(twin) for twin in twins if twin.integers is not None}
    distances = [
        (float(np.abs(kernel.astype(np.float32) - own).mean()), place, layer)
        for place, kernel in enumerate(kernels)
        for layer, own in codes.items()
        if own.shape == kernel.shape
    ]
    found: dict[str, int] = {}
    for _, place, layer in sorted(distances, key=lambda each: each[0]):
        if layer not in found and place not in found.values():
            found[layer] = place
    return found


def _turned(twin: Twin) -> NDArray[np.float32]:
    """The kernel in TFLite's order: (out, kh, kw, in), or (1, kh, kw, out) for a depthwise one."""
    assert twin.integers is not None
    kernel, _ = twin.integers
    return kernel.transpose(3, 0, 1, 2)  # of a depthwise one the last axis is 1


def _distances(twins: Sequence[Twin], x: Any, stored: Mapping[str, Any]) -> list[tuple[str, NDArray[Any]]]:
    """How far each convolution's codes in the file, `stored` by layer, are from those that its own input gives."""
    by_layer = []

    def compute(twin: Twin, tensors: Sequence[Any]) -> Any:
        steps = np.asarray(twin.in_integers(*tensors))
        if twin.layer not in stored:
            return steps
        codes = stored[twin.layer]
        by_layer.append((twin.layer, np.abs(codes.ravel() - steps.ravel())))
        return codes.reshape(steps.shape)

    outputs_of(twins, {entry_of(twins): x}, compute)
    return by_layer


def _steps(interpreter: Any, tensor: dict[str, Any]) -> NDArray[np.float32]:
    zero_point = tensor["quantization_parameters"]["zero_points"][0]
    steps: NDArray[np.float32] = interpreter.get_tensor(tensor["index"])[:1].astype(np.float32) - np.float32(zero_point)
    return steps


def integer_outputs(twins: Sequence[Twin], pixels: Pixels, preprocess: Preprocess) -> dict[str, NDArray[np.float32]]:
    """What the network in integers gives for the images, in steps of the codes of each output, by its name."""
    found: dict[str, list[NDArray[np.float32]]] = {}
    for start in range(0, len(pixels), BATCH):
        for twin, steps in run_in_integers(twins, preprocess.steps(pixels[start : start + BATCH])):
            if twin.is_output:
                found.setdefault(twin.name, []).append(np.asarray(steps))
    return {name: np.concatenate(parts) for name, parts in found.items()}
