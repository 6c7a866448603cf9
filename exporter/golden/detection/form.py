"""The form of a detector's golden.json, which has a `task` where a classifier's has none."""

from typing import Any, Final

from mbexport.documents import Form
from mbexport.golden.form import (
    COUNT,
    NUMBERS,
    SHA256,
    TENSOR,
    TEXT,
    answers_of,
    file_properties,
    photo_properties,
    record,
    schema_of,
)
from mbexport.models.task import Task

_FRACTION: Final = {"type": "number", "minimum": 0, "maximum": 1}
_CORNERS: Final = {**NUMBERS, "minItems": 4, "maxItems": 4}


def _artifact() -> dict[str, Any]:
    """An artifact, its tensors, and how far other runtimes may be off."""
    distance = record({"score": {"type": "number", "minimum": 0}, "corner": {"type": "number", "minimum": 0}})
    outputs = {"type": "array", "items": record(TENSOR)}
    return record({**file_properties(), "outputs": outputs, "tolerance": distance, "spread": distance})


def _case() -> dict[str, Any]:
    """A photo, and the rows that each artifact gives for it."""
    row = record(
        {
            "class": COUNT,
            "label": TEXT,
            "score": _FRACTION,
            "box": _CORNERS,
            "pixels": _CORNERS,
            "safe": {"type": "boolean"},
        }
    )
    expected = answers_of(record({"rows": {"type": "array", "items": row}}))
    return record({**photo_properties(), "sha256": {"type": "string", "pattern": SHA256}, "expected": expected})


DETECTOR_GOLDEN: Final = Form(
    title="one of mbexport",
    schema=lambda: schema_of(_artifact(), _case(), task={"const": Task.DETECT}, least_score=_FRACTION),
)
