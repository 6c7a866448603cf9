"""Tests of the GitLab job: its script as plain shell, with a stand-in for mbexport; its colour, and what it keeps."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from clients.environments import ROOT

pytestmark = pytest.mark.run  # a whole job, in an environment of its own


OUT = "dist/mbexport/"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The hidden job that others extend."""
    return yaml.safe_load((ROOT / ".gitlab" / "mbexport.yml").read_text("utf-8"))[".mbexport"]


@pytest.fixture
def done(template, stand_in, stand_in_wheel, empty_environment, tmp_path):
    """Runs the script, as GitLab's runner hands it to a shell; without `installing`, what follows once all is there."""
    program = tmp_path / "programs" / "mbexport"
    program.write_text(f'#!/bin/sh\nexec "{stand_in["python"]}" -m mbexport "$@"\n')
    program.chmod(0o755)
    workspace = tmp_path / "workspace"
    workspace.mkdir()

    def run(arguments: str, *, installing: bool = False, **variables: str) -> "subprocess.CompletedProcess[str]":
        given = {"MBEXPORT_ARGUMENTS": arguments, "MBEXPORT_PACKAGE": str(stand_in_wheel), "CI_JOB_ID": "7"}
        environment = {**empty_environment, **template["variables"], **given, **variables, "TMPDIR": str(tmp_path)}
        parts = template["script"] if installing else template["script"][-1:]
        script = "\n".join(["set -eo pipefail", *parts])
        return subprocess.run(
            ["bash", "-c", script], cwd=workspace, env=environment, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def workspace(done, tmp_path) -> Path:
    """The folder in which the script runs, empty at first."""
    return tmp_path / "workspace"


def kept(template: dict[str, Any], workspace: Path) -> set[str]:
    """The files that GitLab would upload as the job's artifact."""
    artifacts = template["artifacts"]
    paths = [path for name in artifacts["paths"] for path in [workspace / name, *(workspace / name).rglob("*")]]
    left_out = {path for pattern in artifacts["exclude"] for path in workspace.glob(pattern)}
    return {str(path.relative_to(workspace)) for path in set(paths) - left_out if path.is_file()}


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_job_ends_with_mbexport_s_exit_code_and_keeps_what_was_made(done, template, workspace, code):
    ended = done(f"--exit {code}")

    assert ended.returncode == code, ended.stderr
    names = {"android/library.aar", "check-exit", "junit.xml", "manifest.json", "report.json"}
    assert kept(template, workspace) == ({"summary.md"} | {OUT + name for name in names} if code < 2 else set())


def test_it_installs_into_an_empty_environment_and_runs(done, tmp_path):
    (tmp_path / "programs" / "mbexport").unlink()
    ended = done("--exit 0", installing=True)

    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "mbexport-7" / "bin" / "mbexport").is_file()


def test_a_file_that_is_not_as_the_manifest_says_makes_it_red(done):
    ended = done("--exit 0 --check-exit 1")

    assert (ended.returncode, "red, exit code 1" in ended.stdout) == (1, True)


def test_arguments_are_words_and_nothing_in_them_is_executed(done, workspace):
    done("""--words got '$(touch a)' "b; touch b" --exit 0""")

    assert (workspace / "got").read_text().split("\0")[3:5] == ["$(touch a)", "b; touch b"]
    assert sorted(path.name for path in workspace.iterdir()) == ["dist", "got", "summary.md"]


def test_what_cannot_be_called_is_bad_input(done):
    assert done("--data 'my").returncode == 2


def test_the_package_has_to_be_named(done):
    ended = done("", installing=True, MBEXPORT_PACKAGE="")

    assert ended.returncode == 1
    assert "MBEXPORT_PACKAGE: has to name what pip installs" in ended.stderr


def test_the_stages_are_cached_and_the_gates_reported(template, done, workspace):
    done("--exit 1")
    stages, _ = template["cache"]

    assert (workspace / stages["paths"][0] / "stages" / "train" / "record.json").is_file()
    assert (workspace / template["artifacts"]["reports"]["junit"]).is_file()
    assert (stages["when"], template["artifacts"]["when"]) == ("always", "always")
    # GitLab does not show what is exposed if its path has a variable or a wildcard.
    assert not any("$" in path or "*" in path for path in template["artifacts"]["paths"])


@pytest.mark.parametrize("arguments", ["--help", "--dry-run"])
def test_a_run_that_made_nothing_is_red_whatever_lies_there(done, arguments):
    assert done(arguments).returncode == 2
    assert done("--exit 0").returncode == 0
    ended = done(arguments)

    assert (ended.returncode, "must make a result, got none" in ended.stderr) == (2, True)


@pytest.mark.parametrize("command", ["--help", "--version", "doctor", "build --help", ""])
def test_a_command_that_makes_nothing_is_bad_input(done, command):
    ended = done("--exit 0", MBEXPORT_COMMAND=command)

    assert (ended.returncode, "MBEXPORT_COMMAND must be build or export" in ended.stderr) == (2, True)


def test_a_key_is_one_argument(done):
    assert done("--exit 0 --check-exit 1", MBEXPORT_PUBLIC_KEY="--help").returncode == 1
