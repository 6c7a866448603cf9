"""Turns the result of one stage into the next: the heavy half of the pipeline, which loads TensorFlow.

Every function takes a plan and what earlier stages left on the disk, and gives the files of its own stage. None
reads anything that the process remembers from a stage before, so that a resumed run ends with the same bytes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.artifact import Precision
from mbexport.calibration.fake_quant import quantizable
from mbexport.calibration.qat import quantization_aware_training
from mbexport.calibration.ranges import Ranges, observe, ranges_from_json, ranges_to_json
from mbexport.calibration.samples import balanced_samples
from mbexport.measure import gate_values, measure_all
from mbexport.models.augment import DIGITS_AUGMENTATION, PHOTO_AUGMENTATION
from mbexport.models.data import ImageSet, iter_pixels
from mbexport.models.folding import fold_batch_norm, is_convolution
from mbexport.models.mobilenet_v1 import build
from mbexport.models.preprocess import Pixels
from mbexport.models.train import OnStep, TrainSettings, make_deterministic, train
from mbexport.models.weights import load_weights, weights_to_bytes
from mbexport.plan import GATE_VALUES, MEASURED, RANGES, WEIGHTS, BuildPlan
from mbexport.progress import Progress
from mbexport.report import measured_json, to_bytes
from mbexport.tflite_proof import require_decided_integers
from mbexport.to_onnx import onnx_from_tflite
from mbexport.to_tflite import fp32_tflite, int8_tflite

_BATCH: Final = 32
_LEARNING_RATE: Final = 3e-3  # peak, Adam, from scratch
_QAT_LEARNING_RATE: Final = 1e-4  # weights only have to find the nearest grid point that works
_EVALUATION_BATCH: Final = 32

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """Where the quantizable network lies: its folded weights and the ranges of its activations."""

    weights: Path
    ranges: Path


def train_float(plan: BuildPlan, images: ImageSet, *, is_photos: bool, on_step: OnStep) -> Files:
    """The weights of the float network, trained from scratch."""
    settings = _settings(plan, epochs=plan.epochs, learning_rate=_LEARNING_RATE, is_photos=is_photos)
    return {WEIGHTS: weights_to_bytes(train(plan.spec, images, plan.preprocess, settings, on_step=on_step))}


def calibrate(plan: BuildPlan, weights: Path, images: ImageSet, *, on_step: OnStep) -> Files:
    """The folded network that integer artifacts start from, and the range of each of its activations."""
    make_deterministic(plan.seed)
    folded = fold_batch_norm(_float_network(plan, weights), input_shift=plan.preprocess.input_shift)
    chosen = images.subset(balanced_samples(images.labels, plan.calibration_samples, seed=plan.seed))

    def inputs() -> Iterator[NDArray[np.float32]]:
        done = 0
        for pixels in iter_pixels(chosen, plan.preprocess, batch=_EVALUATION_BATCH):
            yield plan.preprocess.dequantize(pixels)
            done += len(pixels)
            on_step(done, len(chosen), "images")

    ranges = observe(folded, inputs())
    return {WEIGHTS: weights_to_bytes(folded), RANGES: ranges_to_json(ranges).encode()}


def quantization_training(
    plan: BuildPlan, start: Quantized, images: ImageSet, *, is_photos: bool, on_step: OnStep
) -> Files:
    """The folded network's weights after quantization-aware training."""
    make_deterministic(plan.seed)
    folded = _folded_network(plan, start.weights)
    settings = _settings(plan, epochs=plan.qat_epochs, learning_rate=_QAT_LEARNING_RATE, is_photos=is_photos)
    quantization_aware_training(folded, _ranges(start), images, plan.preprocess, settings, on_step=on_step)
    return {WEIGHTS: weights_to_bytes(folded)}


def fp32_tflite_file(plan: BuildPlan, weights: Path, name: str) -> Files:
    """The fp32 .tflite, called `name`."""
    make_deterministic(plan.seed)
    return {name: fp32_tflite(fold_batch_norm(_float_network(plan, weights)))}


def int8_tflite_file(plan: BuildPlan, network: Quantized, name: str) -> Files:
    """The int8 .tflite, called `name`."""
    make_deterministic(plan.seed)
    folded, ranges = _folded_network(plan, network.weights), _ranges(network)
    quantized = quantizable(
        folded,
        ranges,
        input_scale=plan.preprocess.input_scale,
        input_zero_point=plan.preprocess.input_zero_point,
    )
    content = int8_tflite(quantized, plan.io)
    kernels = {layer.name: layer.get_weights()[0] for layer in folded.layers if is_convolution(layer)}
    require_decided_integers(content, kernels, ranges)
    return {name: content}


def onnx_file(tflite: Path, precision: Precision, name: str) -> Files:
    """The .onnx of a .tflite, called `name`."""
    return {name: onnx_from_tflite(tflite.read_bytes(), precision)}


def measured_file(
    plan: BuildPlan, weights: Path, artifacts: Sequence[Path], images: ImageSet, progress: Progress
) -> Files:
    """Every artifact against the float network, on the test set."""
    make_deterministic(plan.seed)
    network = _float_network(plan, weights)

    def reference(pixels: Pixels) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = network.predict_on_batch(plan.preprocess.normalize(pixels))
        return scores

    found = measure_all(
        artifacts,
        images,
        plan.preprocess,
        reference=reference,
        classes=plan.spec.classes,
        threads=plan.threads,
        progress=progress,
    )
    return {MEASURED: to_bytes(measured_json(found)), GATE_VALUES: json.dumps(gate_values(found)).encode()}


def _float_network(plan: BuildPlan, weights: Path) -> tf_keras.Model:
    model = build(plan.spec)
    load_weights(model, weights)
    return model


def _folded_network(plan: BuildPlan, weights: Path) -> tf_keras.Model:
    folded = fold_batch_norm(build(plan.spec))
    load_weights(folded, weights)
    return folded


def _ranges(network: Quantized) -> Ranges:
    return ranges_from_json(network.ranges.read_text("utf-8"))


def _settings(plan: BuildPlan, *, epochs: int, learning_rate: float, is_photos: bool) -> TrainSettings:
    return TrainSettings(
        epochs=epochs,
        batch=_BATCH,
        learning_rate=learning_rate,
        seed=plan.seed,
        augmentation=PHOTO_AUGMENTATION if is_photos else DIGITS_AUGMENTATION,
    )
