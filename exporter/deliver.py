"""Turns finished stages into what the user gets: the files in the output folder, and the report's words on the run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mbexport import __version__
from mbexport.fingerprint import library_versions, path_hash
from mbexport.manifest import MANIFEST, FileFacts, Input, Manifest, Recipe, Tool, input_at, recorded_name
from mbexport.models.data import Data
from mbexport.models.facts import Facts
from mbexport.models.spec import REFERENCE_RESOLUTION_PX
from mbexport.plan import BuildPlan, Foreign, Origin, Trained
from mbexport.report import preprocess_json, stages_json, unreadable_json
from mbexport.reporting.files import JUNIT, PAGE, rendered
from mbexport.sources import Sources
from mbexport.stage_runner import StageRunner
from mbexport.workdir import Workdir

REPORT: Final = "report.json"
LABELS: Final = "labels.txt"
_CONTENTS: Final = "contents.json"
_PUBLISHED: Final = ".mbexport/published.json"


def ranges_name(stem: str) -> str:
    """The file with the ranges that calibration observed for the artifacts called `stem`."""
    return f"{stem}_ranges.json"


def manifest_of(recipe: Recipe, origin: Origin, sources: Sources, runner: StageRunner) -> Manifest:
    """What the manifest says of a run; `publish` knows its files."""
    if sources.has_files:  # maybe millions: what was read once is not read again
        record = runner.run(
            "hash-images",
            {"images": sources.fingerprints},
            (),
            lambda _: {_CONTENTS: json.dumps(sources.contents()).encode()},
        )
        contents = json.loads(record.files[_CONTENTS].read_bytes())
    else:
        contents = sources.contents()
    return Manifest(tool=Tool.here(), recipe=recipe, inputs=inputs_of(recipe, origin, contents))


def inputs_of(recipe: Recipe, origin: Origin, contents: Mapping[str, str]) -> dict[str, Input]:
    """What was read, by the option that named it; `contents` are the hashes of data sets.

    Raises `DataError` for a file that cannot be read.
    """
    inputs = {}
    for option in recipe.inputs:
        value = str(recipe.options[option])
        if option in contents:
            inputs[option] = Input(name=recorded_name(value), is_file=False, digest=contents[option])
            continue
        path = Path(value)
        if option == "weights" and not isinstance(origin, Foreign):  # what they name need not be a path
            if origin.weights is None:
                continue
            path = origin.weights
        inputs[option] = input_at(value, path)
    return inputs


def publish(
    workdir: Workdir,
    class_names: Sequence[str],
    made: Mapping[str, Path],
    report: bytes | None,
    *,
    pictures: Mapping[str, bytes] | None = None,
    manifest: Manifest | None = None,
) -> None:
    """Puts the deliverables into the output folder, the report last; what an earlier run left over goes first.

    `made` are those that lie in files, by the names that they get; `pictures` are of images that the report shows.
    A `manifest` lists all but the report and what is rendered of it, whose bytes do not repeat.
    """
    files = {name: path.read_bytes() for name, path in made.items()}
    files[LABELS] = "".join(f"{name}\n" for name in class_names).encode()
    if manifest is not None:
        facts = {name: FileFacts.of(content) for name, content in files.items()}
        files[MANIFEST] = replace(manifest, files=facts).to_bytes()
    index = workdir.root / _PUBLISHED
    earlier = json.loads(index.read_bytes()) if index.exists() else []
    for name in (REPORT, PAGE, JUNIT):
        workdir.remove(name)
    for name in earlier:
        if name not in files or name == MANIFEST:  # which tells of other files than those that come now
            workdir.remove(name)
    workdir.write(_PUBLISHED, json.dumps(sorted(files)).encode())
    for name, content in files.items():
        path = workdir.root / name
        if not path.is_file() or path.read_bytes() != content:
            workdir.write(name, content)
    if report is not None:
        write_report(workdir, report, pictures or {})


def write_report(workdir: Workdir, report: bytes, pictures: Mapping[str, bytes]) -> None:
    """Writes the report, and before it the files that show the same."""
    for name, content in rendered(json.loads(report), pictures).items():
        workdir.write(name, content)
    workdir.write(REPORT, report)


def about(
    plan: BuildPlan, facts: Facts, data: Data | None, sources: Sources, stages: Sequence[tuple[str, float, bool]]
) -> dict[str, Any]:
    """The report's part on the run itself: tool, model, data, options, and each stage with its seconds."""
    preprocess = facts.preprocess
    sifted = sources.sifted
    return {
        "tool": {"name": "mbexport", "version": __version__, "libraries": library_versions()},
        "model": {
            "name": plan.name,
            **_origin(plan.origin),
            "alpha": facts.alpha,
            "resolution_px": preprocess.resolution_px,
            "rho": preprocess.resolution_px / REFERENCE_RESOLUTION_PX,
            "channels": preprocess.channels,
            "classes": facts.classes,
            "output": facts.output.value,
            "mult_adds": facts.mult_adds,
            "parameters": facts.parameters,
        },
        "data": {
            "name": data.name if data else None,
            "fingerprint": sources.fingerprints[0] or None,
            "calibration_fingerprint": sources.fingerprints[1],
            **preprocess_json(preprocess),
            "images": sifted.checked - len(sifted.bad) if sifted else None,
            "best_epoch_chosen_on_test": isinstance(plan.origin, Trained)
            and plan.origin.weights is not None
            and sources.validation is not None,
            "unreadable": unreadable_json(sifted.bad if sifted else ()),
        },
        "options": {
            "epochs": plan.origin.epochs if isinstance(plan.origin, Trained) else None,
            "qat_epochs": plan.qat_epochs if plan.qat_steps is None else None,
            "qat_steps": plan.qat_steps,
            "calibration_samples": plan.calibration_samples,
            "observer": None if plan.ranges else plan.observer.value,
            "ranges": plan.ranges.name if plan.ranges else None,
            "corrections": [each.value for each in plan.corrections],
            "max_bad": plan.max_bad,
            "io": plan.io.value,
            "seed": plan.seed,
            "threads": plan.threads,
        },
        "stages": stages_json(stages),
    }


def _origin(origin: Origin) -> dict[str, Any]:
    """Where the float network came from."""
    spec, file = (None, origin.model) if isinstance(origin, Foreign) else (origin.spec, origin.weights)
    return {
        "conv": spec.conv.value if spec else None,
        "shallow": spec.shallow if spec else None,
        "trained_here": isinstance(origin, Trained),
        "source": {"file": file.name, "sha256": path_hash(file)} if file else None,
    }
