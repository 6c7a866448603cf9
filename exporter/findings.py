"""Turns what was found out about an int8 network into values of report.json. Fractions are 0..1."""

from collections.abc import Iterable, Sequence
from typing import Any

from mbexport.calibration.health import TensorHealth
from mbexport.calibration.qat import Distilled
from mbexport.calibration.sensitivity import Answers, Sensitivity
from mbexport.models.facts import Output
from mbexport.models.judging import Judgement
from mbexport.simulation import Simulation

Json = dict[str, Any]


def simulation_json(found: Simulation) -> Json:
    """How alike the file and its simulation answer."""
    return {
        "images": found.images,
        "agreement": found.agreement,
        "near_ties": found.near_ties,
        "max_logit_lsb": found.max_lsb,
        "integer_agreement": found.integers,
    }


def health_json(tensors: Sequence[TensorHealth], *, images: int) -> Json:
    """Which channels behind a ReLU are never anything but zero: by site, where there are any."""
    return {
        "images": images,
        "dead_channels": sum(tensor.dead for tensor in tensors),
        "killed_channels": sum(tensor.killed for tensor in tensors),
        "dead": _counts((tensor.site, tensor.dead) for tensor in tensors),
        "killed": _counts((tensor.site, tensor.killed) for tensor in tensors),
    }


def sensitivity_json(found: Sensitivity, tensors: Sequence[TensorHealth], *, output: Output) -> Json:
    """What each layer costs, in the order of the network; `output` says what the divergence is."""
    return {
        "samples": found.samples,
        "images": "calibration",
        "measure": "Kullback-Leibler divergence" if output is Output.SOFTMAX else "mean squared error",
        **_answers(found.quantized),
        "layers": [
            {
                "layer": tensor.layer,
                "snr_db": tensor.snr_db,
                "without": _answers(found.without[tensor.layer]),
                "share": found.share(tensor.layer),
            }
            for tensor in tensors
        ],
    }


def distilled_json(found: Distilled, *, output: Output) -> Json:
    """How quantization-aware training went; `output` says what the divergence is. Steps are the optimizer's."""
    return {
        "steps": found.history[-1][0],
        "images": found.images,
        "held_out": found.held_out,
        "measure": "mean squared error" if output is Output.LOGITS else "Kullback-Leibler divergence",
        "start": _judgement(found.start),
        "best": _judgement(found.best),
        "kept": "trained" if found.is_kept else "calibrated",
        "history": [{"step": step, **_judgement(judged)} for step, judged in found.history],
        "unsettled": list(found.unsettled),
    }


def _judgement(found: Judgement) -> Json:
    return {"divergence": found.loss, "agreement": found.accuracy}


def _answers(answers: Answers) -> Json:
    return {"divergence": answers.divergence, "agreement": answers.agreement}


def _counts(found: Iterable[tuple[str, int]]) -> dict[str, int]:
    return {site: count for site, count in found if count}
