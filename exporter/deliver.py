"""Turns finished stages into what the user gets: the files in the output folder, and the report's words on the run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mbexport import __version__
from mbexport.fingerprint import library_versions
from mbexport.models.cost import cost
from mbexport.models.data import Data
from mbexport.plan import BuildPlan
from mbexport.report import stages_json
from mbexport.workdir import Workdir

REPORT: Final = "report.json"
LABELS: Final = "labels.txt"
_PUBLISHED: Final = ".mbexport/published.json"


def publish(workdir: Workdir, data: Data, artifacts: Mapping[str, Path], report: bytes) -> None:
    """Puts the deliverables into the output folder, the report last; what an earlier run left over goes first."""
    files = {name: path.read_bytes() for name, path in artifacts.items()}
    files[LABELS] = "".join(f"{name}\n" for name in data.class_names).encode()
    index = workdir.root / _PUBLISHED
    earlier = json.loads(index.read_bytes()) if index.exists() else []
    workdir.remove(REPORT)
    for name in earlier:
        if name not in files:
            workdir.remove(name)
    workdir.write(_PUBLISHED, json.dumps(sorted(files)).encode())
    for name, content in files.items():
        path = workdir.root / name
        if not path.is_file() or path.read_bytes() != content:
            workdir.write(name, content)
    workdir.write(REPORT, report)


def about(plan: BuildPlan, data: Data, stages: Sequence[tuple[str, float, bool]]) -> dict[str, Any]:
    """The report's part on the run itself: tool, model, data, options, and each stage with its seconds."""
    spec = plan.spec
    total = cost(spec)
    return {
        "tool": {"name": "mbexport", "version": __version__, "libraries": library_versions()},
        "model": {
            "name": spec.stem_name,
            "alpha": spec.alpha,
            "resolution_px": spec.resolution_px,
            "rho": spec.rho,
            "classes": spec.classes,
            "mult_adds": total.mult_adds,
            "parameters": total.parameters,
        },
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "crop_fraction": plan.preprocess.crop_fraction,
            "mean": plan.preprocess.mean,
            "std": plan.preprocess.std,
        },
        "options": {
            "epochs": plan.epochs,
            "qat_epochs": plan.qat_epochs,
            "calibration_samples": plan.calibration_samples,
            "io": plan.io.value,
            "seed": plan.seed,
            "threads": plan.threads,
        },
        "stages": stages_json(stages),
    }
