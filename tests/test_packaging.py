"""What the wheel holds, and that the project says the same thing everywhere."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"exporter": "mbexport", "models": "mbexport/models", "calibration": "mbexport/calibration"}


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory) -> set[str]:
    """The names in a wheel built from a clean copy of the tracked files, as a release would be."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_wheel_holds_the_three_folders_and_nothing_else(wheel_files):
    expected = {
        f"{package}/{path.relative_to(ROOT / folder)}"
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    code = {name for name in wheel_files if ".dist-info/" not in name}
    assert code == expected
    assert any(name.endswith("licenses/LICENSE") for name in wheel_files)


_PINNED_EXTRAS = ("coreml", "docs", "mcu", "micro", "npu", "sweep", "test", "tensorboard", "tfds")


def test_every_dependency_is_pinned_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    names = {name.lower().replace("_", "-"): version for name, version in pinned.items()}
    extras = project["optional-dependencies"]
    of_extras = [each for name in _PINNED_EXTRAS for each in extras[name]]
    wanted = [*project["dependencies"], *of_extras]
    for requirement in map(Requirement, wanted):
        assert requirement.name.lower() in names, requirement
        assert requirement.specifier.contains(names[requirement.name.lower()], prereleases=True), requirement


def test_constraints_name_no_host():
    assert not re.search(r"://|@|--", (ROOT / "constraints.txt").read_text())


def test_no_file_is_longer_than_400_lines():
    code = [path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in code}
    # A short module has two callers or a good reason: `pytest -rP` lists them, for a person to judge.
    short = [name for name, count in lengths.items() if count < 60 and not name.startswith("tests")]
    print(f"{len(short)} modules of fewer than 60 lines:", *sorted(short), sep="\n")  # noqa: T201
    assert {name: count for name, count in lengths.items() if count > 400} == {}


def test_installed_version_is_the_package_s_own():
    import mbexport

    assert importlib.metadata.version("mbexport") == mbexport.__version__
