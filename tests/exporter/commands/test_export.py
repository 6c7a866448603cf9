"""`mbexport export`: from options to a plan, and input that cannot be used, which leaves nothing behind."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from keras_by_hand import write_keras
from PIL import Image

from mbexport.cli import run
from mbexport.errors import StageError
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.mobilenet_v2.spec import MobileNetV2Spec
from mbexport.models.mobilenet_v3.spec import LargeSpec, SmallSpec
from mbexport.models.preprocess import UNIT
from mbexport.models.resolution import Resolution
from mbexport.pipeline.plan import Foreign, Stored


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder, with pictures and files beside it that options may name."""
    for name in ("dark", "light"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(tmp_path / "photos" / name / f"{i}.png")
    (tmp_path / "bare").mkdir()
    write_keras(tmp_path / "net.keras")
    (tmp_path / "net.pkl").write_bytes(b"\x80\x04N.")
    (tmp_path / "net.txt").write_bytes(b"no model")
    h5py.File(tmp_path / "w.h5", "w").close()
    (tmp_path / "three.txt").write_text("cat\ndog Good dog\nowl\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def planned(here, monkeypatch, capfd):
    """The plan, the data and the class names that `mbexport export ARGUMENTS` would run."""

    def plan(arguments: str):
        caught = []

        def stop(plan, data, _progress, *, class_names, **_named):
            caught.append((plan, data, class_names))
            raise StageError("this is as far as the test goes")

        monkeypatch.setattr("mbexport.pipeline.build.run", stop)
        assert run(["export", *arguments.split()]) == 3
        assert capfd.readouterr().err.endswith("this is as far as the test goes\n")
        assert list(here.iterdir()) == []
        return caught[0]

    return plan


def test_defaults_for_somebodys_model(planned):
    plan, data, names = planned("--model ../net.keras --data digits")
    assert plan.origin == Foreign(model=Path("../net.keras"), resolution=None, trust=False)
    assert (plan.name, plan.out, plan.crop_fraction) == ("net", Path("dist/net"), 1.0)
    assert (plan.qat_epochs, plan.normalization, plan.calibration, plan.log_dir) == (0, None, None, None)
    assert (data.name, names) == ("digits", None)


def test_defaults_for_weights_of_ours(planned):
    plan, data, _ = planned("--weights ../w.h5 --data ../photos")
    assert plan.origin == Stored(
        spec=ModelSpec(alpha=1.0, resolution=Resolution.square(224), classes=2), weights=Path("../w.h5")
    )
    assert (plan.name, plan.out, plan.crop_fraction) == (
        "mobilenet_v1_1.0_224",
        Path("dist/mobilenet_v1_1.0_224"),
        0.875,
    )
    assert data.class_names == ("dark", "light")


def test_every_option_of_the_network_reaches_the_plan(planned):
    plan, _, _ = planned("--weights ../w.h5 --data digits --alpha 0.5 --rho 0.571 --conv standard --shallow")
    spec = ModelSpec(alpha=0.5, resolution=Resolution.square(128), classes=10, conv=Convolution.STANDARD, shallow=True)
    assert plan.origin.spec == spec
    assert plan.name == "mobilenet_v1_standard_shallow_0.5_128"


@pytest.mark.parametrize(
    ("options", "spec", "name"),
    [
        ("--arch mobilenet_v1", ModelSpec(classes=10), "mobilenet_v1_1.0_224"),
        (
            "--arch mobilenet_v2 --alpha 1.4 --resolution 96",
            MobileNetV2Spec(alpha=1.4, resolution=Resolution.square(96), classes=10),
            "mobilenet_v2_1.4_96",
        ),
        ("--arch mobilenet_v3_small", SmallSpec(classes=10), "mobilenet_v3_small_1.0_224"),
        (
            "--arch mobilenet_v3_large --minimalistic",
            LargeSpec(classes=10, minimalistic=True),
            "mobilenet_v3_large_minimalistic_1.0_224",
        ),
    ],
)
def test_the_architecture_reaches_the_plan(planned, options, spec, name):
    plan, _, _ = planned(f"--weights ../w.h5 --data digits {options}")
    assert (plan.origin.spec, plan.name, plan.out) == (spec, name, Path("dist") / name)


def test_the_environment_chooses_the_architecture(planned, monkeypatch):
    monkeypatch.setenv("MBEXPORT_EXPORT_ARCH", "mobilenet_v2")
    assert planned("--weights ../w.h5 --data digits")[0].name == "mobilenet_v2_1.0_224"


def test_every_other_option_reaches_the_plan(planned):
    plan, _, _ = planned(
        "--model ../net.keras --data digits --calibration ../photos --trust --resolution 96 --qat-epochs 3 "
        "--preprocess unit --max-bad 5% --out there --crop-fraction 0.5"
    )
    assert plan.origin == Foreign(model=Path("../net.keras"), resolution=Resolution.square(96), trust=True)
    assert (plan.calibration, plan.qat_epochs, plan.normalization) == (Path("../photos"), 3, UNIT)
    assert (plan.max_bad, plan.out, plan.crop_fraction) == (0.05, Path("there"), 0.5)


@pytest.mark.parametrize(("words", "expected"), [("", True), (" --sensitivity", True), (" --no-sensitivity", False)])
def test_what_layers_cost_is_found_out_unless_that_is_left_out(planned, words, expected):
    assert planned("--weights ../w.h5 --data digits" + words)[0].sensitivity is expected


def test_resolution_of_a_model_may_be_said_as_a_multiplier(planned):
    assert planned("--model ../net.keras --data digits --rho 0.857")[0].origin.resolution == Resolution.square(192)


def test_model_may_be_a_folder(planned, here):
    (here.parent / "saved").mkdir()
    (here.parent / "saved" / "saved_model.pb").touch()
    plan, _, _ = planned("--model ../saved --data digits")
    assert (plan.name, plan.origin.model) == ("saved", Path("../saved"))


def test_without_data_the_classes_file_says_what_the_scores_are(planned):
    plan, data, names = planned("--weights ../w.h5 --calibration ../photos --classes ../three.txt")
    assert (data, names) == (None, ("cat", "dog Good dog", "owl"))
    assert plan.origin.spec.classes == 3
    assert plan.crop_fraction == 0.875


@pytest.mark.parametrize(("head", "classes"), [({"conv_preds": [np.zeros((1, 1, 8, 7)), np.zeros(7)]}, 7), ({}, 1000)])
def test_without_data_and_classes_the_head_of_the_file_says_how_many(planned, monkeypatch, head, classes):
    monkeypatch.setattr("mbexport.models.keras_import.weights.stored_weights", lambda _path: head)
    plan, data, names = planned("--weights ../w.h5 --calibration ../photos")
    assert (plan.origin.spec.classes, data, names) == (classes, None, None)


@pytest.fixture
def links(here) -> Path:
    """A data folder of which every image is a link to another folder."""
    for image in (here.parent / "photos").rglob("*.png"):
        (here.parent / "links" / image.parent.name).mkdir(parents=True, exist_ok=True)
        (here.parent / "links" / image.parent.name / image.name).symlink_to(image)
    return here.parent / "links"


@pytest.mark.parametrize("command", ["build --alpha 0.25", "export --weights ../w.h5", "verify ../w.h5"])
def test_a_data_folder_of_links_is_refused_by_name_of_the_option_that_allows_them(command, links, capfd):
    assert run([*command.split(), "--data", "../links"]) == 2
    assert "--follow-links" in capfd.readouterr().err


def test_links_are_followed_on_request_in_all_folders_of_images(planned, links):
    from mbexport.pipeline.image_sets import ImageSets

    words = "--weights ../w.h5 --follow-links --data ../links --calibration ../links/dark --golden ../links/light"
    plan, data, _ = planned(words)
    images = ImageSets(plan, data)
    assert (len(images.test), len(images.calibration), len(images.golden)) == (4, 2, 2)
    plain, unlinked, _ = planned(words.replace("--follow-links", "").replace("links", "photos"))
    assert images.contents() == ImageSets(plain, unlinked).contents()


W, M = "--weights ../w.h5", "--model ../net.keras"
REFUSED = [
    ("--data digits", "give --model or --weights, got neither"),
    (f"{W} {M} --data digits", "give --model or --weights, got both"),
    ("--model missing.keras --data digits", "no such file or folder: missing.keras (--model)"),
    ("--model missing.keras --int8", "no such file or folder: missing.keras (--model)"),
    ("--model ../net.txt --data nowhere", "the model ../net.txt begins with b'no m'"),
    ("--model ../net.pkl --data nowhere", "../net.pkl is a pickle, which runs code"),
    ("--model ../bare --data nowhere", "the folder ../bare holds no saved_model.pb"),
    (f"{W} --data nowhere --ranges missing.json", "no such file or folder: missing.json (--ranges)"),
    (f"{W} --data nowhere --classes missing.txt", "no such file or folder: missing.txt (--classes)"),
    (f"{W} --data nowhere --calibration missing", "--calibration must be a folder of images, got missing"),
    (f"{W} --data nowhere --golden ../three.txt", "--golden must be a folder of images, got ../three.txt"),
    (f"{W} --data nowhere --sign missing.pem", "missing.pem"),
    (f"{W} --data nowhere --summary ../bare", "the summary must be a file in a folder that exists, got ../bare"),
    ("--weights missing.h5 --data digits", "weights must be imagenet or a file, got missing.h5"),
    ("--weights ../photos --data digits", "weights must be imagenet or a file, got ../photos"),
    (W, "images are needed to calibrate and to verify on: give --data, --calibration or both"),
    (M, "images are needed to calibrate and to verify on: give --data, --calibration or both"),
    (f"{W} --data nowhere", "got nowhere"),
    (f"{W} --data digits --calibration nowhere", "--calibration must be a folder of images, got nowhere"),
    (f"{W} --calibration ../bare --classes ../three.txt", "../bare holds no image"),
    (f"{W} --calibration ../photos --classes nowhere", "no such file or folder: nowhere (--classes)"),
    (f"{W} --data digits --classes ../three.txt", "--classes goes with a folder of images or shards"),
    ("--weights imagenet --alpha 0.3 --data digits", "published for alpha 0.25, 0.5, 0.75, 1, got 0.3"),
    ("--weights imagenet --shallow --data digits", "for the separable, full-depth network only"),
    ("--weights imagenet --conv standard --data digits", "for the separable, full-depth network only"),
    ("--weights imagenet --arch mobilenet_v2 --alpha 0.3 --data digits", "alpha 0.35, 0.5, 0.75, 1, 1.3, 1.4, got 0.3"),
    ("--weights imagenet --arch mobilenet_v3_small --minimalistic --alpha 0.75 --data digits", "alpha 1, got 0.75"),
    (
        f"{W} --arch mobilenet_v2 --shallow --data digits",
        "--shallow is for --arch mobilenet_v1, got --arch mobilenet_v2",
    ),
    (f"{W} --minimalistic --data digits", "--minimalistic is for --arch mobilenet_v3_small or mobilenet_v3_large, got"),
    (f"{W} --alpha 0 --data digits", "alpha must be in (0, 1], got 0"),
    (f"{W} --resolution 100 --data digits", "resolution must be a multiple of 32"),
    (f"{W} --resolution 224 --rho 1 --data digits", "give --resolution or --rho, not both"),
    (f"{M} --resolution 224 --rho 1 --data digits", "give --resolution or --rho, not both"),
    (f"{W} --data digits --qat-epochs -1", "--qat-epochs must be at least 0, got -1"),
    (f"{W} --data digits --seed -1", "--seed must be from 0"),
    (f"{W} --data digits --gate foo=1", "got foo"),
    (f"{W} --data digits --max-bad 101%", "--max-bad must be from 0% to 100%, or from 0 to 1, got 101%"),
    (f"{W} --data digits --crop-fraction 0", "crop fraction must be in (0, 1], got 0"),
]


@pytest.fixture
def refused(here, capfd):
    """The complaint of `mbexport export ARGUMENTS`, once it has proved to be a clean one, for both kinds of --out."""

    def ask(arguments: str) -> str:
        # Through the descriptors: the libraries' log takes the place of sys.stderr's while a run works.
        words = ["export", *arguments.split()]
        assert run([*words, "--out", "new"]) == 2
        first = capfd.readouterr()
        assert first.out == ""
        assert first.err.startswith("Error: ")
        assert first.err.count("\n") == 1, first.err
        assert list(here.iterdir()) == []
        (here / "old").mkdir()
        (here / "old" / "notes.txt").write_text("precious")
        assert run([*words, "--out", "old"]) == 2
        assert capfd.readouterr().err == first.err
        kept = {path.name for path in (here / "old").iterdir()} - {".mbexport"}
        assert kept == {"notes.txt"}
        assert (here / "old" / "notes.txt").read_text() == "precious"
        assert not (here / "old" / ".mbexport" / "stages").exists()
        return first.err

    return ask


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_bad_input_is_one_line_and_leaves_nothing_behind(refused, arguments, said):
    assert said in refused(arguments)


def test_broken_pictures_to_calibrate_on_are_refused(refused, here):
    (here.parent / "photos" / "dark" / "0.png").write_bytes(b"no picture")
    said = refused(f"{W} --calibration ../photos --classes ../three.txt")
    assert "1 of 4 images (25.00%) cannot be read" in said


@pytest.mark.parametrize(("arguments", "said"), [(f"{W} --alpha 2", "alpha must be"), ("", "got neither")])
def test_options_are_checked_before_data_is_looked_for(refused, arguments, said):
    assert said in refused(f"{arguments} --data nowhere")
