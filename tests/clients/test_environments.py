"""Tests of environments.py: made once, whole or not at all, and one for each list of packages."""

import json
import re
import shutil
from pathlib import Path

import pytest
from clients.environments import HERE, ProcessError, UnreachableError, node_with, python_with, run
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def pins(tmp_path):
    """Makes a file of requirements; an empty one needs no registry."""

    def make(text, name="requirements.txt"):
        file = tmp_path / name
        file.write_text(text)
        return file

    return make


@pytest.fixture
def without_network(monkeypatch):
    """pip asks a registry that does not answer, and nothing else."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "https://localhost:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("npm_config_registry", "https://localhost:1/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")


def test_an_environment_is_made_once_and_sees_nothing_of_ours(pins, tmp_path, monkeypatch):
    file = pins("# nothing\n")
    python = python_with(file, cache=tmp_path / "cache")
    made_at = python.lstat().st_mtime_ns

    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    again = python_with(pins("# nothing\n", "other-name.txt"), cache=tmp_path / "cache")
    seen = json.loads(run([again, "-c", "import json, sys; print(json.dumps([sys.prefix, sys.path]))"], is_ours=False))

    assert (again, again.lstat().st_mtime_ns) == (python, made_at)
    assert seen[0] == str(python.parents[1])
    assert str(tmp_path) not in seen[1]
    assert [folder.name for folder in (tmp_path / "cache").iterdir()] == [python.parents[1].name]


def test_paths_may_be_relative(pins, tmp_path, monkeypatch):
    pins("# nothing\n")
    monkeypatch.chdir(tmp_path)

    python = python_with(Path("requirements.txt"), cache=Path("cache"))

    assert python.is_relative_to(tmp_path / "cache")
    assert python.exists()


def test_other_pins_are_another_environment(pins, tmp_path, monkeypatch):
    monkeypatch.setattr("clients.environments.run", lambda *command, **named: "")

    first, second = (python_with(pins(text), cache=tmp_path) for text in ("# 1\n", "# 2\n"))

    assert first != second


def test_without_a_registry_nothing_is_left_and_the_reason_is_told(pins, tmp_path, without_network):
    cache = tmp_path / "cache"

    with pytest.raises(UnreachableError, match="no registry of packages answers: NewConnectionError"):
        python_with(pins("numpy==2.4.6\n"), cache=cache)

    assert list(cache.iterdir()) == []


def test_pins_that_cannot_be_are_a_failure_and_no_reason_to_skip(pins, tmp_path):
    with pytest.raises(ProcessError) as failure:
        python_with(pins("./no-such-folder\n"), cache=tmp_path / "cache")

    assert not isinstance(failure.value, UnreachableError)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is missing")
def test_npm_without_a_registry_leaves_nothing(tmp_path, without_network, monkeypatch):
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    wanted = {"name": "x", "dependencies": {"left-pad": "1.3.0"}}
    locked = {"": wanted, "node_modules/left-pad": {"version": "1.3.0"}}
    (tmp_path / "package.json").write_text(json.dumps(wanted))
    lock = {"name": "x", "lockfileVersion": 3, "requires": True, "packages": locked}
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))

    with pytest.raises(UnreachableError, match="no registry of packages answers: ECONNREFUSED"):
        node_with(tmp_path, cache=tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_without_node_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UnreachableError, match="node is missing"):
        node_with(tmp_path)


@given(st.lists(st.text("abc \n"), max_size=3))
def test_a_process_that_fails_is_told_by_its_last_line_that_is_not_blank(lines):
    last = next((line for line in reversed("\n".join(lines).splitlines()) if line.strip()), "exit code 3")

    with pytest.raises(ProcessError) as failure:
        run(["sh", "-c", 'printf %s "$1"; exit 3', "sh", "\n".join(lines)])

    assert str(failure.value) == last.strip()


def test_packages_are_pinned_and_no_file_names_a_host():
    pinned = [line for file in HERE.glob("requirements-*.txt") for line in file.read_text().splitlines()]
    wanted = json.loads((HERE / "node" / "package.json").read_text())["dependencies"]
    locked = json.loads((HERE / "node" / "package-lock.json").read_text())["packages"]

    assert [line for line in pinned if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert "://" not in json.dumps(locked)
    assert [name for name, package in locked.items() if name and "integrity" not in package] == []
