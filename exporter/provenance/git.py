"""Ask git for the commit of the repository around a folder."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_COMMIT: Final = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_TIMEOUT_S: Final = 20
# Git sets these for its hooks; with them it would answer for the hook's repository, not for that of the folder.
_HOOK_VARIABLES: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """The repository around the folder in which a run was started; `dirty` if it held changes without a commit."""

    commit: str
    dirty: bool


def git_state(folder: Path) -> Git | None:
    """The commit of the repository around `folder`; None without git, a repository or a commit, or if git fails.

    As for `git describe --dirty`, an untracked file makes nothing dirty: an output folder is one.
    """
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changed is None or not _COMMIT.fullmatch(commit.strip()):
        return None
    return Git(commit=commit.strip(), dirty=bool(changed.strip()))


def _git(folder: Path, *arguments: str) -> str | None:
    """Git's output; None if it fails. Git takes no lock, and starts nothing that the repository's settings name."""
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
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
