"""What tests share: where real data lies, a small trained build, and a runner of the command line as users run it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Nothing may depend on how busy the machine is, nor on the day: a counterexample is kept as an @example.
settings.register_profile("any machine", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parent.parent
# Options of the network that tests share: small, yet trained well enough that its answers mean something.
SMALL_BUILD = ("--alpha", "0.25", "--resolution", "32", "--epochs", "24", "--qat-epochs", "1", "--int8")

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


class Killed(BaseException):
    """The end of a process in the middle of a training."""


class MemorySession:
    """A training's session that keeps every checkpoint, and may be killed at its `dies_at`-th (from 1).

    `is_written` says whether that last checkpoint still reaches its place.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        log_dir: Path | None = None,
        content: bytes | None = None,
        dies_at: int = 0,
        is_written: bool = True,
    ) -> None:
        self.cache_dir, self.log_dir = cache_dir, log_dir
        self.content, self.saved = content, 0
        self._dies_at, self._is_written = dies_at, is_written

    def load(self) -> bytes | None:
        return self.content

    def save(self, content: bytes) -> None:
        self.saved += 1
        is_last = self.saved == self._dies_at
        if not is_last or self._is_written:
            self.content = content
        if is_last:
            raise Killed


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real weights and images; tests that need it are skipped where it is missing."""
    named = os.environ.get("MBEXPORT_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data is missing: set MBEXPORT_SHARED_DATA")
    return folder


def run_mbexport(
    *arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """`mbexport ARGUMENTS` in a process of its own; stdout, stderr and exit code are what a user sees."""
    return subprocess.run(
        [sys.executable, "-m", "mbexport", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Runs the command line."""
    return run_mbexport


@pytest.fixture(scope="session")
def small_build(cli: Cli) -> Path:
    """The folder of a finished build of the shared network.

    It lies in `build/`, where the next session finds its stages finished, unless the code has changed since.
    """
    out = ROOT / "build" / "tests" / "small"
    done = cli("build", *SMALL_BUILD, "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="session")
def killed() -> type[Killed]:
    """What a session raises when it is killed."""
    return Killed


@pytest.fixture(scope="session")
def session_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., MemorySession]:
    """Makes a session for one training, in a folder of its own unless told otherwise."""

    def make(**options: Any) -> MemorySession:
        return MemorySession(tmp_path_factory.mktemp("session"), **options)

    return make
