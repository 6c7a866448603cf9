"""Serialize measurements, gates and stage times as report.json (schema 1)."""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from mbexport.calibration.choices import Correction, Observer
from mbexport.calibration.integers.stored_site import StoredSite
from mbexport.models.channels import colour_of
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.verification.judge import GateResult, all_passed

if TYPE_CHECKING:
    from mbexport.calibration.examine.health import TensorHealth
    from mbexport.calibration.examine.sensitivity import Answers, Sensitivity
    from mbexport.calibration.qat.train import Distilled
    from mbexport.models.training.objective import Evaluation
    from mbexport.verification.simulation import Simulation

Json = dict[str, Any]
REPORT: Final = "report.json"
SCHEMA: Final = 1
_DIVERGING: Final = (Output.SOFTMAX, Output.DETECTIONS)  # kinds of scores whose distance is a divergence


def simulation_json(found: "Simulation") -> Json:
    """Serialize how alike the int8 file and its simulation answer."""
    return {
        "images": found.images,
        "agreement": found.agreement,
        "near_ties": found.near_ties,
        "max_logit_lsb": found.max_lsb,
        "integer_agreement": found.integers,
    }


def health_json(tensors: "Sequence[TensorHealth]", *, images: int) -> Json:
    """Serialize which channels behind a ReLU are zero on every image: counts by site, where there are any."""
    return {
        "images": images,
        "dead_channels": sum(tensor.dead for tensor in tensors),
        "killed_channels": sum(tensor.killed for tensor in tensors),
        "dead": _counts((tensor.site, tensor.dead) for tensor in tensors),
        "killed": _counts((tensor.site, tensor.killed) for tensor in tensors),
    }


def sensitivity_json(found: "Sensitivity", tensors: "Sequence[TensorHealth]", *, output: Output) -> Json:
    """Serialize what each layer costs, in the order of the network; `output` decides what the divergence is."""
    return {
        "samples": found.samples,
        "images": "calibration",
        "measure": "Kullback-Leibler divergence" if output in _DIVERGING else "mean squared error",
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


def distilled_json(found: "Distilled", *, output: Output) -> Json:
    """Serialize how quantization-aware training went; `output` decides what the divergence is.

    Steps are the optimizer's.
    """
    return {
        "steps": found.history[-1][0] if found.history else 0,
        "images": found.images,
        "held_out": found.held_out,
        "measure": "mean squared error" if output is Output.LOGITS else "Kullback-Leibler divergence",
        "start": _judgement(found.start),
        "best": _judgement(found.best),
        "kept": "trained" if found.is_kept else "calibrated",
        "history": [{"step": step, **_judgement(judged)} for step, judged in found.history],
        "unsettled": list(found.unsettled),
    }


def _judgement(found: "Evaluation") -> Json:
    return {"divergence": found.loss, "agreement": found.accuracy}


def _answers(answers: "Answers") -> Json:
    return {"divergence": answers.divergence, "agreement": answers.agreement}


def _counts(found: Iterable[tuple[str, int]]) -> dict[str, int]:
    return {site: count for site, count in found if count}


def report_json(
    measured: Json, gates: tuple[GateResult, ...], extra: Mapping[str, Any], *, strict: bool = False
) -> Json:
    """Put the report together: `extra` (model, data, stages), then what was measured, then the verdict."""
    return {
        "schema": SCHEMA,
        **extra,
        **measured,
        "gates": [gate_json(gate) for gate in gates],
        "strict": strict,
        "passed": all_passed(gates),
    }


def to_bytes(report: Json) -> bytes:
    """Serialize the report as UTF-8 JSON; NaN and infinity, which JSON does not have, become null."""
    text = json.dumps(_finite(report), indent=2, ensure_ascii=False)
    return f"{text}\n".encode(errors="backslashreplace")  # half of a UTF-16 pair becomes JSON's own escape


def stages_json(stages: Sequence[tuple[str, float, bool]]) -> list[Json]:
    """Serialize each stage: its name, the seconds it took when it ran, whether this run reused it."""
    return [{"name": name, "seconds": round(seconds, 1), "reused": reused} for name, seconds, reused in stages]


def preprocess_json(preprocess: Preprocess) -> Json:
    """Serialize how bytes are fed to the float network; one number where all channels have the same."""
    norm = preprocess.normalization
    mean, std = (values[0] if len(set(values)) == 1 else list(values) for values in (norm.mean, norm.std))
    return {
        "crop_fraction": preprocess.crop_fraction,
        "mean": mean,
        "std": std,
        "channel_order": colour_of(preprocess.channels, is_bgr=norm.is_bgr),
    }


def calibration_json(
    *,
    observer: Observer | None,
    errors: Mapping[Observer, float],
    corrections: Sequence[Correction],
    samples: int,
    sites: Mapping[str, StoredSite],
    convolutions: Mapping[str, int],
    in_float: Collection[str],
) -> Json:
    """Serialize how ranges were found and what was corrected; then each stored tensor in the network's order.

    Without an `observer` the ranges came from a file. `convolutions` are those of the network with the number of their
    weights; those `in_float` were not quantized.
    """
    return {
        "observer": observer.value if observer else None,
        "errors": {name.value: error for name, error in errors.items()},
        "corrections": [each.value for each in corrections],
        "samples": samples,
        "convolutions": len(convolutions),
        "in_float": [{"layer": name, "weights": size} for name, size in convolutions.items() if name in in_float],
        "sites": [{"site": name, **asdict(site)} for name, site in sites.items()],
    }


def gate_json(gate: GateResult) -> Json:
    """Serialize a judged gate."""
    return {
        "name": gate.name,
        "value": gate.value,
        "ci95": list(gate.ci95) if gate.ci95 else None,
        "limit": gate.limit,
        "direction": gate.direction,
        "verdict": gate.verdict.value,
        "passed": gate.passed,
        "meaning": gate.meaning,
        "advice": gate.advice,
        "subject": gate.subject,
        "reason": gate.reason,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
