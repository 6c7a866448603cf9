"""The state of a folder's repository; nothing in it can make a run fail."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mbexport.provenance.git import Git, git_state

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


def git(folder: Path, *words: str) -> str:
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = {f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = ["git", *words]
    environment = {**os.environ, **settings, **identity}
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path) -> Path:
    folder = tmp_path / "repository"
    (folder / "inner").mkdir(parents=True)
    (folder / "file").write_text("1")
    git(folder, "init", "--quiet")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "--message", "one")
    return folder


@needs_git
def test_commit_and_whether_anything_changed_since(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert len(commit) == 40
    assert git_state(repository) == Git(commit=commit, dirty=False)
    assert git_state(repository / "inner") == Git(commit=commit, dirty=False)
    (repository / "dist").mkdir()
    (repository / "dist" / "net.onnx").write_text("made")
    assert git_state(repository) == Git(commit=commit, dirty=False)
    (repository / "file").write_text("2")
    assert git_state(repository / "inner") == Git(commit=commit, dirty=True)
    git(repository, "add", "file")
    assert git_state(repository) == Git(commit=commit, dirty=True)
    git(repository, "commit", "--quiet", "--message", "two")
    assert git_state(repository) == Git(commit=git(repository, "rev-parse", "HEAD"), dirty=False)


@needs_git
def test_repository_of_sha256_has_longer_names(tmp_path):
    git(tmp_path, "init", "--quiet", "--object-format=sha256")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "one")
    state = git_state(tmp_path)
    assert state is not None
    assert len(state.commit) == 64


@needs_git
def test_there_is_none_without_a_repository_or_a_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / "nothing") is None


@needs_git
def test_a_hook_of_another_repository_changes_nothing(repository, tmp_path, monkeypatch):
    """Git runs hooks with these variables set."""
    expected = git_state(repository)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert git_state(repository) == expected


@needs_git
def test_no_program_that_the_repository_names_is_run(repository, tmp_path):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))
    assert git_state(repository) is not None
    assert not (tmp_path / "ran").exists()


def test_there_is_none_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None


@pytest.mark.parametrize(
    "script",
    ["exec sleep 600", "echo nonsense", "exit 128", "echo c0de; exit 0", "printf '\\377'"],
    ids=["never answers", "nonsense", "fails", "a short commit", "no text"],
)
def test_there_is_none_if_git_does_not_answer(tmp_path, monkeypatch, script):
    (tmp_path / "git").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("mbexport.provenance.git._TIMEOUT_S", 0.2)
    assert git_state(tmp_path) is None
