"""`--dry-run`: what a run would do, held against what a run does; and that nothing is written by it."""

from pathlib import Path

import numpy as np
import pytest
from keras_by_hand import write_keras
from PIL import Image

from mbexport.cli import run
from mbexport.errors import OutputError
from mbexport.fingerprint import THREADS_VARIABLE
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.build import STAGES
from mbexport.pipeline.dry_run import PlannedStage, Status, planned
from mbexport.pipeline.plan import BuildPlan, Foreign, Stored

SMALL = ("--alpha", "0.25", "--resolution", "32", "--epochs", "1")
SPEC = ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=2)


@pytest.fixture
def photos(tmp_path) -> Path:
    """Eighty photos of two classes."""
    for name, least in (("dark", 0), ("light", 150)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(40):
            Image.fromarray(np.full((2, 2, 3), least + i, np.uint8)).save(tmp_path / "photos" / name / f"{i:02}.png")
    return tmp_path / "photos"


@pytest.fixture
def build(photos, tmp_path, capfd):
    """Builds on the photos: exit code and lines of stdout."""

    def start(*arguments: str) -> tuple[int, list[str]]:
        code = run(["build", *SMALL, "--data", str(photos), "--out", str(tmp_path / "out"), *arguments])
        return code, capfd.readouterr().out.splitlines()

    return start


def stages_in(lines: list[str]) -> dict[str, str]:
    """The stages that --dry-run lists, and what would become of each."""
    shown = lines[lines.index("stages:") + 1 :]
    found = [line.split(maxsplit=1) for line in shown[: next(i for i, line in enumerate(shown) if line[0] != " ")]]
    return dict(found)


def files_in(lines: list[str]) -> set[str]:
    at = next(index for index, line in enumerate(lines) if line.startswith("files in "))
    return {line.strip() for line in lines[at + 1 : -1]}


@pytest.fixture
def plan(tmp_path):
    """A plan of somebody's model, unless said otherwise."""

    def make(**options) -> BuildPlan:
        write_keras(tmp_path / "net.keras")
        origin = {"origin": Foreign(model=tmp_path / "net.keras"), "name": "net", "out": tmp_path / "new" / "out"}
        return BuildPlan(**{**origin, "calibration": tmp_path / "photos", **options})

    return make


def test_before_a_run_every_stage_is_to_run_and_nothing_is_written(build, stand_ins, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    code, lines = build("--dry-run")
    assert code == 0
    assert lines[0].startswith("network: mobilenet_v1_0.25_32, alpha 0.25, 32 px, 2 classes, 21")
    assert stages_in(lines) == dict.fromkeys(
        ["check-images", "train", "tflite-fp32", "onnx-fp32", "verify", "golden", "hash-images"], "to run"
    )
    assert lines[-1] == "dry run: nothing was written"
    assert sorted(tmp_path.rglob("*")) == before
    assert stand_ins.trained_on == []


def test_numbers_that_were_added_up_on_other_threads_are_not_reused(build, stand_ins, monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    build("--format", "onnx")
    assert stages_in(build("--format", "onnx", "--dry-run")[1])["train"].startswith("reused")
    monkeypatch.setenv(THREADS_VARIABLE, "2")
    found = stages_in(build("--format", "onnx", "--dry-run")[1])
    assert {name for name, text in found.items() if text.startswith("reused")} == {"check-images", "hash-images"}


def test_after_a_run_its_stages_would_be_reused_and_its_files_are_those_that_were_planned(build, stand_ins, tmp_path):
    _, lines = build("--dry-run", "--format", "onnx")
    assert build("--format", "onnx")[0] in (0, 1)
    written = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()}
    tops = {f"{each.parts[0]}/" if len(each.parts) > 1 else each.name for each in written} - {".mbexport/"}
    assert files_in(lines) == tops
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    _, lines = build("--dry-run", "--format", "onnx")
    assert {status.split(" (")[0] for status in stages_in(lines).values()} == {"reused"}
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    assert len(stand_ins.trained_on) == 1


def test_what_stands_on_a_changed_option_would_run_again_and_nothing_else(build, stand_ins):
    build("--format", "onnx")
    _, lines = build("--dry-run", "--format", "onnx", "--license", "MIT")
    status = {name: text.split(" (")[0] for name, text in stages_in(lines).items()}
    assert {name for name, text in status.items() if text == "reused"} == {"check-images", "train", "hash-images"}
    _, lines = build("--dry-run", "--format", "onnx", "--no-resume")
    assert set(stages_in(lines).values()) == {"to run"}


def test_bad_input_is_refused_as_in_a_run(build, stand_ins, tmp_path, capfd):
    assert build("--dry-run", "--alpha", "2")[0] == 2
    assert build("--dry-run", "--data", "nowhere")[0] == 2
    assert build("--dry-run", "--ranges", "nowhere.json")[0] == 2
    (tmp_path / "out").write_text("a file")
    assert run(["build", "--dry-run", "--out", str(tmp_path / "out")]) == 2
    assert "must be a folder that can be written to" in capfd.readouterr().err


def test_a_plan_names_the_files_of_each_option(build, stand_ins):
    _, lines = build("--dry-run", "--int8", "--format", "tflite", "--platform", "ios", "--zip")
    stem = "mobilenet_v1_0.25_32"
    expected = {f"{stem}_fp32.tflite", f"{stem}_int8.tflite", f"{stem}_ranges.json", "golden/", "ios/"}
    assert expected | {f"{stem}-ios.zip", "labels.txt", "manifest.json"} <= files_in(lines)
    assert "manifest.json.sig" not in files_in(lines)
    assert not any(name.endswith(".onnx") or name == "android/" for name in files_in(lines))


def test_of_a_model_that_is_not_imported_yet_little_is_known(plan, photos):
    found = planned(plan(), None)
    assert (found.network.parameters, found.network.alpha) == (None, None)
    assert PlannedStage(name="import", status=Status.TO_RUN) in found.stages


def test_conventions_are_tried_on_a_model_that_is_not_imported_yet(plan, photos):
    from mbexport.models.data.open import open_data

    found = planned(plan(calibration=None), open_data(str(photos)))
    assert PlannedStage(name="normalizations", status=Status.TO_RUN) in found.stages


def test_weights_that_are_not_there_yet_are_downloads_and_their_stage_is_to_run(plan, photos, tmp_path):
    found = planned(plan(origin=Stored(spec=SPEC, weights=tmp_path / "cache" / "w.h5"), name="ours"), None)
    assert found.downloads == (tmp_path / "cache" / "w.h5",)
    assert {each.status for each in found.stages if each.name == "weights"} == {Status.TO_RUN}
    assert found.network.classes == 2


def test_stages_come_in_the_order_of_the_pipeline(plan, photos):
    names = [each.name for each in planned(plan(), None).stages]
    order = [each.name for each in STAGES]
    assert names == sorted(names, key=order.index)


def test_an_output_folder_below_a_file_is_refused(plan, photos, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="must be a folder that can be written to, got"):
        planned(plan(out=tmp_path / "file" / "out"), None)


def test_published_weights_are_looked_for_in_keras_cache_and_not_fetched(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)
    words = ["--weights", "imagenet", "--alpha", "0.25", "--resolution", "128", "--dry-run"]
    assert run(["build", *words]) == 0
    assert f"to be downloaded: {tmp_path}/keras/models/mobilenet_2_5_128_tf.h5" in capfd.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_python_api_has_no_dry_run(tmp_path):
    import mbexport

    with pytest.raises(mbexport.errors.OptionError, match="dry_run is an option of the command line alone"):
        mbexport.build(dry_run=True, out=tmp_path / "out")
