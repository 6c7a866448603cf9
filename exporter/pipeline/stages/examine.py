"""Examine an int8 network: is the file what was simulated, which channels died, what does each layer cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mbexport.artifact import Precision
from mbexport.formats.tflite.format import TFLITE
from mbexport.pipeline.context import Context
from mbexport.pipeline.exports import Export
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stage_files import HEALTH, SENSITIVITY, SIMULATION
from mbexport.pipeline.stages.calibrate import image_options, is_int8_needed
from mbexport.pipeline.stages.calibration_images import input_batches, some_pixels

if TYPE_CHECKING:
    from mbexport.calibration.examine.health import TensorHealth
    from mbexport.calibration.examine.twins import Twin
    from mbexport.models.preprocess import Pixels
    from mbexport.verification.simulation import Simulation

_SIMULATED_IMAGES: Final = 100  # each goes through four networks: at alpha 0.75 and 224 px, 100 take about 15 s


def is_simulated(run: Context) -> bool:
    """Whether there is an int8 file to compare with its simulation."""
    return run.plan.is_judged and is_int8_needed(run)


def is_sensitivity_wanted(run: Context) -> bool:
    """Whether the cost of each layer is to be measured."""
    return is_simulated(run) and run.plan.sensitivity


def simulation_options(run: Context) -> Options:
    """What decides the images and the output that are compared."""
    return {**image_options(run), "logits": run.plan.logits}


def simulate(run: Context) -> Files:
    """How alike the file and its simulation answer, and the health of the network's tensors.

    Raises `StageError` where they answer too differently.
    """
    from mbexport.models.training.train import make_deterministic
    from mbexport.report.content import health_json, simulation_json, to_bytes

    make_deterministic(run.plan.seed)
    twins, pixels = _twins(run), some_pixels(run, at_most=_SIMULATED_IMAGES)
    found = _compared_with_simulation(run, twins, pixels)
    return {
        SIMULATION: to_bytes(simulation_json(found)),
        HEALTH: to_bytes(health_json(_health(run, twins, pixels), images=len(pixels))),
    }


def _compared_with_simulation(run: Context, twins: "Sequence[Twin]", pixels: "Pixels") -> "Simulation":
    """How alike the int8 .tflite and its simulation answer; of a detector before any box is left out."""
    from mbexport.formats.matching import match_detector
    from mbexport.formats.registry import open_runner
    from mbexport.pipeline.networks import detector_measure, kept_of, quantized_network, with_wanted_output
    from mbexport.verification.classification.simulation import check_simulation
    from mbexport.verification.detection.simulation import check_heads
    from mbexport.verification.detection.tails import heads_of

    facts, file = run.float.facts, run.artifact(Export(format=TFLITE, precision=Precision.INT8))
    simulation = with_wanted_output(run.plan, quantized_network(run.quantized, kept=kept_of(run.quantized)))
    detector = detector_measure(facts)
    if detector is None:
        return check_simulation(file, simulation, twins, pixels, facts.preprocess)
    heads = heads_of(match_detector(open_runner(file), pixels=facts.preprocess, given=None), pixels)
    return check_heads(file, heads, simulation, twins, detector=detector, pixels=pixels, preprocess=facts.preprocess)


def measure_sensitivity(run: Context) -> Files:
    """What each layer's rounding costs the answers."""
    from mbexport.calibration.examine.sensitivity import image_count, sensitivity
    from mbexport.models.training.train import make_deterministic
    from mbexport.pipeline.networks import detector_measure
    from mbexport.report.content import sensitivity_json, to_bytes

    make_deterministic(run.plan.seed)
    facts, twins = run.float.facts, _twins(run)
    pixels = some_pixels(run, at_most=image_count(facts.mult_adds, layers=len(twins)))
    found = sensitivity(twins, input_batches(run, pixels), output=facts.output, detector=detector_measure(facts))
    return {SENSITIVITY: to_bytes(sensitivity_json(found, _health(run, twins, pixels), output=facts.output))}


def _health(run: Context, twins: "Sequence[Twin]", pixels: "Pixels") -> "list[TensorHealth]":
    from mbexport.calibration.examine.health import measure_health

    return measure_health(twins, input_batches(run, pixels))


def _twins(run: Context) -> "list[Twin]":
    """The steps of the float network and of the one that became the file."""
    from mbexport.calibration.examine.twins import twins_of
    from mbexport.calibration.integers.arrangement import Arrangement
    from mbexport.calibration.qat.fake_quant import input_range
    from mbexport.models.folding import fold_batch_norm
    from mbexport.models.weights import arrays_from_bytes
    from mbexport.pipeline.networks import float_network, folded_network, kept_of, largest_of, ranges_of

    network, preprocess = run.quantized, run.float.facts.preprocess
    stored = arrays_from_bytes(network.arrangement.read_bytes(), source=str(network.arrangement))
    return twins_of(
        fold_batch_norm(float_network(network.source), preprocess=preprocess),
        folded_network(network),
        entry=input_range(input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point),
        ranges=ranges_of(network),
        largest=largest_of(network),
        arrangement=Arrangement.from_arrays(stored),
        kept=kept_of(network),
    )
