"""Tests of the action's scripts by themselves: keys, words, annotations; and of what no file of CI may do."""

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from clients.environments import ROOT
from hypothesis import example, given
from hypothesis import strategies as st

GIVEN = {
    "COMMAND": "build",
    "ARGUMENTS": "--int8",
    "EXTRA_KEY": "",
    "RUNNER_OS": "Linux",
    "RUNNER_ARCH": "X64",
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_JOB": "job",
}
FILES = [ROOT / "action.yml", *sorted((ROOT / ".github" / "workflows").glob("*.yml"))]


def script(name: str) -> ModuleType:
    """A script of the action as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".github" / "steps" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


annotations, build, key = script("annotations"), script("build"), script("key")


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_words_that_a_shell_would_read_are_the_words_that_mbexport_gets(words):
    got = build.arguments({"COMMAND": "export", "ARGUMENTS": shlex.join(words), "OUT": "out"})

    assert got == ["export", *words, "--out=out"]


@given(st.text(), st.booleans())
@example("50%0A", False)  # a text that holds what stands for another
@example("50%3A", True)
def test_an_annotation_is_one_line_that_reads_back_as_the_text(text, in_property):
    escaped = annotations.escaped(text, in_property=in_property)

    # As actions/runner reads a workflow command.
    read = escaped.replace("%2C", ",").replace("%3A", ":") if in_property else escaped
    assert read.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%") == text
    assert not set(escaped) & set("\r\n" + (":," if in_property else ""))


@given(st.sampled_from(["COMMAND", "ARGUMENTS", "EXTRA_KEY"]), st.text())
def test_other_options_share_no_stages_by_name_but_those_of_the_code(name, value):
    first, second = key.keys(GIVEN, 64 * "a"), key.keys({**GIVEN, name: value}, 64 * "a")

    assert (first["options"] == second["options"]) is (GIVEN[name] == value)
    assert first["code"] == second["code"] == "mbexport-Linux-X64-aaaaaaaaaaaaaaaa-"


def test_a_key_begins_as_the_keys_that_may_take_its_place_and_is_another_in_every_run():
    first, second = key.keys(GIVEN, 64 * "a"), key.keys({**GIVEN, "GITHUB_RUN_ID": "8"}, 64 * "a")

    assert first["key"].startswith(first["options"])
    assert first["options"].startswith(first["code"])
    assert (first["options"], first["key"]) == (second["options"], first["key"].replace("-8-", "-7-"))
    assert first["key"] != second["key"]
    assert key.keys(GIVEN, 64 * "b")["code"] != first["code"]


def steps_of(file: Path) -> list[dict[str, Any]]:
    """Every step of an action, or of a workflow's jobs, and jobs that call workflows."""
    content = yaml.safe_load(file.read_text("utf-8"))
    if "runs" in content:
        return content["runs"]["steps"]
    return [step for job in content["jobs"].values() for step in [*job.get("steps", ()), job]]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_expression_becomes_part_of_a_script(file):
    scripts = [step["run"] for step in steps_of(file) if "run" in step]

    assert scripts or file.name == "build-mobilenet.yml"
    assert [text for text in scripts if "${{" in text] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_not_ours_is_pinned_to_a_commit_with_its_version_beside_it(file):
    lines = re.findall(r"(?m)^[^#\n]*uses: (?!\./)(.*)", file.read_text("utf-8"))

    assert [line for line in lines if not re.fullmatch(r"actions/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("file", FILES[1:], ids=lambda file: file.name)
def test_workflows_may_read_and_nothing_else_and_end_in_time(file):
    content = yaml.safe_load(file.read_text("utf-8"))
    jobs = content["jobs"].values()

    assert content["permissions"] == {"contents": "read"}
    assert [job for job in jobs if "permissions" in job] == []
    assert [job for job in jobs if "uses" not in job and "timeout-minutes" not in job] == []


def test_the_workflow_s_inputs_are_the_action_s():
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["inputs"]
    workflow = yaml.safe_load((ROOT / ".github/workflows/build-mobilenet.yml").read_text("utf-8"))
    call = workflow[True]["workflow_call"]  # YAML 1.1 reads the key `on` as true
    inputs, secrets = call["inputs"], call["secrets"]
    (step,) = [step for step in workflow["jobs"]["build"]["steps"] if step.get("id") == "mbexport"]

    assert set(step["with"]) == set(action) & {*inputs, *secrets}
    assert {name: inputs[name]["default"] for name in step["with"] if name in inputs} == {
        name: action[name]["default"] for name in step["with"] if name in inputs
    }


@pytest.mark.parametrize("out", ["", "a\nb", "!a", "~/a", "#a", "a*", "a?", "a[b]", "\x1b", "a\u202e"])
def test_a_folder_that_later_steps_would_read_as_patterns_is_refused(out):
    with pytest.raises(ValueError, match="out must be the name of a folder") as refused:
        build.arguments({"COMMAND": "build", "ARGUMENTS": "", "OUT": out})
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("out", ["--help", "-x", "$(touch a)", "my models/net", "../net", "é"])
def test_a_folder_is_one_argument_whatever_it_is_called(out):
    assert build.arguments({"COMMAND": "build", "ARGUMENTS": "--int8", "OUT": out}) == [
        "build",
        "--int8",
        f"--out={out}",
    ]


@pytest.mark.parametrize("file", sorted((ROOT / ".github" / "steps").glob("*.sh")), ids=lambda file: file.name)
def test_no_text_of_a_user_is_a_word_that_could_be_an_option(file):
    """Each stands behind `--name=` or `--`, begins a path to something else, or is only asked whether it is there."""
    named = "(?:ARGUMENTS|COMMAND|CONSTRAINTS|EXTRA_KEY|OUT|PACKAGE|PUBLIC_KEY)"
    safe = rf'--[a-z]+="?\$\{{?{named}\b|-- "\$\{{{named}\b|"\$\{{{named}:\?\}}/|\$\{{{named}:\+(?=")'
    script = file.read_text("utf-8")

    assert len(re.findall(safe, script)) == len(re.findall(rf"\${{?{named}\b", script))
