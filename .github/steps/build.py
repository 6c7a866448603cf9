"""Run `mbexport COMMAND ARGUMENTS --out=OUT` from the environment's COMMAND, ARGUMENTS and OUT.

ARGUMENTS are split as a shell does, and nothing in them is executed. Outputs: `exit-code`, and `new-stages`, which is
false where every stage was found finished. mbexport itself writes the verdict to the job's summary.

A run that ends well and leaves no manifest.json of its own, as with --help or --dry-run among the ARGUMENTS, has made
nothing: what lies there is not its result, and its code is that of bad input.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = re.compile(r"[^!#~*?\[\]][^*?\[\]]*")  # the steps that upload and cache read the others as patterns
EXIT_DONE, EXIT_GATE_FAILED, EXIT_BAD_INPUT = 0, 1, 2  # as mbexport's own


def arguments(given: Mapping[str, str]) -> list[str]:
    """The words after `mbexport`. Raises `ValueError` for another command, no folder, or a quote that does not end."""
    if given["COMMAND"] not in ("build", "export"):
        raise ValueError(f"command must be build or export, got {given['COMMAND']!r}")
    if not FOLDER.fullmatch(given["OUT"]) or not given["OUT"].isprintable():
        raise ValueError(f"out must be the name of a folder, without * ? [ ] and no ! # ~ first, got {given['OUT']!r}")
    try:
        words = shlex.split(given["ARGUMENTS"])
    except ValueError as error:
        raise ValueError(f"arguments must be words as a shell reads them: {error}") from None
    return [given["COMMAND"], *words, f"--out={given['OUT']}"]


def finished(out: Path) -> set[tuple[str, int]]:
    """The files of finished stages in the output folder, each with the time of its last change."""
    return {(str(file), file.stat().st_mtime_ns) for file in (out / ".mbexport").glob("[!t]*/**/*") if file.is_file()}


def result(out: Path) -> tuple[int, int] | None:
    """Which file the manifest in the output folder is; each run that makes something puts another in its place."""
    file = out / "manifest.json"
    return (file.stat().st_ino, file.stat().st_mtime_ns) if file.is_file() else None


def run(given: Mapping[str, str]) -> int:
    """The exit code of mbexport, or its code for bad input where it cannot be called or made nothing."""
    try:
        words = arguments(given)
    except ValueError as error:
        sys.stderr.write(f"Error: {error}\n")
        return EXIT_BAD_INPUT
    out = Path(given["OUT"])
    before = result(out)
    code = subprocess.run([sys.executable, "-P", "-m", "mbexport", *words], check=False).returncode
    if code in (EXIT_DONE, EXIT_GATE_FAILED) and result(out) in (None, before):
        sys.stderr.write(f"Error: arguments must make a result in the folder out, got none: {given['ARGUMENTS']!r}\n")
        return EXIT_BAD_INPUT
    return code


if __name__ == "__main__":
    before = finished(Path(os.environ["OUT"]))
    code = run(os.environ)
    is_new = finished(Path(os.environ["OUT"])) != before
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"exit-code={code}\nnew-stages={str(is_new).lower()}\n")
