"""The JSON Schemas of report.json and sweep.json, whose enumerations are those of the registries.

`report.schema.json`, `detection.schema.json` and `sweep.schema.json` are the published files. Where they list the
values of a registry they give them as examples, so that they stay true when a format or a gate is added; the functions
make enumerations of them.

A detector's report has a `task`, a classifier's has none, and each has a file of its own. One file for both would have
to say of every number for which task it is required, so that what is wrong with a report is told in alternatives; and
whoever reads classifiers' reports today would read another file. What both share, detectors refer to.
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from mbexport.artifact import Precision
from mbexport.formats.registry import FORMATS
from mbexport.verification.detection.gates import DETECTION_GATES
from mbexport.verification.gates import GATES

SCHEMA_FILE: Final = "report.schema.json"
DETECTION_SCHEMA_FILE: Final = "detection.schema.json"
SWEEP_SCHEMA_FILE: Final = "sweep.schema.json"
_MARK: Final = "one of the registry of "  # begins the $comment of what `report_schema` completes


def registered() -> Mapping[str, tuple[str, ...]]:
    """The values of each registry, by the name that the schema's comments have for it."""
    return {
        "formats": tuple(each.name for each in FORMATS),
        "kernel paths": tuple(name for each in FORMATS for row in each.paths for name in row.names),
        "precisions": tuple(each.value for each in Precision),
        "gates": tuple(GATES),
    }


def report_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) as a value: the published file with its examples replaced by enumerations.

    Raises `KeyError` if the file names a registry that does not exist.
    """
    completed: dict[str, Any] = _completed(json.loads(_published(SCHEMA_FILE)), registered())
    return completed


def detection_schema() -> dict[str, Any]:
    """The schema of a detector's report.json, complete in itself: what is shared is among its own.

    What the report's schema says of verdicts as a whole stands there as `verdicts`.
    """
    values = {**registered(), "gates": tuple(DETECTION_GATES)}
    rules = _published(DETECTION_SCHEMA_FILE).replace(f'"{SCHEMA_FILE}#/allOf/', '"#/$defs/verdicts/allOf/')
    detection, shared = json.loads(rules.replace(f'"{SCHEMA_FILE}#/', '"#/')), json.loads(_published(SCHEMA_FILE))
    definitions = {**shared["$defs"], "verdicts": {"allOf": shared["allOf"]}, **detection["$defs"]}
    completed: dict[str, Any] = _completed({**detection, "$defs": definitions}, values)
    return completed


def sweep_schema() -> dict[str, Any]:
    """The schema of sweep.json, complete in itself: what it refers to in the report's schema is among its own."""
    sweep = json.loads(_published(SWEEP_SCHEMA_FILE).replace(f'"{SCHEMA_FILE}#/', '"#/'))
    return {**sweep, "$defs": {**report_schema()["$defs"], **sweep["$defs"]}}


def _published(name: str) -> str:
    return files("mbexport.report").joinpath(name).read_text("utf-8")


def _completed(node: Any, values: Mapping[str, tuple[str, ...]]) -> Any:
    if isinstance(node, list):
        return [_completed(each, values) for each in node]
    if not isinstance(node, dict):
        return node
    completed = {key: _completed(each, values) for key, each in node.items()}
    comment = node.get("$comment")
    if isinstance(comment, str) and comment.startswith(_MARK):
        completed.pop("examples", None)
        completed["enum"] = list(values[comment.removeprefix(_MARK)])
    return completed
