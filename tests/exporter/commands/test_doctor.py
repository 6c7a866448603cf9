"""`mbexport doctor`: healthy here, and honest about what is missing."""

import importlib.metadata
import re
from types import SimpleNamespace

import pytest

from mbexport.cli import run


@pytest.fixture(scope="module")
def healthy(cli):
    """One run in this environment; it imports every library, which takes its time."""
    return cli("doctor")


@pytest.fixture
def checked(monkeypatch, capsys):
    """Exit code and lines for an environment with these requirements, importing these modules."""

    def check(*requirements: str, imports: tuple[str, ...] = ()) -> tuple[int, list[str]]:
        monkeypatch.setattr(importlib.metadata, "requires", lambda _name: list(requirements))
        monkeypatch.setattr("mbexport.commands.doctor._IMPORTS", imports)
        code = run(["doctor"])
        shown = capsys.readouterr()
        assert shown.err == ""
        return code, shown.out.splitlines()

    return check


def line_of(lines: list[str], name: str) -> str:
    (line,) = [line for line in lines if line.split()[1:2] == [name]]
    return line


@pytest.mark.run
def test_environment_of_the_tests_is_healthy(healthy):
    assert (healthy.returncode, healthy.stderr) == (0, "")
    assert "FAIL" not in healthy.stdout
    assert healthy.stdout.splitlines()[-1] == "everything that a build needs is here"


@pytest.mark.run
@pytest.mark.parametrize("name", ["tensorflow", "numpy", "onnxruntime", "ai-edge-litert", "click"])
def test_lists_each_library_with_its_version(healthy, name):
    line = line_of(healthy.stdout.splitlines(), name)
    assert line.split() == ["ok", name, importlib.metadata.version(name)]


@pytest.mark.run
def test_says_that_the_libraries_load(healthy):
    assert re.search(r"^ok +import tensorflow +loads$", healthy.stdout, re.MULTILINE)


@pytest.mark.run
def test_leaves_out_what_only_the_tests_need(healthy):
    assert "hypothesis" not in healthy.stdout


def test_missing_library_fails(checked):
    code, lines = checked("click>=8", "no-such-library>=1.5")
    assert code == 3
    assert line_of(lines, "no-such-library").split() == [
        *("FAIL", "no-such-library", "not", "installed", "must", "be", ">=1.5"),
    ]
    assert line_of(lines, "click").startswith("ok")
    assert lines[-1] == "a build would fail: see the lines above"


@pytest.mark.parametrize(("requirement", "code"), [("click>=8", 0), ("click>=99", 3), ("click<1", 3), ("click", 0)])
def test_version_outside_its_range_fails(checked, requirement, code):
    found, lines = checked(requirement)
    assert found == code
    assert line_of(lines, "click").startswith("FAIL" if code else "ok")


def test_requirement_of_another_system_or_extra_is_not_checked(checked):
    code, lines = checked("no-such-library; extra == 'test'", "no-such-system; sys_platform == 'amiga'")
    assert code == 0
    assert not any("no-such" in line for line in lines)


def test_library_that_does_not_load_fails_with_its_last_words(checked):
    code, lines = checked(imports=("no_such_module", "json"))
    assert code == 3
    assert "FAIL  import no_such_module" in "\n".join(lines)
    assert "No module named 'no_such_module'" in "\n".join(lines)
    assert any(line.startswith("ok    import json") for line in lines)


@pytest.mark.parametrize(("free", "code"), [(1 << 30, 0), ((1 << 30) - 1, 3)])
def test_less_than_a_gibibyte_of_space_fails(checked, monkeypatch, free, code):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=free))
    assert checked()[0] == code


def test_folder_that_cannot_be_written_fails(checked, monkeypatch):
    def refuse(**_named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    code, lines = checked()
    assert code == 3
    assert "cannot be written to:  Permission denied" in "\n".join(lines)


@pytest.mark.parametrize(("version", "code"), [((3, 10, 9), 3), ((3, 11, 0), 0), ((3, 13, 5), 0), ((3, 14, 0), 3)])
def test_python_outside_the_supported_range_fails(checked, monkeypatch, version, code):
    # A module of its own: pytest, too, reads sys.version_info.
    monkeypatch.setattr("mbexport.commands.doctor.sys", SimpleNamespace(version_info=version))
    found, lines = checked()
    assert found == code
    assert line_of(lines, "python").split()[:3] == ["FAIL" if code else "ok", "python", ".".join(map(str, version))]


def test_paths_that_need_more_are_listed_and_fail_nothing(checked, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    code, lines = checked()
    assert code == 0
    (line,) = (line for line in lines if "qnn-htp (.onnx)" in line)
    assert line.split(maxsplit=1)[0] == "--"
    assert line.endswith("the package onnxruntime-qnn is not installed; pip install 'mbexport[npu]'")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    assert any(re.fullmatch(r"ok +path tflite-micro \(\.tflite\) +can be used", line) for line in checked()[1])
    assert not any("path xnnpack" in line for line in lines)


def test_vendors_of_npus_are_listed_with_what_they_lack_and_fail_nothing(checked, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    code, lines = checked()
    assert code == 0
    (qualcomm,) = (line for line in lines if "npu qualcomm" in line)
    assert qualcomm.startswith("--")
    assert qualcomm.endswith("the package onnxruntime-qnn is not installed; pip install 'mbexport[npu]'")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    _, lines = checked()
    assert any(re.fullmatch(r"ok +npu qualcomm +can be compiled for", line) for line in lines)
    assert [line.split()[0] for line in lines if " npu " in line] == ["ok", "--", "--", "--", "--"]


def test_the_compiler_of_microcontrollers_is_listed_and_fails_nothing(checked, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    code, lines = checked()
    assert code == 0
    lack = "the package ethos-u-vela is not installed; pip install 'mbexport[mcu]'"
    assert f"--    {'target ethos-u*':<34} {lack}" in lines
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    assert f"ok    {'target ethos-u*':<34} can be estimated" in checked()[1]
