"""Run `mbexport COMMAND ARGUMENTS --out OUT` from the environment's COMMAND, ARGUMENTS and OUT.

ARGUMENTS are split as a shell does, and nothing in them is executed. Outputs: `exit-code`, and `new-stages`, which is
false where every stage was found finished. mbexport itself writes the verdict to the job's summary.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

EXIT_BAD_INPUT = 2  # as mbexport's own


def arguments(given: Mapping[str, str]) -> list[str]:
    """The words after `mbexport`. Raises `ValueError` for another command, or a quote that does not end."""
    if given["COMMAND"] not in ("build", "export"):
        raise ValueError(f"command must be build or export, got {given['COMMAND']!r}")
    try:
        words = shlex.split(given["ARGUMENTS"])
    except ValueError as error:
        raise ValueError(f"arguments must be words as a shell reads them: {error}") from None
    return [given["COMMAND"], *words, "--out", given["OUT"]]


def finished(out: Path) -> set[tuple[str, int]]:
    """The files of finished stages in the output folder, each with the time of its last change."""
    return {(str(file), file.stat().st_mtime_ns) for file in (out / ".mbexport").glob("[!t]*/**/*") if file.is_file()}


def run(given: Mapping[str, str]) -> int:
    """The exit code of mbexport, or its code for bad input where it cannot be called."""
    try:
        words = arguments(given)
    except ValueError as error:
        sys.stderr.write(f"Error: {error}\n")
        return EXIT_BAD_INPUT
    return subprocess.run([sys.executable, "-P", "-m", "mbexport", *words], check=False).returncode


if __name__ == "__main__":
    before = finished(Path(os.environ["OUT"]))
    code = run(os.environ)
    is_new = finished(Path(os.environ["OUT"])) != before
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"exit-code={code}\nnew-stages={str(is_new).lower()}\n")
