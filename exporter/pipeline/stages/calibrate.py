"""Calibrate: from a float network to the integers that artifacts hold, and to rounded weights alone."""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from mbexport.artifact import Precision
from mbexport.calibration.choices import Correction
from mbexport.fingerprint import path_hash, tensorflow_threads
from mbexport.pipeline.context import Context
from mbexport.pipeline.exports import needs
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stage_files import ARRANGEMENT, CALIBRATION, LARGEST, OBSERVED, RANGES, WEIGHTS
from mbexport.pipeline.stages.calibration_images import input_batches, some_pixels

if TYPE_CHECKING:
    from mbexport.calibration.calibrate import Calibrated

_BATCH: Final = 32
_WEIGHTS_ALONE: Final = (Correction.ROUNDING, Correction.BIAS)


def is_int8_needed(run: Context) -> bool:
    """Whether an int8 file has to be made."""
    return needs(run.plan, Precision.INT8)


def is_rounding_needed(run: Context) -> bool:
    """Whether a file with 8-bit weights and wider activations has to be made."""
    is_in_package = any(form.is_quantized for form in run.plan.packages)
    return is_in_package or needs(run.plan, Precision.DYNAMIC, Precision.INT16X8)


def image_options(run: Context) -> dict[str, Any]:
    """What decides which images are calibrated on."""
    plan = run.plan
    return {"images": run.images.fingerprints, "samples": plan.calibration_samples, "seed": plan.seed}


def calibration_options(run: Context) -> Options:
    """What decides ranges and integers."""
    plan = run.plan
    ranges = {"ranges": path_hash(plan.ranges)} if plan.ranges else {"observer": plan.observer}
    return {**image_options(run), **ranges, "corrections": plan.corrections, "threads": tensorflow_threads()}


def integer_options(run: Context) -> Options:
    """The same, and what decides which layers stay in float."""
    return {**calibration_options(run), "keep": run.plan.keep.texts}


def calibrate(run: Context) -> Files:
    """The folded network that integer artifacts hold, and the ranges of its activations and weights.

    Also the ranges as they were observed, and how it was done. Where the costliest layers are to stay in float, it is
    done twice: once to measure what each costs, and once with these in float, for which the others then make up.
    Raises `DataError` if the plan's file of ranges does not fit the network, `OptionError` if it has no layer that is
    to stay in float.
    """
    from mbexport.calibration.ranges.range_file import ranges_to_json
    from mbexport.models.weights import arrays_to_bytes, weights_to_bytes
    from mbexport.report.content import calibration_json, to_bytes

    plan, kept = run.plan, run.plan.keep.layers
    folded, made, samples = _calibrated(run, plan.corrections, kept=kept)
    if plan.keep.costliest:
        kept = (*kept, *_costliest(run, folded, made, kept))
        folded, made, samples = _calibrated(run, plan.corrections, kept=kept)
    folded = _as_decided(folded, made)
    told = calibration_json(
        observer=made.observed.observer,
        errors=made.observed.errors,
        corrections=run.plan.corrections,
        samples=samples,
        sites=made.corrected.sites,
        convolutions={name: kernel.size for name, (kernel, _) in made.corrected.weights.items()},
        in_float=kept,
    )
    return {
        WEIGHTS: weights_to_bytes(folded),
        RANGES: ranges_to_json(made.corrected.ranges).encode(),
        LARGEST: arrays_to_bytes(made.corrected.largest),
        OBSERVED: ranges_to_json(made.observed.ranges).encode(),
        CALIBRATION: to_bytes(told),
        ARRANGEMENT: arrays_to_bytes(made.corrected.arrangement.to_arrays()),
    }


def _as_decided(folded: Any, made: "Calibrated") -> Any:
    """The network `folded`, which may be changed, with the channels and weights that were decided."""
    from mbexport.models.widening import with_widths

    folded = with_widths(folded, {name: len(bias) for name, (_, bias) in made.corrected.weights.items()})
    for name, weights in made.corrected.weights.items():
        folded.get_layer(name).set_weights(weights)
    return folded


