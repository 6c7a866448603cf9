"""Shell completion: scripts for three shells, and what completes a word; commands are loaded only where that helps."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mbexport.cli import run

HEAVY = {"numpy", "tensorflow", "rich"}


@pytest.fixture
def completed(monkeypatch, capsys):
    """The kinds and values that complete the last word of a command line."""

    def ask(line: str) -> list[tuple[str, str]]:
        words = line.split(" ")
        monkeypatch.setenv("_MBEXPORT_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        assert run([]) == 0
        shown = capsys.readouterr()
        assert shown.err == ""
        return [(kind, value) for kind, _, value in (each.partition(",") for each in shown.out.splitlines() if each)]

    return ask


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_each_shell_has_its_script(shell, monkeypatch, capsys):
    monkeypatch.setenv("_MBEXPORT_COMPLETE", f"{shell}_source")
    assert run([]) == 0
    script = capsys.readouterr().out
    assert f"_MBEXPORT_COMPLETE={shell}_complete" in script
    assert "--command mbexport" in script or "compdef _mbexport_completion mbexport" in script


def test_an_unknown_shell_is_bad_input(monkeypatch, capsys):
    monkeypatch.setenv("_MBEXPORT_COMPLETE", "csh_source")
    assert run([]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mbexport b", {"build", "bench", "bundle"}),
        ("mbexport build --al", {"--alpha"}),
        ("mbexport build --config missing.toml --al", {"--alpha"}),
        ("mbexport build --conv ", {"separable", "standard"}),
        ("mbexport export --precision int", {"int8", "int16x8"}),
        ("mbexport nope --al", set()),
    ],
)
def test_words_are_completed(line, expected, completed):
    found = completed(line)
    assert {value for _, value in found} == expected
    assert {kind for kind, _ in found} <= {"plain"}


@pytest.mark.parametrize("line", ["mbexport build --data ", "mbexport export --model ", "mbexport verify "])
def test_where_a_file_is_wanted_the_shell_completes_its_own(line, completed):
    assert [kind for kind, _ in completed(line)] == ["file"]


@pytest.mark.parametrize(("words", "commands"), [("mbexport b", False), ("mbexport build --al", True)])
def test_completing_a_command_loads_none_and_completing_an_option_nothing_heavy(words, commands):
    code = (
        "import sys; from mbexport.cli import run; code = run([]); "
        "print('mbexport.commands' in sys.modules, "
        f"sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_MBEXPORT_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, f"{commands} []\n")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_a_command_by_the_script():
    installed = Path(sys.executable).parent / "mbexport"  # not resolved: the environment's own scripts
    program = (
        f'eval "$(_MBEXPORT_COMPLETE=bash_source {installed})"; complete -p mbexport; '
        f"COMP_WORDS=(mbexport bui); COMP_CWORD=1; _mbexport_completion {installed}; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "complete -o nosort -F _mbexport_completion mbexport\nbuild\n", done.stderr
