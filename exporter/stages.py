"""Turns the result of one stage into the next: the heavy half of the pipeline, which loads TensorFlow.

Every function takes a plan and what earlier stages left on the disk, and gives the files of its own stage. None
reads anything that the process remembers from a stage before, so that a resumed run ends with the same bytes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.auto import Observed, observed
from mbexport.calibration.choices import Correction
from mbexport.calibration.corrections import Corrected, Corrections, correct
from mbexport.calibration.fake_quant import Largest, input_range, quantizable
from mbexport.calibration.qat import Duration, quantization_aware_training
from mbexport.calibration.range_file import Ranges, ranges_from_json, ranges_to_json, read_ranges
from mbexport.calibration.ranges import require_fit
from mbexport.calibration.samples import balanced_samples
from mbexport.findings import distilled_json
from mbexport.handoff import Float, Quantized, Rounded
from mbexport.models.data import ImageSet, iter_pixels
from mbexport.models.facts import Output
from mbexport.models.fit import OnStep, Session
from mbexport.models.folding import fold_batch_norm, without_probabilities
from mbexport.models.network import build_network, load_network
from mbexport.models.preprocess import NORMALIZATIONS, Pixels
from mbexport.models.train import make_deterministic
from mbexport.models.weights import arrays_from_bytes, arrays_to_bytes, load_weights, weights_to_bytes
from mbexport.origins import distillation_settings
from mbexport.plan import (
    ARRANGEMENT,
    CALIBRATION,
    LARGEST,
    MEASURED,
    OBSERVED,
    PICTURES,
    RANGES,
    TRAINING,
    TRIED,
    WEIGHTS,
    BuildPlan,
)
from mbexport.progress import Progress
from mbexport.report import calibration_json, to_bytes
from mbexport.runtimes.matching import match
from mbexport.runtimes.opening import open_runner
from mbexport.verdict.measure import Asked, measure_all
from mbexport.verdict.pictures import pictures_to_json
from mbexport.verdict.streaming import Baseline

_EVALUATION_BATCH: Final = 32
_TRIED_IMAGES: Final = 200
_FLOAT_NAME: Final = "Keras, float"
_WEIGHTS_ALONE: Final = (Correction.ROUNDING, Correction.BIAS)

Files = dict[str, bytes]


def calibrate(plan: BuildPlan, source: Float, images: ImageSet, *, on_step: OnStep) -> Files:
    """The folded network that integer artifacts hold, and the ranges of its activations and weights.

    Also the ranges as they were observed, and how it was done. Raises `DataError` if the plan's file of ranges does
    not fit the network.
    """
    made = _calibrated(plan, source, images, plan.corrections, on_step=on_step)
    for name, weights in made.found.weights.items():
        made.folded.get_layer(name).set_weights(weights)
    return {
        WEIGHTS: weights_to_bytes(made.folded),
        RANGES: ranges_to_json(made.found.ranges).encode(),
        LARGEST: arrays_to_bytes(made.found.largest),
        OBSERVED: ranges_to_json(made.seen.ranges).encode(),
        CALIBRATION: to_bytes(
            calibration_json(
                observer=made.seen.observer,
                errors=made.seen.errors,
                corrections=plan.corrections,
                samples=made.samples,
                sites=made.found.sites,
            )
        ),
        ARRANGEMENT: arrays_to_bytes(made.found.arrangement.to_arrays()),
    }


def rounded_weights(plan: BuildPlan, source: Float, images: ImageSet, *, on_step: OnStep) -> Files:
    """The folded network with 8-bit weights whose activations stay floats, or get more bits.

    Of the plan's corrections those that need no 8-bit activation. The first convolution's weights are left to be
    rounded to the nearest code: they were calibrated for the camera's bytes, and are used with normalized input.
    """
    wanted = [each for each in plan.corrections if each in _WEIGHTS_ALONE]
    found = _calibrated(plan, source, images, wanted, on_step=on_step).found
    folded = fold_batch_norm(float_network(source))
    first, *others = found.weights
    for name in others:
        folded.get_layer(name).set_weights(found.weights[name])
    kernel, _ = folded.get_layer(first).get_weights()
    largest = {**found.largest, first: np.abs(kernel).max(axis=(0, 1, 2)).astype(np.float64)}
    return {WEIGHTS: weights_to_bytes(folded), LARGEST: arrays_to_bytes(largest)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calibrated:
    """A folded network as it was, the ranges that were observed, and what was decided on so many images."""

    folded: tf_keras.Model
    seen: Observed
    found: Corrected
    samples: int


def _calibrated(
    plan: BuildPlan, source: Float, images: ImageSet, corrections: Sequence[Correction], *, on_step: OnStep
) -> _Calibrated:
    make_deterministic(plan.seed)
    preprocess = source.facts.preprocess
    folded = fold_batch_norm(float_network(source), preprocess=preprocess)
    chosen = chosen_images(plan, images)
    decoded = list(iter_pixels(chosen, preprocess, batch=_EVALUATION_BATCH))  # small beside a tensor of all images

    def inputs() -> Iterator[NDArray[np.float32]]:
        return (preprocess.dequantize(pixels) for pixels in decoded)

    seen = _observed(plan, folded, inputs())
    found = correct(
        folded,
        seen.ranges,
        inputs,
        entry=input_range(input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point),
        corrections=Corrections.of(corrections),
        seed=plan.seed,
        on_step=on_step,
    )
    return _Calibrated(folded=folded, seen=seen, found=found, samples=len(chosen))


def chosen_images(plan: BuildPlan, images: ImageSet) -> ImageSet:
    """Those of `images` that the plan calibrates on."""
    return images.subset(balanced_samples(images.labels, plan.calibration_samples, seed=plan.seed))


def _observed(plan: BuildPlan, folded: tf_keras.Model, batches: Iterator[NDArray[np.float32]]) -> Observed:
    """The ranges before any correction: those of the plan's file, or observed."""
    if plan.ranges is None:
        return observed(folded, batches, observer=plan.observer)
    ranges = read_ranges(plan.ranges)
    require_fit(folded, ranges, source=str(plan.ranges))
    return Observed(ranges=ranges, observer=None)


