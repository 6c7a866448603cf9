"""Turns a folder into what git says of the repository around it."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from mbexport.provenance.manifest import Git

_COMMIT: Final = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_TIMEOUT_S: Final = 20
# A hook of git's sets these, and then another folder's repository would answer.
_ELSEWHERE: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


def git_state(folder: Path) -> Git | None:
    """The commit that `folder` is at; None without git, a repository or a commit, or if git does not answer.

    As for `git describe --dirty`, a file that git was never told of makes nothing dirty: an output folder is one.
    """
    commit = _answer(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = _answer(folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changed is None or not _COMMIT.fullmatch(commit.strip()):
        return None
    return Git(commit=commit.strip(), dirty=bool(changed.strip()))


def _answer(folder: Path, *words: str) -> str | None:
    """What git prints; no lock is taken, and nothing that the repository's own settings name is started."""
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *words]
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
