"""Turns a finished report into what a command leaves behind: tables, warnings, a job's summary, the exit code."""

import os
from pathlib import Path
from typing import Any, Final

from mbexport.errors import EXIT_DONE, EXIT_GATE_FAILED, OutputError
from mbexport.quiet import Streams

# Where GitHub's runners look for Markdown; several steps append to one file.
_GITHUB: Final = "GITHUB_STEP_SUMMARY"


def require_writable(summary: Path | None) -> None:
    """Raises `OutputError` for a file of --summary that could not be written: not after hours of work."""
    if summary is not None and (summary.is_dir() or not summary.parent.is_dir()):
        raise OutputError(f"the summary must be a file in a folder that exists, got {summary}")


def show(
    report: dict[str, Any], streams: Streams, *, out: Path | None, summary: Path | None, as_json: bool = False
) -> int:
    """Prints the report and its warnings, writes the summary where one is wanted, and gives the exit code."""
    from mbexport.reporting.markdown import markdown
    from mbexport.reporting.tables import print_report, print_warnings

    print_report(report, streams.out, out=out, as_json=as_json)
    print_warnings(report, streams.err)
    job = os.environ.get(_GITHUB)
    if summary is not None:
        _write(summary, markdown(report), mode="w")
    if job:
        _write(Path(job), markdown(report), mode="a")
    return EXIT_DONE if report["passed"] else EXIT_GATE_FAILED


def _write(file: Path, text: str, *, mode: str) -> None:
    try:
        with file.open(mode, encoding="utf-8") as target:
            target.write(text)
    except OSError as error:
        raise OutputError(f"the summary {file} cannot be written: {error.strerror}") from None
