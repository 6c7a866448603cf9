"""Turns what a run made, and the words on it, into what the user gets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mbexport import __version__
from mbexport.bundles.packing import bundle_files
from mbexport.golden_vectors import FOLDER, INDEX
from mbexport.label_file import LABELS, labels_file
from mbexport.manifest import MANIFEST, Input, Manifest, Recipe, Tool, input_at, recorded_name
from mbexport.plan import BuildPlan, Foreign, Origin
from mbexport.provenance.git import git_state
from mbexport.provenance.sbom import SBOM, sbom_json
from mbexport.provenance.statement import STATEMENT, statement_json
from mbexport.publishing import Delivery, Sign, report_files
from mbexport.reporting.model_card import CARD, model_card
from mbexport.sources import Sources
from mbexport.stage_runner import StageRunner

_CONTENTS: Final = "contents.json"


def ranges_name(stem: str) -> str:
    """The file with the ranges that calibration observed for the artifacts called `stem`."""
    return f"{stem}_ranges.json"


def manifest_of(recipe: Recipe, origin: Origin, sources: Sources, runner: StageRunner) -> Manifest:
    """What the manifest says of a run; its files and the verdict are not known yet."""
    if sources.has_files:  # maybe millions: what was read once is not read again
        record = runner.run(
            "hash-images",
            {"images": sources.fingerprints, "golden": sources.golden_fingerprint},
            (),
            lambda _: {_CONTENTS: json.dumps(sources.contents()).encode()},
        )
        contents = json.loads(record.files[_CONTENTS].read_bytes())
    else:
        contents = sources.contents()
    return Manifest(
        tool=Tool.here(), recipe=recipe, inputs=inputs_of(recipe, origin, contents), git=git_state(Path.cwd())
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told of a run that was judged: the content of report.json, the images that it shows as JPEGs by name."""

    report: bytes
    pictures: Mapping[str, bytes]


def delivery_of(
    plan: BuildPlan,
    made: Mapping[str, bytes],
    told: Told | None,
    *,
    labels: tuple[str, ...],
    manifest: Manifest | None,
    sign: Sign | None = None,
) -> Delivery:
    """All that the user gets: what stages `made`, by name, the bundles of it, and what proves or tells of that."""
    made = {**made, LABELS: labels_file(labels)}
    if plan.is_bundled and f"{FOLDER}/{INDEX}" in made:
        made |= bundle_files(made, labels, plan.bundling)
    report = json.loads(told.report) if told else None
    if manifest is not None and report is not None:
        manifest = replace(manifest, verdict=_verdict(report))
    words: dict[str, bytes] = {}
    if told is not None and report is not None:
        proof = [] if manifest is None else [MANIFEST, SBOM, STATEMENT]
        card = model_card(report, licence=plan.licence, files=[*made, *proof])
        words = {CARD: card.encode(), **report_files(told.report, told.pictures)}
    delivery = Delivery(made=made, told=words, manifest=manifest, sign=sign)
    if manifest is not None:
        bill = sbom_json(delivery.listing(), stem=plan.name, version=__version__, licence=plan.licence)
        delivery = replace(delivery, told={SBOM: bill, **words})
        delivery = replace(delivery, told={STATEMENT: statement_json(delivery.listing()), **delivery.told})
    return delivery


def _verdict(report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "passed": report["passed"],
        "strict": report["strict"],
        "gates": {gate["name"]: gate["verdict"] for gate in report["gates"]},
    }
