"""Others' linters and published schemas read the files of CI and Docker."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from clients.environments import ROOT, ProcessError, UnreachableError, node_with, python_with, run

pytestmark = pytest.mark.client

HERE = Path(__file__).resolve().parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = [*sorted((ROOT / ".github" / "steps").glob("*.sh")), ROOT / ".ci" / "run"]
SCRIPTS += sorted((ROOT / "tests" / "docker").glob("*.sh"))
IMAGES = sorted((ROOT / "docker").glob("Dockerfile*"))
SCHEMAS = {
    "github-actions": [ROOT / "action.yml"],
    "github-workflows": WORKFLOWS,
    "dependabot": [ROOT / ".github" / "dependabot.yml"],
    "gitlab-ci": [ROOT / ".gitlab" / "mbexport.yml"],
    "compose-spec": [ROOT / "docker" / "compose.yaml"],
}
BAD_WORKFLOW = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ githup.sha }}\n"


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the linters' programs."""
    try:
        return python_with(HERE / "requirements-lint.txt").parent
    except UnreachableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """The program actionlint, with shellcheck beside it. Its package fetches it from where it is released."""
    try:
        return python_with(HERE / "requirements-actionlint.txt").parent / "actionlint"
    except UnreachableError as reason:
        pytest.skip(str(reason))
    except ProcessError as failure:
        if "download failed for" not in failure.output:
            raise
        pytest.skip("the place where actionlint is released does not answer")


@pytest.fixture(scope="session")
def actionlint_of_node():
    """What actionlint, compiled for WebAssembly, says of files: from a registry alone, and without shellcheck."""
    try:
        folder = node_with(HERE / "node")
    except UnreachableError as reason:
        pytest.skip(str(reason))
    return lambda *files: json.loads(run(["node", HERE / "node" / "lint.cjs", folder, *files], is_ours=False))


def said(*command: object) -> str:
    """What a linter prints, whatever it found."""
    return run(command, is_ours=False, allowed=range(256), cwd=ROOT)


def test_actionlint_has_nothing_to_say(actionlint):
    assert said(actionlint, "-shellcheck", actionlint.with_name("shellcheck"), *WORKFLOWS) == ""


def test_actionlint_of_node_has_nothing_to_say_of_ours_but_of_a_bad_one(actionlint_of_node, tmp_path):
    bad = tmp_path / "bad.yml"
    bad.write_text(BAD_WORKFLOW)

    assert actionlint_of_node(*WORKFLOWS) == []
    assert "githup" in json.dumps(actionlint_of_node(bad))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_it_is_as_the_published_schema_says(programs, schema, tmp_path):
    check = [programs / "python", "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    bad = tmp_path / "bad.yml"
    bad.write_text("- no object at all\n")

    run([*check, *SCHEMAS[schema]], is_ours=False)
    with pytest.raises(ProcessError):
        run([*check, bad], is_ours=False)


def test_a_job_that_extends_the_gitlab_template_is_as_the_schema_says(programs, tmp_path):
    template = yaml.safe_load((ROOT / ".gitlab" / "mbexport.yml").read_text("utf-8"))[".mbexport"]
    file = tmp_path / "extended.yml"  # what GitLab makes of `extends`: a hidden job need not be whole, this one must
    file.write_text(yaml.safe_dump({"mobilenet": {**template, "stage": "build"}}))

    run([programs / "python", "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", file], is_ours=False)


def test_zizmor_finds_nothing_to_attack(programs, tmp_path):
    bad = tmp_path / "action.yml"
    text = (ROOT / "action.yml").read_text("utf-8")
    shell = """run: '"$PYTHON" -P "$GITHUB_ACTION_PATH/.github/steps/build.py"'"""
    assert shell in text
    bad.write_text(text.replace(shell, "run: mbexport ${{ inputs.arguments }}"))

    files = [ROOT / "action.yml", *WORKFLOWS, ROOT / ".github" / "dependabot.yml"]
    # Less than medium is a matter of taste, such as syntax that only the newest runners know.
    zizmor = [programs / "zizmor", "--offline", "--min-severity", "medium", "--format", "json"]
    assert json.loads(said(*zizmor, *files)) == []
    found = json.loads(said(*zizmor, bad))
    assert [finding["ident"] for finding in found] == ["template-injection"]


def test_shellcheck_has_nothing_to_say_of_scripts_and_steps(programs, tmp_path):
    steps = []
    for file in [ROOT / "action.yml", *WORKFLOWS]:
        content = yaml.safe_load(file.read_text("utf-8"))
        jobs = [content["runs"]] if "runs" in content else content["jobs"].values()
        steps += [step["run"] for job in jobs for step in job.get("steps", ()) if "run" in step]
    gitlab = yaml.safe_load((ROOT / ".gitlab" / "mbexport.yml").read_text("utf-8"))[".mbexport"]
    steps.append("\n".join(gitlab["script"]))
    for number, step in enumerate(steps):
        (tmp_path / f"{number}.sh").write_text(f"#!/usr/bin/env bash\n{step}\n")

    assert said(programs / "shellcheck", *SCRIPTS, *tmp_path.glob("*.sh")) == ""


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_hadolint_has_nothing_to_say(programs, image):
    assert said(programs / "hadolint", "--no-color", image) == ""


def test_hadolint_speaks(programs, tmp_path):
    bad = tmp_path / "Dockerfile"
    shutil.copyfile(ROOT / "docker" / "Dockerfile", bad)
    bad.write_text(bad.read_text().replace("/opt/mbexport/bin/pip install", "pip install numpy &&", 1))

    assert "DL3013" in said(programs / "hadolint", "--no-color", bad)
