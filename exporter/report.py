"""Turns measurements, gates and stage times into the values of report.json (schema 1) and into its bytes."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from mbexport.calibration.choices import Correction, Observer
from mbexport.calibration.sites import StoredSite
from mbexport.models.preprocess import Preprocess
from mbexport.verdict.gates import Gate, all_passed

REPORT: Final = "report.json"
SCHEMA: Final = 1
Json = dict[str, Any]


def report_json(measured: Json, gates: tuple[Gate, ...], extra: Mapping[str, Any], *, strict: bool = False) -> Json:
    """The whole report: `extra` (model, data, stages) first, then what was measured, then the verdict."""
    return {
        "schema": SCHEMA,
        **extra,
        **measured,
        "gates": [_gate(gate) for gate in gates],
        "strict": strict,
        "passed": all_passed(gates),
    }


def to_bytes(report: Json) -> bytes:
    """The report as UTF-8 JSON; what is not a number (NaN, infinity) becomes null, as JSON has no word for it."""
    return (json.dumps(_finite(report), indent=2, ensure_ascii=False) + "\n").encode()


def stages_json(stages: Sequence[tuple[str, float, bool]]) -> list[Json]:
    """One entry a stage: its name, the seconds it took when it ran, whether this run reused it."""
    return [{"name": name, "seconds": round(seconds, 1), "reused": reused} for name, seconds, reused in stages]


def preprocess_json(preprocess: Preprocess) -> Json:
    """What an image goes through before a float network sees it; one number where all channels have the same."""
    norm = preprocess.normalization
    mean, std = (values[0] if len(set(values)) == 1 else list(values) for values in (norm.mean, norm.std))
    return {
        "crop_fraction": preprocess.crop_fraction,
        "mean": mean,
        "std": std,
        "channel_order": "BGR" if norm.is_bgr else "RGB",
    }


def unreadable_json(bad: Sequence[tuple[str, str]]) -> list[Json]:
    """The images that were left out, and why."""
    return [{"file": name, "reason": reason} for name, reason in bad]


def calibration_json(
    *,
    observer: Observer | None,
    errors: Mapping[Observer, float],
    corrections: Sequence[Correction],
    samples: int,
    sites: Mapping[str, StoredSite],
) -> Json:
    """How the ranges were found and what was corrected; then each stored tensor in the order of the network.

    Without an `observer` the ranges came from a file.
    """
    return {
        "observer": observer.value if observer else None,
        "errors": {name.value: error for name, error in errors.items()},
        "corrections": [each.value for each in corrections],
        "samples": samples,
        "sites": [{"site": name, **asdict(site)} for name, site in sites.items()],
    }


def _gate(gate: Gate) -> Json:
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
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
