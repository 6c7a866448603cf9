"""Compute the cache key of a run's stages from COMMAND, ARGUMENTS, EXTRA_KEY, the machine and the code.

Outputs: `key`, and how it begins: `options` for runs of these options, `code` for all runs of this code. Every run
keeps its stages under a key of its own, since a key cannot be written twice; what fits is found by its beginning, and
mbexport itself looks which stages still hold.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from mbexport.fingerprint import code_fingerprint


def keys(given: Mapping[str, str], fingerprint: str) -> dict[str, str]:
    """The outputs; other options, or other code, have another beginning."""
    wanted = "\0".join(given[name] for name in ("COMMAND", "ARGUMENTS", "EXTRA_KEY"))
    code = f"mbexport-{given['RUNNER_OS']}-{given['RUNNER_ARCH']}-{fingerprint[:16]}-"
    options = f"{code}{hashlib.sha256(wanted.encode()).hexdigest()[:16]}-"
    run = "-".join(given[name] for name in ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB"))
    return {"code": code, "options": options, "key": options + run}


if __name__ == "__main__":
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.writelines(f"{name}={value}\n" for name, value in keys(os.environ, code_fingerprint()).items())
