"""The form of golden.json: what its reader checks before anything in it becomes code or a path of an app."""

from typing import Any, Final

from mbexport.artifact import Layout, Precision
from mbexport.documents import Form
from mbexport.formats.registry import EXPORTED
from mbexport.models.channels import CHANNELS
from mbexport.models.facts import Output
from mbexport.models.preprocess import PREPROCESS_SCHEMA

SCHEMA: Final = 1
# One name without a folder, and names below the folder of golden.json, in any of which no character breaks a line.
FILE: Final = r"^(?!\.{1,2}$)[^/\\\x00-\x1f\x7f]+$"
PATH: Final = r"^(?!/)(?!(.*/)?\.{1,2}(/|$))[^\\\x00-\x1f\x7f]+$"
SHA256: Final = "^[0-9a-f]{64}$"
TEXT: Final = {"type": "string"}
COUNT: Final = {"type": "integer", "minimum": 0}
SIZE: Final = {"type": "integer", "minimum": 1, "maximum": 1 << 20}
NUMBERS: Final = {"type": "array", "items": {"type": "number"}}
TENSOR: Final = {
    "name": TEXT,
    "dtype": {"enum": ["float32", "uint8", "int8", "int16"]},
    "shape": {"type": "array", "minItems": 1, "items": SIZE},
}


def record(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with these properties, all of them and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def file_properties() -> dict[str, Any]:
    """What is said of each artifact, whatever it answers: the file and its input."""
    source = record(
        {
            **TENSOR,
            "layout": {"enum": list(Layout)},
            "channel_order": {"enum": [*(kind.colour for kind in CHANNELS.values()), "BGR"]},
            "mean": NUMBERS,
            "std": NUMBERS,
        }
    )
    return {
        "file": {"type": "string", "pattern": FILE},
        "sha256": {"type": "string", "pattern": SHA256},
        "format": {"enum": [each.name for each in EXPORTED]},
        "precision": {"enum": list(Precision)},
        "input": source,
    }


def photo_properties() -> dict[str, Any]:
    """What is said of each image, whatever is answered to it."""
    path = {"type": "string", "pattern": PATH}
    return {
        "name": {"type": "string", "pattern": FILE},
        "width": SIZE,
        "height": SIZE,
        "raw": path,
        "resized": path,
    }


def schema_of(artifact: dict[str, Any], case: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The form of a golden.json with such artifacts and cases, and with what only its task has."""
    return record(
        {
            "schema": {"const": SCHEMA},
            **more,
            "stem": {"type": "string", "pattern": FILE},
            "classes": {"type": "integer", "minimum": 1},
            "licence": {"type": ["string", "null"]},
            "preprocess": PREPROCESS_SCHEMA,
            "artifacts": {"type": "array", "items": artifact},
            "cases": {"type": "array", "items": case},
        }
    )


def answers_of(expected: dict[str, Any]) -> dict[str, Any]:
    """What is expected of each artifact, by its file name."""
    return {"type": "object", "propertyNames": {"pattern": FILE}, "additionalProperties": expected}


def _artifact() -> dict[str, Any]:
    """An artifact and its two tensors."""
    target = record(
        {
            **TENSOR,
            "kind": {"enum": list(Output)},
            "tolerance": {"type": "number", "minimum": 0},
            "spread": {"type": "number", "minimum": 0},
            "scale": {"type": ["number", "null"], "exclusiveMinimum": 0},
            "zero_point": {"type": ["integer", "null"], "minimum": -(1 << 15), "maximum": (1 << 15) - 1},
        }
    )
    return record({**file_properties(), "output": target})


def _case() -> dict[str, Any]:
    """An image, and what each artifact answers to it."""
    path = {"type": "string", "pattern": PATH}
    expected = record({"output": path, "top": COUNT, "label": TEXT, "score": {"type": "number"}})
    truth = {"type": ["integer", "null"], "minimum": 0}
    return record({**photo_properties(), "truth": truth, "expected": answers_of(expected)})


GOLDEN: Final = Form(title="one of mbexport", schema=lambda: schema_of(_artifact(), _case()))
