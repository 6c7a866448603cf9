"""A Debian for arm64 with qemu and the runtimes' own aarch64 wheels, made once in `build/clients`.

Nothing is installed here and no root is needed: apt-get fetches packages into a folder, and they are unpacked there.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from clients.arm.processors import PROCESSORS, PYTHON
from clients.environments import CACHE, ROOT, UnreachableError, install, made, run

_CONSTRAINTS: Final = ROOT / "constraints.txt"
_RUNTIMES: Final = ("ai-edge-litert", "numpy", "onnxruntime")
_KEYS: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Debian 12: a Python that the runtimes have wheels for, and qemu as one program without libraries.
_SUITE: Final = "bookworm"
_GUEST, _EMULATOR = (f"{PYTHON}:arm64", "libstdc++6:arm64"), "qemu-user-static"
_WHEELS: Final = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def sysroot(cache: Path = CACHE) -> Path:
    """The folder with `qemu`, `site` (the wheels) and one root a processor; made if it is not there.

    Raises `UnreachableError` where Debian's packages or the wheels cannot be had, `ProcessError` if unpacking fails.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise UnreachableError(f"{program} is missing: qemu and a Python for arm64 come from Debian's packages")
    if not _KEYS.is_file():
        raise UnreachableError(f"{_KEYS} is missing: Debian's packages cannot be checked")
    wanted = (_SUITE, _GUEST, _EMULATOR, _WHEELS, _RUNTIMES, PROCESSORS)
    return made((_CONSTRAINTS.read_bytes(), repr(wanted).encode()), _fill, cache)


def _fill(folder: Path) -> None:
    """Fetch and unpack the packages, install the wheels, and make the processors' roots."""
    debian = folder / "debian"
    for package in _fetched(folder / "apt"):
        is_emulator = package.name.startswith(_EMULATOR)
        run(["dpkg-deb", "-x", package, folder / "emulator" if is_emulator else debian], is_ours=False)
    shutil.rmtree(folder / "apt")
    (folder / "emulator" / "usr" / "bin" / "qemu-aarch64-static").rename(folder / "qemu")
    shutil.rmtree(folder / "emulator")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--target",
        folder / "site",
    ]
    wheels = [part for name in _WHEELS for part in ("--platform", name)]
    wheels += ["--python-version", PYTHON.removeprefix("python"), "--only-binary=:all:"]
    install([*pip, *wheels, "-c", _CONSTRAINTS, *_RUNTIMES], cwd=folder)
    for processor in PROCESSORS:
        root = folder / processor.name
        (root / "proc").mkdir(parents=True)
        (root / "proc" / "cpuinfo").write_text(processor.cpuinfo)
        for name in ("etc", "lib", "usr"):
            (root / name).symlink_to(Path("..") / debian.name / name)


def _fetched(folder: Path) -> list[Path]:
    """The .deb files of the guest's and the emulator's packages with all that they stand on.

    apt checks each against Debian's signed lists. Its own lists lie in `folder`, and it sees nothing installed.
    """
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={_KEYS}] http://deb.debian.org/debian {_SUITE} main\n")
    host = run(["dpkg", "--print-architecture"], is_ours=False).strip()
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Architecture": "arm64",
        "APT::Sandbox::User": "",
        "APT::Update::Error-Mode": "any",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    architectures = [part for name in ("arm64", host) for part in ("-o", f"APT::Architectures::={name}")]
    apt = ["apt-get", "-qq", "--yes", *options, *architectures]
    install([*apt, "update"], cwd=folder)
    wanted = (*_GUEST, f"{_EMULATOR}:{host}")
    install([*apt, "install", "--download-only", "--no-install-recommends", *wanted], cwd=folder)
    return sorted((folder / "cache" / "archives").glob("*.deb"))
