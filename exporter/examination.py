"""Turns an int8 .tflite and the networks behind it into findings: is it what was simulated, and what does it lose."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.arrangement import Arrangement
from mbexport.calibration.fake_quant import input_range
from mbexport.calibration.health import TensorHealth, tensors_health
from mbexport.calibration.samples import balanced_samples
from mbexport.calibration.sensitivity import images_for, sensitivity
from mbexport.calibration.twins import Twin, twins_of
from mbexport.findings import health_json, sensitivity_json, simulation_json
from mbexport.handoff import Quantized
from mbexport.models.data import ImageSet, iter_pixels
from mbexport.models.folding import fold_batch_norm
from mbexport.models.preprocess import Pixels
from mbexport.models.train import make_deterministic
from mbexport.models.weights import arrays_from_bytes
from mbexport.plan import HEALTH, SENSITIVITY, SIMULATION, BuildPlan
from mbexport.report import to_bytes
from mbexport.simulation import simulated
from mbexport.stages import Files, asked_for, float_network, folded_network, largest_of, quantized_network, ranges_of

_SIMULATED_IMAGES: Final = 100  # each goes through four networks: at alpha 0.75 and 224 px, 100 take about 15 s
_BATCH: Final = 16


def simulation_file(plan: BuildPlan, network: Quantized, tflite: Path, images: ImageSet) -> Files:
    """How alike the file and its simulation answer, and the health of the network's tensors."""
    make_deterministic(plan.seed)
    preprocess, twins = network.source.facts.preprocess, _twins(network)
    pixels = _chosen(plan, network, images, at_most=_SIMULATED_IMAGES)
    found = simulated(tflite, asked_for(plan, quantized_network(network)), twins, pixels, preprocess)
    return {
        SIMULATION: to_bytes(simulation_json(found)),
        HEALTH: to_bytes(health_json(_health(network, twins, pixels), images=len(pixels))),
    }


def sensitivity_file(plan: BuildPlan, network: Quantized, images: ImageSet) -> Files:
    """What each layer's rounding costs the answers."""
    make_deterministic(plan.seed)
    facts, twins = network.source.facts, _twins(network)
    pixels = _chosen(plan, network, images, at_most=images_for(facts.mult_adds, layers=len(twins)))
    found = sensitivity(twins, _batches(network, pixels), output=facts.output)
    return {SENSITIVITY: to_bytes(sensitivity_json(found, _health(network, twins, pixels), output=facts.output))}


def _health(network: Quantized, twins: Sequence[Twin], pixels: Pixels) -> list[TensorHealth]:
    return tensors_health(twins, _batches(network, pixels))


def _chosen(plan: BuildPlan, network: Quantized, images: ImageSet, *, at_most: int) -> Pixels:
    """Some of the images that were calibrated on."""
    count = min(at_most, plan.calibration_samples)
    chosen = images.subset(balanced_samples(images.labels, count, seed=plan.seed))
    return np.concatenate(list(iter_pixels(chosen, network.source.facts.preprocess)))


def _batches(network: Quantized, pixels: Pixels) -> list[NDArray[np.float32]]:
    steps = network.source.facts.preprocess.steps(pixels)
    return [steps[start : start + _BATCH] for start in range(0, len(steps), _BATCH)]


def _twins(network: Quantized) -> list[Twin]:
    """The steps of the float network and of the one that became the file."""
    preprocess = network.source.facts.preprocess
    return twins_of(
        fold_batch_norm(float_network(network.source), preprocess=preprocess),
        folded_network(network),
        entry=input_range(input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point),
        ranges=ranges_of(network),
        largest=largest_of(network),
        arrangement=Arrangement.from_arrays(
            arrays_from_bytes(network.arrangement.read_bytes(), source=str(network.arrangement))
        ),
    )
