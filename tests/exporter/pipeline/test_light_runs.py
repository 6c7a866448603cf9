"""Whole runs whose heavy stages are stand-ins: images that cannot be read, runs without labels, and what is reused.

The network is an .onnx that averages colours; everything between the command line and the report is real.
"""

import json
import os
import re
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from mbexport.cli import run
from mbexport.errors import StageError
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.stage_files import WEIGHTS

WARNING = re.compile(r"WARNING: (?:\S+: )?([^:\n]*)")
SPEC = ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=2)


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two hundred photos: a hundred dark ones and a hundred bright ones."""
    root = tmp_path / "photos"
    for name, least in (("dark", 0), ("light", 150)):
        (root / name).mkdir(parents=True)
        for i in range(100):
            Image.fromarray(np.full((2, 2, 3), least + i, np.uint8)).save(root / name / f"{i:02}.png")
    return root


def break_images(photos: Path, count: int) -> list[Path]:
    victims = [photos / "dark" / f"{10 * i:02}.png" for i in range(count)]
    for victim in victims:
        victim.write_bytes(b"no picture")
    return victims


SMALL = ("--alpha", "0.25", "--resolution", "32", "--format", "onnx", "--epochs", "1")


@pytest.fixture
def build(photos, tmp_path, capfd):
    """Builds on the photos: exit code, stdout, stderr."""

    def start(*arguments: object) -> tuple[int, str, str]:
        code = run(["build", *SMALL, "--data", str(photos), "--out", str(tmp_path / "out"), *map(str, arguments)])
        return code, *capfd.readouterr()

    return start


@pytest.fixture
def verify(photos, tmp_path, capfd, colour_network):
    """Verifies the colour network on the photos: exit code, stdout, stderr."""

    def start(*arguments: object) -> tuple[int, str, str]:
        network = colour_network(tmp_path / "net.onnx", classes=2)
        options = ("--data", photos, "--out", tmp_path / "out", "--no-latency", "--preprocess", "mobilenet")
        code = run(["verify", *map(str, (network, *options, *arguments))])
        return code, *capfd.readouterr()

    return start


@pytest.fixture(params=["build", "verify"])
def checked(request, stand_ins):
    """Either command that looks at a folder of labelled images."""
    assert stand_ins.trained_on == []
    return request.getfixturevalue(request.param)


def report_in(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_bytes())


def test_sound_images_are_no_warning(checked, tmp_path):
    code, _, errors = checked()
    assert code in (0, 1)
    assert WARNING.findall(errors) == ["it holds no labels"]
    assert ("no bundles for apps: they need a .tflite" in errors) is (tmp_path / "out" / "manifest.json").exists()
    assert report_in(tmp_path / "out")["data"]["unreadable"] == []


def test_one_broken_image_of_two_hundred_is_left_out_warned_of_and_listed(checked, photos, tmp_path):
    (victim,) = break_images(photos, 1)
    code, _, errors = checked()
    assert code in (0, 1)
    assert errors.count("WARNING: 1 images cannot be read and were left out; report.json lists them\n") == 1
    (listed,) = report_in(tmp_path / "out")["data"]["unreadable"]
    assert listed["file"] == "dark/00.png"
    assert listed["reason"] == f"{victim} is not an image that can be read"


def test_five_broken_images_of_two_hundred_are_refused_in_one_line(checked, photos, tmp_path):
    victims = break_images(photos, 5)
    code, printed, errors = checked()
    assert (code, printed) == (2, "")
    assert errors.startswith("Error: 5 of 200 images (2.50%) cannot be read, at most 1.00% may be (--max-bad); first: ")
    assert errors.count("\n") == 1
    assert any(str(victim) in errors for victim in victims)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("max_bad", "is_legal"), [("2.5%", True), ("0.025", True), ("2.4 %", False), ("0", False)])
def test_limit_of_broken_images_is_the_users(checked, photos, max_bad, is_legal):
    break_images(photos, 5)
    code, _, errors = checked("--max-bad", max_bad)
    assert (code != 2) is is_legal
    assert ("WARNING: 5 images cannot be read" in errors) is is_legal


@pytest.mark.parametrize("max_bad", ["1 percent", "-1%", "101%", "nan", ""])
def test_limit_that_is_no_fraction_is_refused_before_images_are_looked_for(checked, max_bad):
    code, printed, errors = checked("--max-bad", max_bad, "--data", "no-such-folder")
    assert (code, printed) == (2, "")
    assert errors == f"Error: --max-bad must be from 0% to 100%, or from 0 to 1, got {max_bad}".rstrip() + "\n"


def test_verify_counts_the_images_that_are_left(verify, photos, tmp_path):
    break_images(photos, 1)
    verify()
    assert report_in(tmp_path / "out")["reference"]["samples"] == 199


def test_build_counts_the_images_that_are_left(build, stand_ins, photos, tmp_path):
    break_images(photos, 1)
    build()
    report = report_in(tmp_path / "out")
    assert report["data"]["images"] == 199
    assert len(stand_ins.trained_on[0]) + report["reference"]["samples"] == 199


def test_stages_that_nothing_changed_for_are_reused_and_the_warning_is_repeated(build, stand_ins, photos, tmp_path):
    break_images(photos, 1)
    build()
    _, _, errors = build()
    assert "WARNING: 1 images cannot be read" in errors
    assert all(stage["reused"] for stage in report_in(tmp_path / "out")["stages"])
    assert len(stand_ins.trained_on) == 1


def test_other_golden_images_run_nothing_but_what_they_decide(build, stand_ins, tmp_path):
    build()
    (tmp_path / "seen").mkdir()
    Image.fromarray(np.full((2, 2, 3), 7, np.uint8)).save(tmp_path / "seen" / "a.png")
    _, _, errors = build("--golden", tmp_path / "seen")
    ran = {line.split()[0] for line in errors.splitlines() if " done in " in line}
    assert ran == {"golden", "hash-images"}


def test_another_seed_splits_anew_and_still_leaves_out_what_is_broken(build, stand_ins, photos):
    # What was found in one split must not be looked up in another.
    break_images(photos, 2)
    for seed in range(4):
        code, _, errors = build("--seed", seed)
        assert code in (0, 1), errors
    assert len(stand_ins.trained_on) == 4


def test_folder_that_a_build_used_serves_an_export_of_other_images(build, stand_ins, photos, tmp_path, capfd):
    h5py.File(tmp_path / "w.h5", "w").close()
    shared = ["--data", str(photos), "--calibration", str(photos), "--out", str(tmp_path / "out")]
    build("--calibration", photos)
    # Built, the photos were two sets; exported, they are one.
    code = run(["export", "--weights", str(tmp_path / "w.h5"), *SMALL[:6], *shared])
    assert code in (0, 1), capfd.readouterr().err
    assert stand_ins.files[WEIGHTS] == b"weights"


@pytest.fixture
def exported(stand_ins, photos, tmp_path, capfd):
    """Exports with no data but pictures to calibrate on: exit code, stdout, stderr, report."""

    def start(*arguments: object, is_named: bool = True) -> tuple[int, str, str, dict]:
        assert stand_ins.trained_on == []
        h5py.File(tmp_path / "w.h5", "w").close()
        (tmp_path / "classes.txt").write_text("one\ntwo\n")
        shared = ["--weights", tmp_path / "w.h5", "--calibration", photos, "--out", tmp_path / "out"]
        if is_named:
            shared += ["--classes", tmp_path / "classes.txt"]
        code = run(["export", *map(str, [*shared, *SMALL[:6], *arguments])])
        return code, *capfd.readouterr(), report_in(tmp_path / "out")

    return start


def test_without_labels_answers_are_compared_and_nothing_is_said_of_their_truth(exported):
    code, printed, errors, report = exported()
    assert (code, report["passed"]) == (0, True)
    assert "reference: no labels on 200 images" in printed
    assert WARNING.findall(errors) == ["it holds no labels"]
    assert report["reference"]["labelled"] is False
    assert (report["reference"]["top1"], report["reference"]["chance"]) == (None, None)
    assert report["artifacts"][0]["agreement"] == 1.0
    assert [gate["name"] for gate in report["gates"]] == [
        "samples",
        "distinct_outputs",
        "fp32_error",
        "named_precision",
        "output_words",
    ]


def test_gate_that_needs_labels_fails_where_there_are_none_and_is_no_warning(exported):
    code, printed, errors, _ = exported("--gate", "above_chance=1")
    assert code == 1
    assert "not measured" in printed
    assert WARNING.findall(errors) == ["it holds no labels"]


def test_labels_without_data_are_those_that_are_given(exported, tmp_path):
    exported()
    assert (tmp_path / "out" / "labels.txt").read_text() == "one\ntwo\n"


def test_labels_that_nobody_gave_are_numbers(exported, tmp_path, monkeypatch):
    head = {"conv_preds": [np.zeros((1, 1, 256, 2)), np.zeros(2)]}
    monkeypatch.setattr("mbexport.models.keras_import.weights.stored_weights", lambda _path: head)
    exported(is_named=False)
    assert (tmp_path / "out" / "labels.txt").read_text() == "0\n1\n"


def test_run_that_fails_keeps_what_an_earlier_one_delivered(build, stand_ins, photos, tmp_path, monkeypatch):
    build()
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}

    def fail(*_given, **_named):
        raise StageError("out of memory")

    monkeypatch.setattr(stand_ins, "train", fail)
    shutil.rmtree(tmp_path / "out" / ".mbexport" / "stages")
    code, printed, errors = build()
    assert (code, printed) == (3, "")
    assert errors.endswith("Error: out of memory\n")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()} == before


def test_a_run_on_links_is_recorded_and_made_again_where_the_links_are_followed(
    build, stand_ins, photos, tmp_path, capfd
):
    store = tmp_path / "store"
    photos.rename(store)
    for image in store.rglob("*.png"):
        link = photos / image.relative_to(store)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(image)
    assert build()[0] == 2
    assert build("--follow-links")[0] in (0, 1)
    manifest = tmp_path / "out" / "manifest.json"
    assert json.loads(manifest.read_bytes())["options"]["follow-links"] is True
    assert run(["rebuild", "--check", str(manifest), "--data", str(photos)]) == 0
    assert capfd.readouterr().out.endswith("SAME: every byte\n")


# ---- photos that are not read, copies, parts, and images that changed


def test_photos_that_are_not_read_are_warned_of_and_listed(checked, photos, tmp_path):
    (photos / "dark" / "x.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (photos / "dark" / "notes.txt").write_text("no photo")
    code, _, errors = checked()
    assert code in (0, 1)
    reason = "it is HEIC, which is not read here: convert it to JPEG or PNG"
    said = f"what looks like photos was left out: 1 .heic, the first dark/x.heic: {reason}; report.json lists it"
    assert f"WARNING: {said}\n" in errors
    assert report_in(tmp_path / "out")["data"]["left_out"] == {
        "photos": {".heic": 1},
        "others": {".txt": 1},
        "listed": [{"file": "dark/x.heic", "reason": reason}, {"file": "dark/notes.txt", "reason": "it is no image"}],
    }


def test_copies_count_once(checked, photos, tmp_path):
    for number in range(45):
        (photos / "light" / f"copy{number}.jpe").write_bytes((photos / "light" / "00.png").read_bytes())
    code, _, errors = checked()
    assert code in (0, 1)
    report = report_in(tmp_path / "out")
    copies = report["data"]["copies"]
    assert f"WARNING: {copies['count']} test images are copies and do not count, the first light/" in errors
    assert len(copies["listed"]) == copies["count"] >= 1
    if "stages" not in report:  # all images are verified on
        assert (report["reference"]["samples"], copies["count"]) == (200, 45)


def test_image_that_changed_with_size_and_time_kept_is_noticed(build, stand_ins, photos, tmp_path):
    build()
    before = json.loads((tmp_path / "out" / "manifest.json").read_bytes())["inputs"]["data"]
    victim, state = photos / "dark" / "05.png", (photos / "dark" / "05.png").stat()
    time.sleep(0.02)  # the clock of a file system ticks a hundred times a second
    victim.write_bytes((photos / "dark" / "06.png").read_bytes())
    os.utime(victim, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (victim.stat().st_size, victim.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    build()
    assert not any(stage["reused"] for stage in report_in(tmp_path / "out")["stages"])
    assert len(stand_ins.trained_on) == 2
    assert json.loads((tmp_path / "out" / "manifest.json").read_bytes())["inputs"]["data"] != before


def test_data_in_three_parts_is_verified_on_the_third(build, stand_ins, photos, tmp_path):
    for place, part in enumerate(("Train", "Validation", "Test")):
        for name in ("dark", "light"):
            (tmp_path / "split" / part / name).mkdir(parents=True)
            for number in range(place, 90, 3):
                shutil.copy(photos / name / f"{number:02}.png", tmp_path / "split" / part / name)
    assert build("--data", tmp_path / "split")[0] in (0, 1)
    report = report_in(tmp_path / "out")
    assert (len(stand_ins.trained_on[0]), report["reference"]["samples"], report["data"]["images"]) == (60, 60, 180)
    assert (tmp_path / "out" / "labels.txt").read_text() == "dark\nlight\n"


def test_second_run_beside_an_old_output_learns_no_further_class(build, stand_ins, photos, tmp_path):
    build()
    shutil.copytree(tmp_path / "out", photos / "out")  # as earlier versions could write it
    build()
    assert (tmp_path / "out" / "labels.txt").read_text() == "dark\nlight\n"
    assert all(stage["reused"] for stage in report_in(tmp_path / "out")["stages"])


def test_folders_whose_names_are_no_utf8_are_read_and_not_written_to(build, stand_ins, photos, tmp_path, capfd):
    data, odd = (Path(os.fsdecode(os.fsencode(tmp_path) + name)) for name in (b"/p\xff", b"/o\xff"))
    try:
        photos.rename(data)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (data / "dark" / "00.png").rename(Path(os.fsdecode(os.fsencode(data / "dark") + b"/\xfe.png")))
    (data / "dark" / "01.png").write_bytes(b"no picture")
    assert build("--data", data, "--out", odd)[::2] == (
        2,
        f"Error: output folder {tmp_path}/o\\xff must have a name of UTF-8\n",
    )
    out = tmp_path / "out"
    code, printed, errors = build("--data", data, "--golden", data / "light")
    assert code in (0, 1), errors
    assert "Traceback" not in errors
    assert report_in(out)["data"]["name"] == "p\\xff"
    moved = ["--data", str(data), "--golden", str(data / "light")]
    assert run(["rebuild", "--check", str(out / "manifest.json"), *moved]) == 0
    assert capfd.readouterr().out.endswith("SAME: every byte\n")
    assert printed