def _costliest(run: Context, folded: Any, made: "Calibrated", kept: Sequence[str]) -> list[str]:
    """The convolutions that most is gained by if they stay in float beside those `kept`, as many as the plan says."""
    from mbexport.calibration.examine.sensitivity import costliest, image_count, rounded, sensitivity
    from mbexport.calibration.examine.twins import twins_of
    from mbexport.calibration.qat.fake_quant import input_range
    from mbexport.models.folding import fold_batch_norm
    from mbexport.pipeline.networks import detector_measure, float_network

    facts, found, decided = run.float.facts, made.corrected, _as_decided(folded, made)
    preprocess = facts.preprocess
    twins = twins_of(
        fold_batch_norm(float_network(run.float), preprocess=preprocess),
        decided,
        entry=input_range(input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point),
        ranges=found.ranges,
        largest=found.largest,
        arrangement=found.arrangement,
        kept=kept,
    )
    pixels = some_pixels(run, at_most=image_count(facts.mult_adds, layers=len(twins)))
    costs = sensitivity(
        twins,
        input_batches(run, pixels),
        output=facts.output,
        detector=detector_measure(facts),
        in_float=rounded,
    )
    return costliest(costs, [name for name in found.largest if name not in kept], run.plan.keep.costliest)


def round_weights(run: Context) -> Files:
    """The folded network with 8-bit weights whose activations stay floats, or get more bits.

    Of the plan's corrections those that need no 8-bit activation. The first convolution's weights are left to be
    rounded to the nearest code: they were calibrated for the camera's bytes, and are used with normalized input.
    """
    import numpy as np

    from mbexport.models.folding import fold_batch_norm
    from mbexport.models.weights import arrays_to_bytes, weights_to_bytes
    from mbexport.pipeline.networks import float_network

    _, made, _ = _calibrated(run, [each for each in run.plan.corrections if each in _WEIGHTS_ALONE])
    found = made.corrected
    folded = fold_batch_norm(float_network(run.float))
    first, *others = found.weights
    for name in others:
        folded.get_layer(name).set_weights(found.weights[name])
    kernel, _ = folded.get_layer(first).get_weights()
    largest = {**found.largest, first: np.abs(kernel).max(axis=(0, 1, 2)).astype(np.float64)}
    return {WEIGHTS: weights_to_bytes(folded), LARGEST: arrays_to_bytes(largest)}


def _calibrated(
    run: Context, corrections: Sequence[Correction], *, kept: Collection[str] = ()
) -> "tuple[Any, Calibrated, int]":
    """The folded network as it was, what calibration decided, and on how many images.

    The convolutions `kept` stay in float.
    """
    from mbexport.calibration.calibrate import calibrate as decide
    from mbexport.calibration.integers.corrections import Corrections
    from mbexport.models.data.imageset import iter_pixels
    from mbexport.models.folding import fold_batch_norm, is_convolution
    from mbexport.models.training.stream import pixels_of
    from mbexport.models.training.train import make_deterministic
    from mbexport.pipeline.networks import calibration_images, detector_measure, float_network

    plan, preprocess = run.plan, run.float.facts.preprocess
    make_deterministic(plan.seed)
    folded = fold_batch_norm(float_network(run.float), preprocess=preprocess)
    plan.keep.require_in([layer.name for layer in folded.layers if is_convolution(layer)])
    chosen = calibration_images(plan, run.images.calibration)
    # They are gone through several times: what was decoded waits on the disk, if there is room for it.
    decoded = pixels_of(chosen, preprocess, run.session.pixels(chosen, preprocess))

    def inputs() -> Iterator[Any]:
        batches = iter_pixels(chosen, preprocess, batch=_BATCH, pixels_of=decoded)
        return (preprocess.dequantize(pixels) for pixels in batches)

    made = decide(
        folded,
        inputs,
        preprocess,
        observer=plan.observer,
        ranges=plan.ranges,
        corrections=Corrections.of(corrections),
        detector=detector_measure(run.float.facts),
        kept=kept,
        seed=plan.seed,
        on_step=run.progress.step,
    )
    return folded, made, len(chosen)
