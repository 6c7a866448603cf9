"""Turns an artifact into what the report beside it says of the network inside."""

import json
from pathlib import Path

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.report import REPORT, Json
from mbexport.workdir import sha256_of


def sensitivity_of(file: Path) -> Json:
    """What each layer of the int8 artifact `file` costs, as `sensitivity_json` wrote it, and the artifact's name.

    Raises `DataError` if there is no report beside it, if it tells of another file, or does not say.
    """
    if not file.is_file():
        raise DataError(f"no such file: {file}")
    path = file.parent / REPORT
    report = _read(path)
    digest = sha256_of(file)
    entry = next((entry for entry in report["artifacts"] if entry["sha256"] == digest), None)
    if entry is None:
        raise DataError(f"{path} does not belong to {file}: none of the artifacts it lists has its sha256")
    if entry["precision"] != Precision.INT8.value:
        raise DataError(f"only an int8 artifact's layers cost accuracy, got {file}, which is {entry['precision']}")
    if not report.get("sensitivity"):
        raise DataError(f"{path} does not say what the layers of {file} cost: make it anew, without --no-sensitivity")
    return {"file": file.name, "sha256": digest, **report["sensitivity"]}


def _read(path: Path) -> Json:
    """The report. Raises `DataError` if there is none, or it is something else."""
    try:
        report = json.loads(path.read_bytes())
        if all({"sha256", "precision"} <= set(entry) for entry in report["artifacts"]):
            return dict(report)
    except FileNotFoundError:
        raise DataError(
            f"what the layers cost stands in the report of the run that made them: there is no {path}"
        ) from None
    except (OSError, TypeError, KeyError, ValueError, RecursionError):
        pass  # the message is the same
    raise DataError(f"{path} is not a report of mbexport")
