"""What tests of CI share: an environment in which nothing is set, a stand-in for mbexport, and jobs."""

import os
import sys
import zipfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from ci.composite import Job
from clients.environments import ROOT, pip_settings

# A package that takes mbexport's place: --exit N and --check-exit N decide how it ends, --words FILE keeps what it got.
_STAND_IN: Final = """
import os, pathlib, sys

def main():
    words = sys.argv[1:]
    pairs = [word.split("=", 1) for word in words if "=" in word]
    said = lambda name: words[words.index(name) + 1] if name in words else dict(pairs).get(name)
    if words[0] == "--version":
        print("mbexport, version 0")
    elif {"--help", "--dry-run"} & set(words[: (words + ["--"]).index("--")]):
        sys.exit(0)
    elif words[0] == "bundle":
        checked = pathlib.Path(words[-1], "check-exit")
        sys.exit(int(checked.read_text()) if checked.exists() else 2)
    else:
        if said("--words"):
            pathlib.Path(said("--words")).write_text("\\0".join(words))
        code, out = int(said("--exit") or 0), pathlib.Path(said("--out"))
        stage = out / ".mbexport" / "stages" / (said("--stage") or "train")
        if not (stage / "record.json").exists() and code != 2:
            stage.mkdir(parents=True)
            (stage / "record.json").write_text("{}")
        if code < 2:
            for name in ("manifest.json", "report.json", "android/library.aar"):
                (out / name).parent.mkdir(exist_ok=True)
                (out / name).write_text(name)
            (out / "check-exit").write_text(said("--check-exit") or "0")
            failure = "<failure>top1_drop: 50%, &lt;= 2.3\\n100 images</failure>" if code else ""
            (out / "junit.xml").write_text(f'<testsuites><testsuite name="mbexport"><testcase name="samples"/>'
                f'<testcase name="top1_drop">{failure}</testcase></testsuite></testsuites>')
            for target in filter(None, (said("--summary"), os.environ.get("GITHUB_STEP_SUMMARY"))):
                pathlib.Path(target).write_text("FAILED" if code else "PASSED")
        sys.exit(code)
"""


@pytest.fixture
def empty_environment(tmp_path) -> dict[str, str]:
    """No variable but PATH, HOME and pip's; `python` and `python3` are this Python without its packages."""
    programs = tmp_path / "programs"
    programs.mkdir()
    real = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("python", "python3"):
        (programs / name).write_text(f'#!/bin/sh\nexec "{real}" "$@"\n')
        (programs / name).chmod(0o755)
    (tmp_path / "home").mkdir()
    pip = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in pip_settings().items()}
    return {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path / "home"), **pip}


@pytest.fixture(scope="session")
def stand_in_wheel(tmp_path_factory) -> Path:
    """A wheel that installs the stand-in as mbexport."""
    path = tmp_path_factory.mktemp("wheel") / "mbexport-0-py3-none-any.whl"
    info = "mbexport-0.dist-info"
    files = {
        "mbexport/__init__.py": _STAND_IN,
        "mbexport/__main__.py": "from mbexport import main\nmain()\n",
        "mbexport/fingerprint.py": "def code_fingerprint():\n    return 64 * 'f'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: mbexport\nVersion: 0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nmbexport = mbexport:main\n",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    return path


@pytest.fixture(scope="session")
def stand_in(stand_in_wheel, tmp_path_factory) -> dict[str, str]:
    """Outputs of the step `install`, for jobs that need not install: a Python that has the stand-in."""
    folder = tmp_path_factory.mktemp("stand-in")
    zipfile.ZipFile(stand_in_wheel).extractall(folder / "packages")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{folder / "packages"}" exec "{os.path.realpath(sys.executable)}" "$@"\n')
    python.chmod(0o755)
    return {"python": str(python)}


@pytest.fixture
def job(tmp_path, empty_environment) -> Callable[..., Job]:
    """Makes a job of the project's action in an empty workspace; jobs of one test share their caches."""
    numbers = count(1)
    (tmp_path / "caches").mkdir()

    def make(*, action: Path = ROOT, given: dict[str, dict[str, str]] | None = None, **inputs: str) -> Job:
        run_id = next(numbers)
        folder = tmp_path / f"job{run_id}"
        (folder / "workspace").mkdir(parents=True)
        return Job(
            action=action,
            inputs={name.replace("_", "-"): value for name, value in inputs.items()},
            workspace=folder / "workspace",
            folder=folder / "runner",
            environment=empty_environment,
            caches=tmp_path / "caches",
            run_id=run_id,
            given=given or {},
        )

    return make
