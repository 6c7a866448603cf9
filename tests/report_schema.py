"""Turns a report into what the schema in the package says against it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from mbexport import report


@cache
def validator() -> Draft202012Validator:
    schema = Path(str(report.__file__)).with_name("report.schema.json")
    return Draft202012Validator(json.loads(schema.read_bytes()))


def objections(report: Any) -> list[str]:
    """Where and why `report` is not what the schema says; empty where it is."""
    return [f"{error.json_path}: {error.message[:200]}" for error in validator().iter_errors(report)]
