"""An app calls the wrapper of a bundle: it classifies as Python's LiteRT does, and tells what is wrong."""

import io
import zipfile

import numpy as np
import pytest
from golden_images import LABELS, PX, SIZES, app_model_of_images
from java_programs import Phone, classes_of_app, doubles, needs_java, written
from tflite_by_hand import tflite_of

from mbexport.bundles.android.bundle import android_files
from mbexport.bundles.android.runtimes import LITERT_1

pytestmark = needs_java

PACKAGE = "com.acme.flowers"


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """The classes of the bundle's AAR, of the app, and of what stands in for Android."""
    folder = written(doubles(), tmp_path_factory.mktemp("classes"))
    files = android_files(app_model_of_images(), package=PACKAGE, runtime=LITERT_1)
    (aar,) = (each for name, each in files.items() if name.endswith(".aar"))
    with zipfile.ZipFile(io.BytesIO(aar)) as archive, zipfile.ZipFile(io.BytesIO(archive.read("classes.jar"))) as jar:
        jar.extractall(folder)
    return written(classes_of_app("Phone", folder), folder)


@pytest.fixture
def assets(tmp_path):
    """The bundle's plain assets, as an app has them."""
    files = android_files(app_model_of_images(), package=PACKAGE, runtime=LITERT_1)
    return written({name: each for name, each in files.items() if name.startswith("assets/")}, tmp_path) / "assets"


def run(classes, assets, **options):
    photo = assets / PACKAGE / "golden/case_0/raw.rgb"
    return Phone(classes, assets=assets, photo=photo, width=SIZES[0][0], **options)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_an_app_classifies_as_python_does(classes, assets, is_compressed):
    phone = run(classes, assets, is_compressed=is_compressed)
    scores = np.frombuffer((assets / PACKAGE / "golden/case_0/resized.rgb").read_bytes(), np.uint8)
    best = np.argsort(-scores.astype(int), kind="stable")[:3]
    top = " ".join(f"{number}:{float(scores[number] / 256)}" for number in best)
    assert phone.told == {
        "top 3": [top, top],  # of a plain bitmap, and of one in the graphics chip's memory
        "all": [str(len(LABELS))],
        "thread": [LABELS[best[0]]] * 8,
        "closed": ["the classifier is closed"],
    }
    assert phone.options == "3 false"


def changed(assets, name, number, value):
    """Flips a byte of a golden file."""
    file = assets / PACKAGE / "golden" / name
    content = bytearray(file.read_bytes())
    content[number] = (content[number] + value) % 256
    file.write_bytes(content)


def test_an_output_within_the_tolerance_is_well_and_one_beyond_is_a_fault(classes, assets):
    changed(assets, "case_1/out", 5, 1)
    changed(assets, "case_2/out", 5, 2)
    assert run(classes, assets).told["fault"] == ["case_2: outputs must differ by at most 1.0, got 2.0"]


def test_other_resized_bytes_are_a_fault(classes, assets):
    changed(assets, "case_0/resized.rgb", 7, 128)
    faults = run(classes, assets).told["fault"]
    assert faults[0] == "case_0: resizing must give the recorded bytes, got 1 others"
    assert faults[1].startswith("case_0: outputs must differ by at most 1.0, got ")


def test_another_best_class_is_a_fault(classes, assets):
    resized = bytearray((assets / PACKAGE / "golden/case_0/resized.rgb").read_bytes())
    resized[3], top = 255, int(np.argmax(np.frombuffer(bytes(resized), np.uint8)))
    out = bytes(0 if number == top else each for number, each in enumerate(resized))
    (assets / PACKAGE / "golden/case_0/out").write_bytes(out)
    faults = run(classes, assets).told["fault"]
    assert any(each.startswith("case_0: the best class must be ") for each in faults)


def test_a_model_that_the_settings_do_not_describe_is_refused(classes, assets):
    (model,) = (assets / PACKAGE).glob("*.tflite")
    model.write_bytes(tflite_of("float32", px=PX))
    assert run(classes, assets).told == {
        "refused": [f"the model's input must be uint8 [1, {PX}, {PX}, 3], got float32 [1, {PX}, {PX}, 3]"]
    }


def test_a_model_with_other_classes_is_refused(classes, assets):
    (assets / PACKAGE / "labels.txt").write_text("only one\n")
    settings = assets / PACKAGE / "settings.properties"
    settings.write_text(settings.read_text().replace(f"classes={len(LABELS)}", "classes=1"))
    assert run(classes, assets).told == {
        "refused": [f"the model's output must be uint8 [1, 1], got uint8 [1, {len(LABELS)}]"]
    }


def test_missing_assets_are_an_io_exception(classes, assets):
    (assets / PACKAGE / "labels.txt").unlink()
    (refused,) = run(classes, assets).told["refused"]
    assert "labels.txt" in refused
