"""Check reports against the schema in the package."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from mbexport.report.schema import report_schema


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(report_schema())


def objections(report: Any) -> list[str]:
    """Where and why `report` is not what the schema says; empty where it is."""
    return [f"{error.json_path}: {error.message[:200]}" for error in validator().iter_errors(report)]
