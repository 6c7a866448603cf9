"""The JSON Schema of report.json, whose enumerations are those of the registries.

`report.schema.json` is the published file. Where it lists the values of a registry it gives them as examples,
so that it stays true when a format or a gate is added; `report_schema` makes enumerations of them.
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from mbexport.artifact import Precision
from mbexport.formats.registry import FORMATS
from mbexport.verification.gates import GATES

SCHEMA_FILE: Final = "report.schema.json"
_MARK: Final = "one of the registry of "  # begins the $comment of what `report_schema` completes


def registered() -> Mapping[str, tuple[str, ...]]:
    """The values of each registry, by the name that the schema's comments have for it."""
    return {
        "formats": tuple(each.name for each in FORMATS),
        "kernel paths": tuple(path for each in FORMATS for path in each.kernel_paths),
        "precisions": tuple(each.value for each in Precision),
        "gates": tuple(GATES),
    }


def report_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) as a value: the published file with its examples replaced by enumerations.

    Raises `KeyError` if the file names a registry that does not exist.
    """
    published = json.loads(files("mbexport.report").joinpath(SCHEMA_FILE).read_text("utf-8"))
    completed: dict[str, Any] = _completed(published, registered())
    return completed


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