def quantization_training(
    plan: BuildPlan,
    start: Quantized,
    images: ImageSet,
    *,
    is_calibrated_on: bool,
    is_photos: bool,
    session: Session,
    on_step: OnStep,
) -> Files:
    """The folded network's weights after quantization-aware training, and how that went, if there was any.

    `is_calibrated_on` says whether calibration took its samples from these `images`.
    """
    make_deterministic(plan.seed)
    folded, facts = folded_network(start), start.source.facts
    found = quantization_aware_training(
        folded,
        images,
        facts.preprocess,
        distillation_settings(plan, is_photos=is_photos),
        ranges=ranges_of(start),
        largest=largest_of(start),
        teacher=fold_batch_norm(float_network(start.source), preprocess=facts.preprocess),
        output=facts.output,
        seen=balanced_samples(images.labels, plan.calibration_samples, seed=plan.seed) if is_calibrated_on else None,
        duration=Duration(epochs=plan.qat_epochs, steps=plan.qat_steps),
        session=session,
        on_step=on_step,
    )
    told = {TRAINING: to_bytes(distilled_json(found, output=facts.output))} if found else {}
    return {WEIGHTS: weights_to_bytes(folded), **told}


def measured_file(
    plan: BuildPlan,
    source: Float,
    artifacts: Sequence[Path],
    images: ImageSet,
    *,
    labels: Sequence[str],
    is_labelled: bool,
    progress: Progress,
) -> Files:
    """Every artifact against the float network, on the test set; each is fed what it says itself that it expects."""
    make_deterministic(plan.seed)
    facts, network = source.facts, asked_for(plan, float_network(source))

    def scores(pixels: Pixels) -> NDArray[np.float32]:
        given: NDArray[np.float32] = network.predict_on_batch(facts.preprocess.normalize(pixels))
        return given

    subjects = [
        match(
            open_runner(path),
            pixels=facts.preprocess,
            given=None,
            classes=facts.classes,
            background=False,
        )
        for path in artifacts
    ]
    found = measure_all(
        subjects,
        images,
        facts.preprocess,
        Baseline(name=_FLOAT_NAME, kind=Output.LOGITS if plan.logits else facts.output, scores=scores),
        Asked(labels=labels, threads=plan.threads, is_labelled=is_labelled, seed=plan.seed),
        progress=progress,
    )
    return {MEASURED: to_bytes(found.measured), PICTURES: pictures_to_json(found.pictures)}


def tried_file(plan: BuildPlan, source: Float, images: ImageSet) -> Files:
    """How often the float network is right with each convention of normalization, on a few images."""
    make_deterministic(plan.seed)
    facts, network = source.facts, float_network(source)
    chosen = images.subset(balanced_samples(images.labels, _TRIED_IMAGES, seed=plan.seed))
    pixels = np.concatenate(list(iter_pixels(chosen, facts.preprocess)))
    top1 = {}
    for name, normalization in NORMALIZATIONS.items():
        if facts.preprocess.channels == 1 and normalization.is_bgr:
            continue
        tried = replace(facts.preprocess, normalization=normalization)
        scores = network.predict(tried.normalize(pixels), batch_size=_EVALUATION_BATCH, verbose=0)
        top1[name] = float((scores.argmax(axis=1) == chosen.labels).mean())
    return {TRIED: json.dumps({"samples": len(chosen), "top1": top1}).encode()}


def float_network(source: Float) -> tf_keras.Model:
    return load_network(source.facts, source.weights)


def asked_for(plan: BuildPlan, network: tf_keras.Model) -> tf_keras.Model:
    """The network with the output that the plan's artifacts have."""
    return without_probabilities(network) if plan.logits else network


def folded_network(network: Quantized | Rounded) -> tf_keras.Model:
    folded = fold_batch_norm(build_network(network.source.facts))
    load_weights(folded, network.weights)
    return folded


def quantized_network(network: Quantized) -> tf_keras.Model:
    """The fake-quantized network, from which the int8 .tflite is converted."""
    preprocess = network.source.facts.preprocess
    return quantizable(
        folded_network(network),
        ranges_of(network),
        input_scale=preprocess.input_scale,
        input_zero_point=preprocess.input_zero_point,
        largest=largest_of(network),
    )


def largest_of(network: Quantized | Rounded) -> Largest:
    return arrays_from_bytes(network.largest.read_bytes(), source=str(network.largest))


def ranges_of(network: Quantized) -> Ranges:
    return ranges_from_json(network.ranges.read_text("utf-8"))
