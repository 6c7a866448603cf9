"""Tests of action.yml: its steps as plain shell, with a stand-in for mbexport; its colour, its uploads, its cache."""

import shutil

import pytest
from ci.composite import Job

pytestmark = pytest.mark.run  # a whole job, in an environment of its own


SECRET = "32 letters of a secret, or more of them"
ALWAYS = ["Set up Python", "Install mbexport", "Name the stages", "Fetch finished stages", "Build", "Check every file"]
UPLOADS = ["Upload the bundles", "Upload the reports", "Verdict"]


@pytest.fixture
def done(job, stand_in):
    """Runs a job whose mbexport is the stand-in; the job and its outputs."""

    def run(arguments: str = "", **inputs: str) -> tuple[Job, dict[str, str]]:
        made = job(arguments=arguments, given={"install": stand_in}, **{"cache_secret": SECRET, **inputs})
        return made, made.run()

    return run


def uploaded(job: Job) -> dict[str, list[str]]:
    """The files of each uploaded artifact."""
    files = [path.relative_to(job.uploads) for path in job.uploads.rglob("*") if path.is_file()]
    names = {path.parts[0] for path in files}
    return {name: sorted("/".join(path.parts[1:]) for path in files if path.parts[0] == name) for name in names}


@pytest.mark.parametrize(("code", "passed"), [(0, "true"), (1, "false"), (2, "false"), (3, "false"), (130, "false")])
def test_the_job_has_the_colour_of_the_exit_code(done, code, passed):
    job, outputs = done(f"--exit {code}")

    assert job.passed is (code == 0)
    assert (outputs["exit-code"], outputs["passed"]) == (str(code), passed)
    assert job.ran[-1] == "Verdict"


@pytest.mark.parametrize("code", [0, 1])
def test_a_red_job_uploads_what_a_green_one_does(done, code):
    job, outputs = done(f"--exit {code}", name="net", out="made/here")

    assert uploaded(job) == {
        "net": ["android/library.aar", "check-exit", "junit.xml", "manifest.json", "report.json"],
        "net-reports": ["junit.xml", "report.json"],
    }
    assert outputs["report"] == "made/here/report.json"
    assert (job.folder / "summary.md").read_text() == ("FAILED" if code else "PASSED")


def test_the_gates_that_failed_are_annotated_and_no_others(done):
    red, _ = done("--exit 1")
    green, _ = done("--exit 0")

    wanted = "::error title=gate top1_drop::top1_drop: 50%25, <= 2.3%0A100 images"
    assert wanted in red.log.splitlines()
    assert "title=gate samples" not in red.log
    assert "::error" not in green.log


def test_a_file_that_is_not_as_the_manifest_says_makes_a_green_build_red(done):
    job, outputs = done("--exit 0 --check-exit 1")

    assert (job.passed, outputs["passed"], outputs["exit-code"]) == (False, "false", "1")
    assert set(uploaded(job)) == {"mbexport", "mbexport-reports"}


def test_what_was_never_made_is_neither_checked_nor_uploaded(done):
    job, _ = done("--exit 2")

    assert not job.passed
    assert uploaded(job) == {}
    assert list(job.caches.iterdir()) == []


def test_arguments_are_words_and_nothing_in_them_is_executed(done):
    job, outputs = done("""--words got '$(touch a)' "b; touch b" `touch c` --exit 0 --x '#'""")

    got = (job.workspace / "got").read_text().split("\0")
    words = ["--words", "got", "$(touch a)", "b; touch b", "`touch", "c`", "--exit", "0", "--x", "#"]
    assert got == ["build", *words, "--out=dist/mbexport"]
    assert sorted(path.name for path in job.workspace.iterdir()) == ["dist", "got"]
    assert outputs["exit-code"] == "0"


@pytest.mark.parametrize("inputs", [{"command": "doctor"}, {"command": "build; true"}, {"arguments": "--data 'my"}])
def test_what_cannot_be_called_is_bad_input(job, stand_in, inputs):
    made = job(given={"install": stand_in}, **inputs)
    outputs = made.run()

    assert (outputs["exit-code"], made.passed) == ("2", False)
    assert "Error: " in made.log


def test_the_workspace_s_own_modules_are_not_taken_for_ours(job, stand_in):
    made = job(given={"install": stand_in}, arguments="--exit 0")
    for name in ("mbexport.py", "shlex.py", "json.py"):
        (made.workspace / name).write_text("raise SystemExit(99)")

    assert made.run()["exit-code"] == "0"


