"""An app calls the wrapper of a detector's bundle: it finds what Python's LiteRT does, in the photo's own pixels."""

import io
import zipfile

import numpy as np
import pytest
from accelerated_phone import AcceleratedPhone
from detector_by_hand import LABELS, MOST, PX, HandDetector, detector_tflite
from detector_photos import DETECTOR, detector_model
from java_programs import Phone, classes_of_app, doubles, needs_java, written
from tflite_by_hand import tflite_of

from mbexport.bundles.android.bundle import android_files
from mbexport.bundles.android.runtimes import LITERT_1
from mbexport.formats.registry import open_runner

pytestmark = needs_java

PACKAGE = "com.acme.flowers"


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """The classes of the bundle's AAR, of the app, and of what stands in for Android."""
    folder = written(doubles(), tmp_path_factory.mktemp("classes"))
    files = android_files(detector_model(), package=PACKAGE, runtime=LITERT_1)
    (aar,) = (each for name, each in files.items() if name.endswith(".aar"))
    with zipfile.ZipFile(io.BytesIO(aar)) as archive, zipfile.ZipFile(io.BytesIO(archive.read("classes.jar"))) as jar:
        jar.extractall(folder)
    return written(classes_of_app("DetectorPhone", folder), folder)


@pytest.fixture
def assets(tmp_path):
    """The bundle's plain assets, as an app has them."""
    files = android_files(detector_model(), package=PACKAGE, runtime=LITERT_1)
    return written({name: each for name, each in files.items() if name.startswith("assets/")}, tmp_path) / "assets"


def run(classes, assets, *, case=1, **options):
    """An app that is shown one of the golden photos."""
    photo = assets / PACKAGE / f"golden/case_{case}/raw.rgb"
    return Phone(
        classes,
        assets=assets,
        photo=photo,
        width=detector_model().golden.cases[case].width,
        name="DetectorPhone",
        **options,
    )


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("case", range(3))
def test_an_app_finds_what_python_does(classes, assets, case, is_compressed):
    phone = run(classes, assets, case=case, is_compressed=is_compressed)
    shown = detector_model().golden.cases[case]
    resized = np.frombuffer((assets / PACKAGE / f"golden/{shown.resized}").read_bytes(), np.uint8)
    detector = HandDetector(runner=open_runner(assets / PACKAGE / DETECTOR))
    (found,) = detector.detections(resized.reshape(1, PX, PX, 3))
    boxes = found.corners.astype(float) * [shown.height, shown.width, shown.height, shown.width]
    rows = [
        f"{index}:{float(score)}:{left}:{top}:{right}:{bottom}"
        for index, score, (top, left, bottom, right) in zip(found.classes, found.scores, boxes.tolist(), strict=True)
    ]
    certain = " ".join(rows[: int((found.scores >= 0.5).sum())])
    assert len(rows) > 1
    assert phone.told["all"] == [" ".join(rows)] * 2  # of a plain bitmap, and of one in the graphics chip's memory
    assert phone.told["certain"] == [certain] * 2
    assert phone.told["thread"] == [certain] * 8
    assert "fault" not in phone.told
    best = f"{LABELS[found.classes[0]]} {found.scores[0]:.3f} ({boxes[0][1]:.1f}, "
    assert phone.told["text"][0].startswith(best)
    assert phone.options == "3 false"


def test_what_is_asked_wrongly_or_too_late_is_refused(classes, assets):
    assert run(classes, assets).told["error"] == [
        "minScore must be from 0 to 1, got NaN",
        "minScore must be from 0 to 1, got 1.5",
        "the detector is closed",
    ]


def test_other_resized_bytes_are_a_fault(classes, assets):
    file = assets / PACKAGE / "golden/case_0/resized.rgb"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1  # of no anchor
    file.write_bytes(content)
    assert run(classes, assets).told["fault"] == ["case_0: resizing must give the recorded bytes, got 1 others"]


def test_a_row_that_is_not_found_is_a_fault(classes, assets):
    settings = assets / PACKAGE / "settings.properties"
    score = "case.0.row.0.score="
    lines = [f"{score}0.8" if line.startswith(score) else line for line in settings.read_text().splitlines()]
    settings.write_text("\n".join(lines))
    (fault,) = run(classes, assets).told["fault"]
    assert fault == "case_0: dog with a score of 0.8 must be found, got none within the tolerance"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            detector_tflite("float32"),
            f"the model's input must be uint8 [1, {PX}, {PX}, 3], got float32 [1, {PX}, {PX}, 3]",
        ),
        (tflite_of("uint8", px=PX), "the model must have an output called location, got none"),
    ],
)
def test_a_model_that_the_settings_do_not_describe_is_refused(classes, assets, content, message):
    (assets / PACKAGE / DETECTOR).write_bytes(content)
    assert run(classes, assets).told == {"refused": [message]}


def test_a_model_with_more_rows_is_refused(classes, assets):
    settings = assets / PACKAGE / "settings.properties"
    settings.write_text(settings.read_text().replace(f"most={MOST}", "most=7"))
    assert run(classes, assets).told == {
        "refused": [f"the model's location must be float32 [1, 7, 4], got float32 [1, {MOST}, 4]"]
    }


@pytest.fixture(scope="module")
def accelerated(tmp_path_factory):
    """The classes and the assets of the same bundle for LiteRT 2."""
    folder = written(doubles(), tmp_path_factory.mktemp("accelerated"))
    files = android_files(detector_model(), package=PACKAGE)
    (aar,) = (each for name, each in files.items() if name.endswith(".aar"))
    with zipfile.ZipFile(io.BytesIO(aar)) as archive, zipfile.ZipFile(io.BytesIO(archive.read("classes.jar"))) as jar:
        jar.extractall(folder)
    assets = {name: each for name, each in files.items() if name.startswith("assets/")}
    return written(classes_of_app("AcceleratedDetectorPhone", folder), folder), written(assets, folder) / "assets"


@pytest.mark.parametrize("case", range(3))
def test_litert_2_finds_the_same_on_the_cpu_and_says_why_there(classes, assets, accelerated, case):
    compiled_classes, compiled_assets = accelerated
    phone = AcceleratedPhone(
        compiled_classes,
        assets=compiled_assets,
        photo=compiled_assets / PACKAGE / f"golden/case_{case}/raw.rgb",
        width=detector_model().golden.cases[case].width,
        name="AcceleratedDetectorPhone",
    )
    assert phone.told["accelerator"] == ["CPU"]
    assert [each.partition(":")[0] for each in phone.told["refusal"]] == ["NPU", "GPU"]
    assert " ".join(phone.told["found"]) == run(classes, assets, case=case).told["all"][0]
    assert "fault" not in phone.told
    assert phone.told["left open"] == ["0"]
