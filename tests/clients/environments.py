"""Environments of pinned packages, Python's or node's, each made once."""

import ast
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
CACHE: Final = ROOT / "build" / "clients"
_TIMEOUT_S: Final = 3 * 3600  # a process that takes longer is of no use to anybody
# How pip (urllib3's exceptions), npm (libuv's error codes) and apt say that they reach nobody.
_UNREACHABLE: Final = re.compile(
    "NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError"
    "|ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ETIMEDOUT|ENETUNREACH"
    "|Could not resolve|Temporary failure resolving|Could not connect|Cannot initiate the connection"
)


class ProcessError(Exception):
    """A process that ended badly; the message is its last line, `output` all that it printed."""

    def __init__(self, message: str, *, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class UnreachableError(ProcessError):
    """An environment that cannot be had here: no registry answers, or there is no node. The message says which."""


def run(
    command: Sequence[object], *, is_ours: bool = True, allowed: Sequence[int] = (0,), cwd: Path | None = None
) -> str:
    """What `command` prints on stdout. Raises `ProcessError` unless its exit code is one of `allowed`.

    What is not ours does not see our modules.
    """
    environment = {name: value for name, value in os.environ.items() if is_ours or name != "PYTHONPATH"}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            env=environment,
            cwd=cwd,
        )
    except subprocess.TimeoutExpired:
        raise ProcessError(f"took more than {_TIMEOUT_S} s") from None
    if done.returncode not in allowed:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else f"exit code {done.returncode}"
        raise ProcessError(reason.replace(f"{Path.cwd()}/", ""), output=done.stdout + done.stderr)
    return done.stdout


def pip_settings() -> dict[str, str]:
    """How pip is set up on this machine, by its options' names; several values of one option are parted by blanks.

    Who starts pip where neither its files nor its variables are has to hand them on.
    """
    listed = run([sys.executable, "-m", "pip", "config", "list"], is_ours=False)
    found = re.findall(r"^(?:global|install|:env:)\.([\w-]+)=(.*)$", listed, re.MULTILINE)
    return {name: " ".join(ast.literal_eval(value).split()) for name, value in found}


def python_with(requirements: Path, *, cache: Path = CACHE) -> Path:
    """The Python of a virtual environment that holds just what the file `requirements` pins; made if it is not there.

    It has no pip, and packages' programs are called as `-m program`: their scripts know where it was made, not where it
    is. Raises `UnreachableError` if no registry answers pip, `ProcessError` if pip fails for another reason.
    """

    def make(folder: Path) -> None:
        run([sys.executable, "-m", "venv", "--without-pip", folder], is_ours=False)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python"]
        install([*pip, "install", "--quiet", "-r", requirements.resolve()], cwd=folder)

    key = (requirements.read_bytes(), sys.version.encode(), sys.base_prefix.encode())
    return made(key, make, cache) / "bin" / "python"


def node_with(packages: Path, *, cache: Path = CACHE) -> Path:
    """The folder with the `node_modules` that package.json and package-lock.json in the folder `packages` pin.

    No package's own scripts are run. Raises `UnreachableError` if there is no node or no registry answers npm,
    `ProcessError` if npm fails for another reason.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise UnreachableError(f"{program} is missing")
    files = [packages / "package.json", packages / "package-lock.json"]

    def make(folder: Path) -> None:
        for file in files:
            shutil.copyfile(file, folder / file.name)
        install(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder)

    node = run(["node", "--version"], is_ours=False).strip()
    return made((*(file.read_bytes() for file in files), node.encode()), make, cache)


def install(command: Sequence[object], *, cwd: Path) -> None:
    """Run an installer, whose last line seldom tells that nobody answered.

    Raises `UnreachableError` if that is what it says, `ProcessError` if it fails for another reason.
    """
    try:
        run(command, is_ours=False, cwd=cwd)
    except ProcessError as failure:
        if nobody := _UNREACHABLE.search(failure.output):
            raise UnreachableError(f"no registry of packages answers: {nobody[0]}") from None
        raise


def made(key: Sequence[bytes], make: Callable[[Path], None], cache: Path) -> Path:
    """The folder of `key` in `cache`; if it is not there, `make` fills one that takes its name once it is whole."""
    digests = b"".join(hashlib.sha256(part).digest() for part in (*key, platform.platform().encode()))
    folder = cache.resolve() / hashlib.sha256(digests).hexdigest()[:16]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        make(making)
        making.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder
