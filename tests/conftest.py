"""What tests share: where real data lies, a small trained build, and a runner of the command line as users run it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Nothing may depend on how busy the machine is, nor on the day: a counterexample is kept as an @example.
settings.register_profile("any machine", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parent.parent
# Options of the network that tests share: small, yet trained well enough that its answers mean something.
SMALL_BUILD = ("--alpha", "0.25", "--resolution", "32", "--epochs", "24", "--qat-epochs", "1", "--int8")

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


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
