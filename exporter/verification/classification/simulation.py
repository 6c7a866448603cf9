"""Check that an int8 .tflite answers as the network that simulates it, and find the layer where they part.

Fake quantization sums in float32, the file in integers: now and then a value that lies between two codes is rounded
the other way, later layers amplify the difference, and images between two classes change their answer. The same
network in integers tells what the file must give code for code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.examine.twins import Twin, run_in_integers
from mbexport.calibration.qat.fake_quant import PREFIX
from mbexport.errors import StageError
from mbexport.formats.classifier import Classifier
from mbexport.formats.registry import open_runner
from mbexport.models.graph import entry_of, outputs_of
from mbexport.models.preprocess import Pixels, Preprocess

LEAST_AGREEMENT: Final = 0.97
_BATCH: Final = 16
_LOCATED_ON: Final = 2  # images: each has thousands of codes in every layer
# LiteRT's own kernels round twice, which moves up to a hundredth of the codes by one, and none by more.
_FAR_CODES: Final = 1e-3
_CONVOLUTIONS: Final = ("CONV_2D", "DEPTHWISE_CONV_2D")
_ONE_STEP: Final = 1.01  # of the logits, with room for float32


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

    def require_alike(self, *, parting: str | None) -> None:
        """Raises `StageError` if too many answers differ; `parting` is the layer where the codes begin to."""
        if not (self.alike >= LEAST_AGREEMENT):
            where = f"; they part at {parting}" if parting else "; no layer by itself gives other codes"
            raise StageError(
                f"the .tflite must answer as its simulation on at least {LEAST_AGREEMENT:.0%} of {self.images} images, "
                f"got {self.alike:.1%}{where}"
            )


def check_simulation(
    tflite: Path, quantized: tf_keras.Model, twins: Sequence[Twin], pixels: Pixels, preprocess: Preprocess
) -> Simulation:
    """Feed images (n, h, w, channels) to the file, to the fake-quantized network and to the network in integers.

    The file may give logits instead of probabilities, as `quantized` then does. Raises `StageError` if the file answers
    as neither of the two on `LEAST_AGREEMENT` of the images.
    """
    classifier, last = Classifier(open_runner(tflite)), twins[-1]
    scores = classifier.scores(classifier.raw(classifier.runner.prepare(pixels, preprocess)))
    answers = scores.argmax(axis=1)
    logits, wanted = _fake_quantized(quantized, last.step.site, preprocess.dequantize(pixels))
    steps = _in_integers(twins, pixels, preprocess)
    rows = np.arange(len(pixels))
    is_same = wanted.argmax(axis=1) == answers
    is_near = logits.max(axis=1) - logits[rows, answers] <= _ONE_STEP * last.units[0]
    simulation = Simulation(
        images=len(pixels),
        agreement=float(is_same.mean()),
        near_ties=float((~is_same & is_near).mean()),
        max_lsb=int(np.abs(np.rint(logits / last.units) - steps).max()),
        # Different logits may have the same code of probability.
        integers=float((scores[rows, steps.argmax(axis=1)] == scores.max(axis=1)).mean()),
    )
    alike = simulation.alike >= LEAST_AGREEMENT
    simulation.require_alike(parting=None if alike else parting_layer(tflite, twins, pixels[:_LOCATED_ON], preprocess))
    return simulation


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
    feeds = open_runner(tflite).prepare(pixels, preprocess)
    far: dict[str, list[float]] = {}
    for index in range(len(pixels)):
        source = interpreter.get_input_details()[0]
        interpreter.set_tensor(source["index"], feeds[index : index + 1].repeat(source["shape"][0], axis=0))
        interpreter.invoke()
        stored = [_steps(interpreter, tensors[op["outputs"][0]]) for op in ops]
        for layer, distances in _distances(twins, preprocess.steps(pixels[index : index + 1]), stored):
            far.setdefault(layer, []).append(float((distances > 1).mean()))
    return next((layer for layer, shares in far.items() if np.mean(shares) > _FAR_CODES), None)


def _distances(twins: Sequence[Twin], x: Any, stored: Sequence[Any]) -> list[tuple[str, NDArray[Any]]]:
    """How far each convolution's codes in the file, `stored` in its order, are from those that its own input gives."""
    by_layer = []
    left = iter(stored)

    def compute(twin: Twin, tensors: Sequence[Any]) -> Any:
        steps = np.asarray(twin.in_integers(*tensors))
        if twin.integers is None:
            return steps
        codes = next(left)
        by_layer.append((twin.layer, np.abs(codes.ravel() - steps.ravel())))
        return codes.reshape(steps.shape)

    outputs_of(twins, {entry_of(twins): x}, compute)
    return by_layer


def _steps(interpreter: Any, tensor: dict[str, Any]) -> NDArray[np.float32]:
    zero_point = tensor["quantization_parameters"]["zero_points"][0]
    steps: NDArray[np.float32] = interpreter.get_tensor(tensor["index"])[:1].astype(np.float32) - np.float32(zero_point)
    return steps


def _fake_quantized(
    quantized: tf_keras.Model, site: str, inputs: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The logits and the scores of the fake-quantized network, which may be the same, (n, classes) each."""
    probe = tf_keras.Model(quantized.input, [quantized.get_layer(PREFIX + site).output, quantized.output])
    logits, scores = probe.predict(inputs, batch_size=_BATCH, verbose=0)
    return logits.reshape(len(inputs), -1), scores


def _in_integers(twins: Sequence[Twin], pixels: Pixels, preprocess: Preprocess) -> NDArray[np.float32]:
    """The logits in steps of their codes, (n, classes)."""
    logits = []
    for start in range(0, len(pixels), _BATCH):
        x: Any = preprocess.steps(pixels[start : start + _BATCH])
        for _, steps in run_in_integers(twins, x):
            x = steps
        logits.append(np.asarray(x).reshape(len(x), -1))
    return np.concatenate(logits)
