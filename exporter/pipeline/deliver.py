"""Collect all that the user gets of a run: artifacts, bundles, report, card, manifest and proof."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mbexport import __version__
from mbexport.artifact import LABELS, Precision, labels_file
from mbexport.bundles.make import bundle_files
from mbexport.bundles.registry import zip_name
from mbexport.formats.coreml.rows import package_name
from mbexport.formats.npu.chips import compiled_name
from mbexport.golden.vectors import FOLDER, INDEX
from mbexport.models.channels import CHANNELS
from mbexport.pipeline.context import Context
from mbexport.pipeline.exports import compiled, delivered, keras_name, needs
from mbexport.pipeline.plan import BuildPlan, Foreign, Origin
from mbexport.pipeline.publish import VERDICTS, Delivery, Sign, report_files
from mbexport.pipeline.stage_files import CONTENTS, OBSERVED, PICTURES
from mbexport.pipeline.stages.coreml import package_paths
from mbexport.pipeline.stages.npu import compiled_files
from mbexport.provenance.git import git_state
from mbexport.provenance.manifest import MANIFEST, SIGNATURE, Input, Manifest, Recipe, Tool, input_at, recorded_name
from mbexport.provenance.sbom import SBOM, sbom_json
from mbexport.provenance.statement import STATEMENT, statement_json
from mbexport.report.card.card import CARD, model_card
from mbexport.report.card.registry import tag_of
from mbexport.verification.pictures import pictures_from_json


def ranges_name(stem: str) -> str:
    """The file with the ranges that calibration observed for the artifacts called `stem`."""
    return f"{stem}_ranges.json"


def delivered_names(plan: BuildPlan, *, is_signed: bool) -> list[str]:
    """The names of the files and folders that a run delivers; those of folders end in /."""
    files = [each.name(plan.name) for each in delivered(plan)]
    files += [compiled_name(plan.name, chip, each.name) for each, chip in compiled(plan)]
    files += [f"{package_name(plan.name, form)}/" for form in plan.packages]
    files.append(LABELS)
    files += [keras_name(plan)] if plan.keras else []
    if needs(plan, Precision.INT8):
        files.append(ranges_name(plan.name))
    files += (*VERDICTS, CARD) if plan.is_judged else ()
    files += (MANIFEST, SBOM, STATEMENT) if plan.recipe is not None else ()
    files += (SIGNATURE,) if plan.recipe is not None and is_signed else ()
    files.append(f"{FOLDER}/")
    for platform in plan.bundled:
        files.append(f"{platform.name}/")
        if plan.bundling.is_zipped:
            files.append(zip_name(plan.name, platform.name))
    return files


def manifest_of(run: Context, recipe: Recipe) -> Manifest:
    """What the manifest says of a run; its files and the verdict are not known yet."""
    contents = run.read(CONTENTS) or run.images.contents()  # maybe millions of files: what was read once is kept
    return Manifest(
        tool=Tool.here(),
        recipe=recipe,
        inputs=inputs_of(recipe, run.plan.origin, contents),
        git=git_state(Path.cwd()),
    )


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


def delivery_of(run: Context, report: bytes | None, *, sign: Sign | None = None) -> Delivery:
    """All that the user gets: what stages made, the bundles of it, the report, and what proves or tells of all that.

    Without a `report` nothing was judged. `sign` gives the signature of the manifest.
    """
    plan = run.plan
    made = {**_made(run), LABELS: labels_file(run.labels)}
    bundled = plan.bundled if _is_for_apps(made.get(f"{FOLDER}/{INDEX}")) else ()
    if bundled:
        made |= bundle_files(made, run.labels, plan.bundling)
    manifest = manifest_of(run, plan.recipe) if plan.recipe else None
    told: dict[str, bytes] = {}
    if report is not None:
        content = json.loads(report)
        if manifest is not None:
            manifest = replace(manifest, verdict=_verdict(content))
        proof = [] if manifest is None else [MANIFEST, SBOM, STATEMENT]
        bundles = {each.title: each.summary for each in bundled}
        card = model_card(content, licence=plan.licence, files=[*made, *proof], bundles=bundles)
        told = {CARD: card.encode(), **report_files(report, pictures_from_json(_bytes(run, PICTURES)))}
    return _proved(Delivery(made=made, told=told, manifest=manifest, sign=sign), plan)


def _is_for_apps(golden: bytes | None) -> bool:
    """Whether there are golden vectors for bundles, of a network without alpha, which no bundle's app feeds."""
    return golden is not None and not CHANNELS[json.loads(golden)["preprocess"]["channels"]].has_alpha


def _made(run: Context) -> dict[str, bytes]:
    """What stages made for the user, by the names in the output folder."""
    files = {**run.artifacts, **compiled_files(run), **package_paths(run)}
    if (kept := run.result(keras_name(run.plan))) is not None:
        files[kept.name] = kept
    if (observed := run.result(OBSERVED)) is not None:
        files[ranges_name(run.plan.name)] = observed
    golden = run.records["golden"].files if "golden" in run.records else {}
    return {name: path.read_bytes() for name, path in {**files, **golden}.items()}


def _proved(delivery: Delivery, plan: BuildPlan) -> Delivery:
    """The same with a bill of materials and a statement of provenance, where there is a manifest."""
    if delivery.manifest is None:
        return delivery
    task = tag_of(plan.task)
    bill = sbom_json(delivery.listing(), stem=plan.name, version=__version__, task=task, licence=plan.licence)
    delivery = replace(delivery, told={SBOM: bill, **delivery.told})
    return replace(delivery, told={STATEMENT: statement_json(delivery.listing()), **delivery.told})


def _bytes(run: Context, name: str) -> bytes:
    path = run.result(name)
    assert path is not None
    return path.read_bytes()


def _verdict(report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "passed": report["passed"],
        "strict": report["strict"],
        "gates": {gate["name"]: gate["verdict"] for gate in report["gates"]},
    }