def test_stages_are_kept_for_the_next_run_and_not_written_again_without_need(done):
    first, _ = done("--exit 1 --stage train")  # red, and yet kept
    kept = [folder.name for folder in first.caches.iterdir()]
    second, _ = done("--exit 1 --stage train")
    other, _ = done("--exit 0 --stage quantize")

    assert first.ran == [*ALWAYS, "Keep finished stages", *UPLOADS]
    assert second.ran == [*ALWAYS, *UPLOADS]
    assert (second.workspace / "dist/mbexport/.mbexport/stages/train/record.json").exists()
    # Other options begin with the stages of the same code.
    assert (other.workspace / "dist/mbexport/.mbexport/stages/train/record.json").exists()
    assert len(kept) == 1
    assert len(list(first.caches.iterdir())) == 2


def test_without_cache_and_upload_nothing_leaves_the_job(done):
    job, outputs = done("--exit 0", cache="false", upload="false")

    assert outputs["passed"] == "true"
    assert job.ran == ["Set up Python", "Install mbexport", "Build", "Check every file", "Verdict"]
    assert list(job.caches.iterdir()) == []


def test_without_a_secret_no_stage_is_kept_that_nobody_could_reuse(done):
    job, outputs = done("--exit 0 --stage train", cache_secret="")

    assert outputs["passed"] == "true"
    assert not {"Name the stages", "Fetch finished stages", "Keep finished stages"} & set(job.ran)
    assert list(job.caches.iterdir()) == []


def test_an_environment_that_cannot_be_installed_is_red_and_leaves_nothing(job):
    made = job(package="./no-such-folder")
    outputs = made.run()

    assert not made.passed
    assert outputs["passed"] == ""
    assert uploaded(made) == {}
    assert list(made.caches.iterdir()) == []


def test_what_a_step_that_broke_has_left_is_uploaded(job, stand_in):
    whole = job(given={"install": stand_in}, arguments="--exit 0")
    whole.run()
    broken = job(given={"install": {"python": "/no/such/python"}}, cache_secret=SECRET)
    shutil.copytree(whole.workspace / "dist", broken.workspace / "dist")
    broken.run()

    assert not broken.passed
    assert uploaded(broken) == uploaded(whole)
    assert broken.ran == ["Set up Python", "Install mbexport", "Name the stages", *UPLOADS[:2]]


def test_it_installs_into_an_empty_environment_and_runs(job, stand_in_wheel):
    made = job(package=str(stand_in_wheel), arguments="--exit 0")
    outputs = made.run()

    assert (made.passed, outputs["passed"]) == (True, "true"), made.log
    assert "mbexport, version 0" in made.log
    assert made.steps["install"]["python"].startswith(str(made.folder / "temp"))


@pytest.mark.parametrize("arguments", ["--help", "--dry-run", "--int8 --help"])
@pytest.mark.parametrize("is_stale", [False, True])
def test_a_build_that_made_nothing_is_red_whatever_lies_there(job, stand_in, arguments, is_stale):
    made = job(given={"install": stand_in}, arguments=arguments)
    if is_stale:
        whole = job(given={"install": stand_in}, arguments="--exit 0")
        whole.run()
        shutil.copytree(whole.workspace / "dist", made.workspace / "dist")
    outputs = made.run()

    assert (made.passed, outputs["passed"], outputs["exit-code"]) == (False, "false", "2")
    assert "must make a result in the folder out" in made.log
    assert uploaded(made) == {}


@pytest.mark.parametrize("out", ["--help", "--version", "-h", "-x", "$(id)"])
def test_a_folder_is_called_as_the_user_says_and_no_option(done, out):
    job, outputs = done("--exit 0", out=out)

    assert (job.passed, outputs["passed"]) == (True, "true")
    assert [path.name for path in job.workspace.iterdir()] == [out.split("/")[0]]
    red, outputs = done("--exit 0 --check-exit 1", out=out)
    assert (red.passed, outputs["exit-code"]) == (False, "1")


@pytest.mark.parametrize("public_key", ["--help", "key.pem --help"])
def test_a_key_is_one_argument(done, public_key):
    job, _ = done("--exit 0 --check-exit 1", public_key=public_key)

    assert not job.passed
