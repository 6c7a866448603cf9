"""Run a composite action without GitHub: each `run:` by bash, and what the job leaves behind.

What the actions of others do is played here: Python is this one, caches and uploads are folders.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

_EXPRESSION: Final = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_TOKEN: Final = re.compile(r"'[^']*'|&&|\|\||[=!]=|!|[()]|always\(\)|[\w.-]+")
_OPERATORS: Final = {"&&": "and", "||": "or", "!": "not", "==": "==", "!=": "!=", "(": "(", ")": ")"}


@dataclass(kw_only=True)
class Job:
    """One run of an action in a workspace; `folder` gets what a runner keeps outside of it.

    `given` are the outputs of steps that are not run, by their id.
    """

    action: Path
    inputs: Mapping[str, str]
    workspace: Path
    folder: Path
    environment: Mapping[str, str]
    caches: Path
    run_id: int = 1
    given: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    steps: dict[str, dict[str, str]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    log: str = ""
    passed: bool = True

    @property
    def uploads(self) -> Path:
        """The folder with one folder for each uploaded artifact."""
        return self.folder / "uploads"

    def run(self) -> dict[str, str]:
        """Runs every step; the action's outputs. Afterwards `passed` is the job's colour, `log` what was printed."""
        content = yaml.safe_load((self.action / "action.yml").read_text("utf-8"))
        defaults = {name: entry.get("default", "") for name, entry in content["inputs"].items()}
        unknown = set(self.inputs) - set(defaults)
        assert not unknown, unknown
        self.inputs = defaults | dict(self.inputs)
        (self.folder / "temp").mkdir(parents=True)
        for step in content["runs"]["steps"]:
            if self._is_due(step.get("if", "")):
                self._step(step)
        return {name: self.text(entry["value"]) for name, entry in content["outputs"].items()}

    def text(self, template: object) -> str:
        """`template` with each `${{ expression }}` replaced."""
        return _EXPRESSION.sub(lambda found: str(self._value(found[1])), str(template))

    def _value(self, expression: str) -> Any:
        """What an expression of names, strings and operators is; a name that nobody wrote is the empty string."""
        words = [_OPERATORS.get(word) or repr(self._named(word)) for word in _TOKEN.findall(expression)]
        return eval(" ".join(words), {"__builtins__": {}})  # nothing but literals and operators is left

    def _named(self, word: str) -> Any:
        if word.startswith("'") or word == "always()":
            return word == "always()" or word[1:-1]
        context, *path = word.split(".")
        if context == "inputs":
            return self.inputs[path[0]]
        assert (context, path[1:2]) == ("steps", ["outputs"]), word
        return self.steps.get(path[0], {}).get(path[2], "")

    def _is_due(self, condition: str) -> bool:
        """As GitHub has it: after a failure only what says always()."""
        if not self.passed and "always()" not in condition:
            return False
        return not condition or bool(self._value(_EXPRESSION.sub(r"\1", condition)))

    def _step(self, step: Mapping[str, Any]) -> None:
        self.ran.append(step["name"])
        name = step.get("id", "")
        if name in self.given:
            self.steps[name] = dict(self.given[name])
        elif "run" in step:
            self._shell(step, self.folder / f"outputs-{len(self.ran)}")
        else:
            options = {option: self.text(value) for option, value in step["with"].items()}
            _PLAYED[step["uses"].split("@")[0]](self, options)

    def _shell(self, step: Mapping[str, Any], outputs: Path) -> None:
        outputs.touch()
        environment = {
            **self.environment,
            "GITHUB_ACTION_PATH": str(self.action),
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_RUN_ID": str(self.run_id),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_JOB": "job",
            "RUNNER_TEMP": str(self.folder / "temp"),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            **{name: self.text(value) for name, value in step.get("env", {}).items()},
        }
        assert step["shell"] == "bash"
        # The options with which GitHub calls bash.
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(
            command, cwd=self.workspace, env=environment, capture_output=True, text=True, check=False, timeout=3600
        )
        self.log += done.stdout + done.stderr
        self.passed = self.passed and done.returncode == 0
        pairs = (line.partition("=") for line in outputs.read_text("utf-8").splitlines())
        self.steps[step.get("id", "")] = {key: value for key, _, value in pairs}

    def _restore(self, options: Mapping[str, str]) -> None:
        wanted = [options["key"], *options["restore-keys"].split()]
        for beginning in wanted:
            found = sorted(self.caches.glob(f"{beginning}*"), key=os.path.getmtime)
            if found:
                shutil.copytree(found[-1], self.workspace / options["path"], dirs_exist_ok=True)
                return

    def _save(self, options: Mapping[str, str]) -> None:
        source, target = self.workspace / options["path"], self.caches / options["key"]
        if source.is_dir() and not target.exists():
            shutil.copytree(source, target)

    def _upload(self, options: Mapping[str, str]) -> None:
        """Copies what is named; hidden files stay behind, as upload-artifact's default has it."""
        for path in options["path"].split():
            source = self.workspace / path.removeprefix("!")
            target = self.uploads / options["name"]
            if path.startswith("!"):
                assert not (target / source.name).exists()
            elif source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)
            elif source.is_file():
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target / source.name)


_PLAYED: Final[Mapping[str, Callable[[Job, Mapping[str, str]], None]]] = {
    "actions/setup-python": lambda job, options: None,
    "actions/cache/restore": Job._restore,
    "actions/cache/save": Job._save,
    "actions/upload-artifact": Job._upload,
}
