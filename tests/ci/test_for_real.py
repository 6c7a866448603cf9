"""The action and the GitLab job with the real mbexport: installed into an empty environment, run, uploaded."""

import hashlib
import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from clients.environments import ROOT

# Minutes of installing and training; pip has to reach its index.
pytestmark = [pytest.mark.slow, pytest.mark.client, pytest.mark.timeout(3600)]

SMALL = "--alpha 0.25 --resolution 32 --epochs 24 --qat-epochs 1 --int8"
SECRET = "32 letters of a secret, or more of them"
STEM = "mobilenet_v1_0.25_32"


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    """A copy of the tracked files: what `uses: OWNER/mbexport@v1` fetches."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def require_whole(folder: Path) -> None:
    """Every file that the manifest names is there and holds what it says, the apps' bundles among them."""
    files = json.loads((folder / "manifest.json").read_text("utf-8"))["files"]
    assert {f"{STEM}_int8.tflite", f"{STEM}_int8.onnx", "labels.txt", "MODEL_CARD.md"} <= set(files)
    assert {name.split("/")[0] for name in files} >= {"android", "ios", "golden"}
    for name, facts in files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == facts["sha256"], name


def test_a_green_job_uploads_bundles_and_a_red_one_too(job, checkout):
    green = job(action=checkout, arguments=SMALL, cache_secret=SECRET)
    outputs = green.run()

    assert (green.passed, outputs["passed"], outputs["exit-code"]) == (True, "true", "0"), green.log
    require_whole(green.uploads / "mbexport")
    assert {file.name for file in (green.uploads / "mbexport-reports").iterdir()} == {
        "report.json",
        "report.html",
        "junit.xml",
        "MODEL_CARD.md",
    }
    assert "PASSED" in (green.folder / "summary.md").read_text("utf-8").upper()

    # The same environment, the stages of the job before, and a gate that nothing passes.
    given = {"install": green.steps["install"]}
    red = job(action=checkout, arguments=f"{SMALL} --gate above_chance=1000", given=given, cache_secret=SECRET)
    outputs = red.run()

    assert (red.passed, outputs["passed"], outputs["exit-code"]) == (False, "false", "1"), red.log
    require_whole(red.uploads / "mbexport")
    failed = ET.parse(red.uploads / "mbexport" / "junit.xml").findall(".//testcase[failure]")
    assert [case.get("name") for case in failed] == ["above_chance"]
    assert "::error title=gate above_chance::" in red.log
    assert "train          done" not in red.log
    models = [
        path.read_bytes() for made in (green, red) for path in sorted((made.uploads / "mbexport").glob("*.tflite"))
    ]
    assert models[: len(models) // 2] == models[len(models) // 2 :]

    wrong = job(action=checkout, arguments="--alpha 3", given=given)
    assert (wrong.run()["exit-code"], wrong.passed) == ("2", False)


def test_a_red_gitlab_job_keeps_what_was_made(checkout, empty_environment, tmp_path):
    template = yaml.safe_load((checkout / ".gitlab" / "mbexport.yml").read_text("utf-8"))[".mbexport"]
    given = {"MBEXPORT_PACKAGE": str(checkout), "MBEXPORT_CONSTRAINTS": str(checkout / "constraints.txt")}
    given |= {"MBEXPORT_ARGUMENTS": f"{SMALL} --gate above_chance=1000", "PIP_CACHE_DIR": str(tmp_path / "pip")}
    environment = {**empty_environment, **template["variables"], **given, "CI_JOB_ID": "7", "TMPDIR": str(tmp_path)}
    command = ["bash", "-c", "\n".join(["set -eo pipefail", *template["script"]])]
    folder = tmp_path / "workspace"
    folder.mkdir()

    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1, done.stdout + done.stderr
    require_whole(folder / template["artifacts"]["paths"][0])
    junit = ET.parse(folder / template["artifacts"]["reports"]["junit"])
    assert [case.get("name") for case in junit.findall(".//testcase[failure]")] == ["above_chance"]
    assert (folder / "summary.md").is_file()
