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
_FILE: Final = r"^(?!\.{1,2}$)[^/\\\x00-\x1f\x7f]+$"
_PATH: Final = r"^(?!/)(?!(.*/)?\.{1,2}(/|$))[^\\\x00-\x1f\x7f]+$"
_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_SIZE: Final = {"type": "integer", "minimum": 1, "maximum": 1 << 20}
_NUMBERS: Final = {"type": "array", "items": {"type": "number"}}
_TENSOR: Final = {
    "name": _TEXT,
    "dtype": {"enum": ["float32", "uint8", "int8", "int16"]},
    "shape": {"type": "array", "minItems": 1, "items": _SIZE},
}


def _record(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with these properties, all of them and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _artifact() -> dict[str, Any]:
    """An artifact and its two tensors."""
    source = _record(
        {
            **_TENSOR,
            "layout": {"enum": list(Layout)},
            "channel_order": {"enum": [*(kind.colour for kind in CHANNELS.values()), "BGR"]},
            "mean": _NUMBERS,
            "std": _NUMBERS,
        }
    )
    target = _record(
        {
            **_TENSOR,
            "kind": {"enum": list(Output)},
            "tolerance": {"type": "number", "minimum": 0},
            "spread": {"type": "number", "minimum": 0},
            "scale": {"type": ["number", "null"], "exclusiveMinimum": 0},
            "zero_point": {"type": ["integer", "null"], "minimum": -(1 << 15), "maximum": (1 << 15) - 1},
        }
    )
    return _record(
        {
            "file": {"type": "string", "pattern": _FILE},
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "format": {"enum": [each.name for each in EXPORTED]},
            "precision": {"enum": list(Precision)},
            "input": source,
            "output": target,
        }
    )


def _case() -> dict[str, Any]:
    """An image, and what each artifact answers to it."""
    path = {"type": "string", "pattern": _PATH}
    expected = _record({"output": path, "top": _COUNT, "label": _TEXT, "score": {"type": "number"}})
    return _record(
        {
            "name": {"type": "string", "pattern": _FILE},
            "width": _SIZE,
            "height": _SIZE,
            "raw": path,
            "resized": path,
            "truth": {"type": ["integer", "null"], "minimum": 0},
            "expected": {"type": "object", "propertyNames": {"pattern": _FILE}, "additionalProperties": expected},
        }
    )


def _schema() -> dict[str, Any]:
    return _record(
        {
            "schema": {"const": SCHEMA},
            "stem": {"type": "string", "pattern": _FILE},
            "classes": {"type": "integer", "minimum": 1},
            "licence": {"type": ["string", "null"]},
            "preprocess": PREPROCESS_SCHEMA,
            "artifacts": {"type": "array", "items": _artifact()},
            "cases": {"type": "array", "items": _case()},
        }
    )


GOLDEN: Final = Form(title="one of mbexport", schema=_schema)
