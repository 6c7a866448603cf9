"""`mbexport rebuild`: what it compares, what it refuses, and its exit codes; heavy stages are stand-ins."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from golden_by_hand import OUTPUT as GOLDEN_OUTPUT
from keras_by_hand import write_keras
from PIL import Image

from mbexport.cli import run
from mbexport.errors import StageError
from mbexport.fingerprint import THREADS_VARIABLE
from mbexport.provenance.manifest import FileFacts
from mbexport.provenance.read_manifest import read_manifest

VECTORS = {f"golden/{name}" for name in ("golden.json", "case_0/raw.rgb", "case_0/resized.rgb", GOLDEN_OUTPUT)}
FILES = {"net_fp32.onnx", "labels.txt", *VECTORS}
PROOF = {"manifest.json", "provenance.intoto.json", "sbom.cdx.json"}
OTHER = b"other bytes"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder, with photos and a model in it."""
    for name, least in (("dark", 0), ("light", 150)):
        (tmp_path / "here" / "photos" / name).mkdir(parents=True)
        for i in range(40):
            Image.fromarray(np.full((2, 2, 3), least + i, np.uint8)).save(tmp_path / f"here/photos/{name}/{i:02}.png")
    write_keras(tmp_path / "here" / "net.keras")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Where the first test leaves its photos, its model and the output of its export for the others."""
    return tmp_path_factory.mktemp("finished") / "here"


@pytest.fixture
def exported(stand_ins, here, capfd, finished) -> Path:
    """The manifest of an export."""
    if finished.is_dir():
        shutil.copytree(finished, here, dirs_exist_ok=True)
    else:
        words = ["--model", "net.keras", "--data", "photos", "--format", "onnx", "--out", "out"]
        assert run(["export", *words, "--threads", "2", "--gate", "agreement=1.01"]) == 1
        capfd.readouterr()
        shutil.copytree(here, finished)
    return here / "out" / "manifest.json"


@pytest.fixture
def rebuild(capfd):
    """Exit code, stdout and stderr of `mbexport rebuild`."""

    def start(*arguments: object) -> tuple[int, str, str]:
        code = run(["rebuild", *map(str, arguments)])
        return code, *capfd.readouterr()

    return start


def edit(manifest: Path, **changed: object) -> None:
    manifest.write_text(json.dumps({**json.loads(manifest.read_bytes()), **changed}))


def test_manifest_says_what_was_asked_for_and_read(exported):
    told = json.loads(exported.read_bytes())
    assert (told["command"], told["options"]["model"], told["options"]["format"]) == ("export", "net.keras", ["onnx"])
    assert {name: each["name"] for name, each in told["inputs"].items()} == {"model": "net.keras", "data": "photos"}
    assert {name for name, each in told["files"].items() if each.get("repeats", True)} == FILES


def test_same_bytes_exit_with_0_and_leave_nothing(exported, rebuild, here, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*")}
    code, printed, _ = rebuild("--check", exported)
    lines = "".join(f"same      {name}\n" for name in sorted(FILES))
    assert (code, printed) == (0, f"{lines}SAME: every byte\n")
    assert list((tmp_path / "temporary").iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*")} == before


def test_options_of_bundles_that_an_earlier_version_ignored_are_ignored_again(exported, rebuild):
    options = json.loads(exported.read_bytes())["options"]
    edit(exported, options={**options, "zip": True, "bundle-version": "1.0.0", "android-package": "com.acme.x"})
    assert rebuild("--check", exported)[0] == 0


def test_only_stages_that_decide_bytes_run_and_none_is_reused(exported, rebuild, stand_ins):
    stand_ins.tried_on.clear()
    _, _, errors = rebuild("--check", exported)
    stages = [line.split()[0] for line in errors.splitlines()]
    assert stages == ["check-images", "import", "tflite-fp32", "onnx-fp32", "golden", "hash-images"]
    assert "reused" not in errors
    assert stand_ins.tried_on == []


def test_another_byte_exits_with_1_and_says_which(exported, rebuild, stand_ins):
    content = bytearray((exported.parent / "net_fp32.onnx").read_bytes())
    content[41] ^= 1
    stand_ins.network.write_bytes(content)
    code, printed, _ = rebuild("--check", exported)
    listed = read_manifest(exported).files["net_fp32.onnx"].sha256
    assert code == 1
    assert f"differs   net_fp32.onnx: sha256 must be {listed}, got {FileFacts.of(bytes(content)).sha256}" in printed
    assert ", first at byte 41\n" in printed
    assert printed.endswith("DIFFERENT\n")


def test_json_is_all_there_is_on_stdout(exported, rebuild, stand_ins):
    (exported.parent / "net_fp32.onnx").unlink()
    stand_ins.network.write_bytes(OTHER)
    code, printed, _ = rebuild("--check", exported, "--json")
    told = json.loads(printed)
    assert (code, told["schema"], told["same"], told["tools"]) == (1, 1, False, {})
    assert told["files"][-1] == {
        "file": "net_fp32.onnx",
        "status": "differs",
        "listed_sha256": read_manifest(exported).files["net_fp32.onnx"].sha256,
        "sha256": FileFacts.of(OTHER).sha256,
        "first_difference": None,  # the delivered file is not there
    }


def test_other_versions_and_another_machine_are_told(exported, rebuild):
    told = json.loads(exported.read_bytes())
    told["tool"]["libraries"]["numpy"] = "1.26.0"
    told["tool"]["environment"]["cores"] = "640"
    edit(exported, tool={**told["tool"], "code": "0" * 64})
    code, printed, _ = rebuild("--check", exported)
    assert code == 0
    assert f"numpy is {np.__version__} here and was 1.26.0 where the manifest was written\n" in printed
    assert f"cores is {len(os.sched_getaffinity(0))} here and was 640 where the manifest was written\n" in printed
    assert "code is " in printed


@pytest.mark.parametrize(
    ("listed", "told", "seen"), [("7", None, "7"), ("7", "3", "3"), ("0", None, None), ("no number", None, None)]
)
def test_numbers_are_added_up_on_as_many_cores_as_then(request, monkeypatch, listed, told, seen):
    exported, rebuild, stand_ins = map(request.getfixturevalue, ("exported", "rebuild", "stand_ins"))
    manifest = json.loads(exported.read_bytes())
    manifest["tool"]["environment"]["cores"] = listed
    edit(exported, tool=manifest["tool"])
    monkeypatch.delenv(THREADS_VARIABLE, raising=False)
    if told:
        monkeypatch.setenv(THREADS_VARIABLE, told)
    made = stand_ins.tflite
    caught = []

    def watched(*arguments):
        caught.append(os.environ.get(THREADS_VARIABLE))
        return made(*arguments)

    monkeypatch.setattr(stand_ins, "tflite", watched)
    assert rebuild("--check", exported)[0] == 0
    assert caught == [seen]
    assert os.environ.get(THREADS_VARIABLE) == told


def test_files_are_kept_where_that_is_asked_for(exported, rebuild, here):
    code, printed, _ = rebuild(exported, "--keep", "kept")
    assert (code, printed) == (0, "files: kept/\n")
    kept = {str(path.relative_to("kept")) for path in Path("kept").rglob("*") if path.is_file()}
    assert {name for name in kept if not name.startswith(".mbexport")} == FILES | PROOF
    assert read_manifest(here / "kept" / "manifest.json").recipe == read_manifest(exported).recipe


def test_files_that_were_there_before_are_neither_compared_nor_harmed(exported, rebuild, here):
    (here / "kept").mkdir()
    (here / "kept" / "notes.txt").write_text("precious")
    for _ in range(2):
        assert rebuild("--check", exported, "--keep", "kept")[0] == 0
    assert (here / "kept" / "notes.txt").read_text() == "precious"


def test_inputs_may_have_moved(exported, rebuild, here):
    (here / "photos").rename(here.parent / "moved")
    (here / "net.keras").rename(here / "other.keras")
    code, _, errors = rebuild("--check", exported)
    assert (code, errors.count("\n")) == (2, 1)
    assert "(the manifest has --model net.keras, --data photos; give an option for what has moved)" in errors
    # Artifacts are called as their model was then.
    assert rebuild("--check", exported, "--data", here.parent / "moved", "--model", "other.keras")[0] == 0
    assert rebuild("--check", exported, "--data", "../moved", "--model", here / "other.keras")[0] == 0


def test_file_that_is_not_listed_and_one_that_is_not_made_are_differences(exported, rebuild):
    files = json.loads(exported.read_bytes())["files"]
    edit(exported, files={"labels.txt": files["labels.txt"], "more.onnx": files["net_fp32.onnx"]})
    code, printed, _ = rebuild("--check", exported)
    facts = files["net_fp32.onnx"]["sha256"]
    assert code == 1
    assert f"missing   more.onnx: sha256 must be {facts}, got no file\n" in printed
    assert f"unlisted  net_fp32.onnx: sha256 must be absent, got {facts}\n" in printed


def test_images_written_at_another_time_are_the_same_images(exported, rebuild, here):
    shutil.copytree(here / "photos", here / "copied", copy_function=shutil.copyfile)
    assert rebuild("--check", exported, "--data", "copied")[0] == 0


def test_golden_images_are_an_input_like_any_other(exported, rebuild, stand_ins, here, capfd):
    (here / "seen").mkdir()
    Image.fromarray(np.full((2, 2, 3), 7, np.uint8)).save(here / "seen" / "a.png")
    words = ["--model", "net.keras", "--data", "photos", "--format", "onnx", "--out", "out"]
    assert run(["export", *words, "--golden", "seen"]) in (0, 1)
    capfd.readouterr()
    images, is_labelled = stand_ins.golden_of[-1]
    assert ([Path(name).name for name in images.names], is_labelled) == (["a.png"], False)
    assert set(read_manifest(exported).inputs) == {"model", "data", "golden"}
    (here / "seen").rename(here / "moved")
    assert rebuild("--check", exported)[0] == 2
    assert rebuild("--check", exported, "--golden", "moved")[0] == 0
    Image.fromarray(np.full((2, 2, 3), 8, np.uint8)).save(here / "moved" / "a.png")
    code, _, errors = rebuild("--check", exported, "--golden", "moved")
    assert (code, "--golden must hold what the manifest was made from" in errors) == (2, True)


@pytest.mark.parametrize("change", ["one byte", "renamed", "added", "removed"])
def test_other_images_are_refused_before_any_stage(exported, rebuild, here, change):
    file = here / "photos" / "dark" / "07.png"
    if change == "one byte":
        Image.fromarray(np.full((2, 2, 3), 99, np.uint8)).save(file)
    elif change == "renamed":
        file.rename(file.with_name("77.png"))
    elif change == "added":
        shutil.copy(file, file.with_name("77.png"))
    else:
        file.unlink()
    code, printed, errors = rebuild("--check", exported)
    assert (code, printed) == (2, "")
    assert errors.startswith("Error: --data must hold what the manifest was made from, photos with ")
    assert errors.count("\n") == 1


def test_another_model_is_refused(exported, rebuild, here):
    with (here / "net.keras").open("ab") as file:
        file.write(b"more")
    code, _, errors = rebuild("--check", exported)
    assert code == 2
    assert errors.startswith("Error: --model must hold what the manifest was made from, net.keras with ")


def test_code_that_was_trusted_once_is_not_run_again_unasked(exported, rebuild):
    edit(exported, options={**json.loads(exported.read_bytes())["options"], "trust": True})
    code, _, errors = rebuild("--check", exported)
    assert code == 2
    assert "give --trust to run it again" in errors
    assert rebuild("--check", exported, "--trust")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --check, --keep DIR or both, got neither"),
        (["--keep", "kept", "--json"], "--json prints a comparison: give --check, got --keep alone"),
        (["--keep", "out"], "--keep must be another folder than the manifest's, got out"),
        (["--check", "--ranges", "r.json"], "out/manifest.json records no --ranges; drop the option\n"),
    ],
)
def test_misuse_is_one_line(exported, rebuild, arguments, said):
    code, printed, errors = rebuild(exported, *arguments)
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("Error: ")
    assert said in errors


@pytest.mark.parametrize(
    "changed", [{"command": "verify"}, {"options": {"model": "net.keras", "data": "photos", "new": 1}}, {"schema": 3}]
)
def test_manifest_that_cannot_be_followed_is_one_line(exported, rebuild, changed):
    edit(exported, **changed)
    code, printed, errors = rebuild("--check", exported)
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert "manifest.json" in errors


def test_stage_that_fails_exits_with_3(exported, rebuild, stand_ins, monkeypatch):
    def fail(*_given, **_named):
        raise StageError("out of memory")

    monkeypatch.setattr(stand_ins, "read_network", fail)
    code, printed, errors = rebuild("--check", exported)
    assert (code, printed) == (3, "")
    assert errors.endswith("Error: out of memory\n")
