"""An app runs its model on the NPU, the GPU or the CPU: it knows which, why not the others, and never silently."""

import hashlib
import io
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from accelerated_phone import AcceleratedPhone, Computed, StandIn
from ai_edge_litert.compiled_model import CompiledModel, HardwareAccelerator
from golden_images import LABELS, PX, SIZES, app_model_of_images
from java_programs import DOUBLES, classes_of_app, doubles, needs_java, written
from tflite_by_hand import dispatched_tflite, tflite_of
from wrapper_classes import compiled

from mbexport.bundles.android.ai_pack import asset_of_npu
from mbexport.bundles.android.bundle import android_files
from mbexport.formats.npu.chips import CHIPS

pytestmark = needs_java

PACKAGE = "com.acme.flowers"
COMPILED = {chip: f"compiled for {chip}".encode() for chip in CHIPS if chip.name in ("SM8650", "SM8550")}
FOR_8650, FOR_8550 = (COMPILED[chip] for chip in sorted(COMPILED, key=str, reverse=True))
MODEL = "mobilenet_v1_0.25_32_int8.tflite"
CHIPS_TOLD = "[SM8550 (Snapdragon 8 Gen 2), SM8650 (Snapdragon 8 Gen 3)]"


def app_model():
    """The model that gives its bytes as scores, compiled for two chips."""
    return replace(app_model_of_images(), compiled=COMPILED)


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """The classes of the bundle's AAR, of the app, and of what stands in for Android and LiteRT."""
    folder = written(doubles(), tmp_path_factory.mktemp("classes"))
    (aar,) = (each for name, each in android_files(app_model(), package=PACKAGE).items() if name.endswith(".aar"))
    with zipfile.ZipFile(io.BytesIO(aar)) as archive, zipfile.ZipFile(io.BytesIO(archive.read("classes.jar"))) as jar:
        jar.extractall(folder)
    return written(classes_of_app("AcceleratedPhone", folder), folder)


@pytest.fixture
def assets(tmp_path):
    """The bundle's plain assets, as an app has them; without an AI pack."""
    files = android_files(app_model(), package=PACKAGE)
    return written({name: each for name, each in files.items() if name.startswith("assets/")}, tmp_path) / "assets"


def delivered(assets, content):
    """The same with the file that an AI pack brought."""
    return written({asset_of_npu(PACKAGE): content}, assets)


def run(classes, assets, **options):
    photo = assets / PACKAGE / "golden/case_0/raw.rgb"
    return AcceleratedPhone(classes, assets=assets, photo=photo, width=SIZES[0][0], **options)


def device(**options):
    return StandIn(app_model().model, **options)


def top_3(assets):
    scores = np.frombuffer((assets / PACKAGE / "golden/case_0/resized.rgb").read_bytes(), np.uint8)
    best = np.argsort(-scores.astype(int), kind="stable")[:3]
    return " ".join(f"{number}:{float(scores[number] / 256)}" for number in best)


def test_the_npu_is_taken_with_the_file_for_this_chip(classes, assets):
    phone = run(classes, delivered(assets, FOR_8650), devices={"NPU": device()})
    assert phone.told == {
        "accelerator": ["NPU"],
        "log": [f"info mbexport: {MODEL} is computed by the NPU"],
        "top 3": [top_3(assets)],
        "open": ["4"],  # environment, model, input and output
        "closed": ["the classifier is closed"],
        "left open": ["0"],
    }
    assert phone.asked == ["NPU,CPU  /data/app/lib/arm64"]


def test_the_gpu_is_asked_alone_and_given_the_int8_file(classes, assets):
    phone = run(classes, assets, order="GPU,CPU", devices={"GPU": device()})
    assert phone.told["accelerator"] == ["GPU"]
    assert "refusal" not in phone.told
    assert phone.asked == ["GPU  "]


def test_what_is_left_to_the_cpu_is_told_with_all_reasons(classes, assets):
    """Of LiteRT 2.3.0 itself: no GPU, and on this chip no file for the NPU."""
    phone = run(classes, assets)
    assert phone.told["accelerator"] == ["CPU"]
    npu, gpu = phone.told["refusal"]
    assert npu.startswith(f"NPU: the app has no {asset_of_npu(PACKAGE)}, which an AI pack brings: ")
    assert gpu.startswith("GPU: ")
    assert "\n" not in gpu
    (log,) = phone.told["log"]
    assert log.startswith(f"warning mbexport: {MODEL} is computed by the CPU, refused by [NPU: ")
    assert gpu in log
    assert phone.told["top 3"] == [top_3(assets)]
    assert phone.told["left open"] == ["0"]
    assert phone.asked == ["GPU  ", "CPU 3 "]


def test_asked_for_the_cpu_it_is_no_fallback(classes, assets):
    phone = run(classes, assets, order="CPU")
    assert phone.told["accelerator"] == ["CPU"]
    assert "refusal" not in phone.told
    assert phone.told["log"] == [f"info mbexport: {MODEL} is computed by the CPU"]


def test_without_the_cpu_in_the_order_nothing_takes_its_place(classes, assets):
    phone = run(classes, assets, order="NPU,GPU")
    (refused,) = phone.told["refused"]
    assert refused.startswith("the model must be computed by one of [NPU, GPU], got [NPU: the app has no ")
    assert "GPU: " in refused
    assert phone.told["left open"] == ["0"]


@pytest.mark.parametrize(
    ("content", "device_told", "reason"),
    [
        (FOR_8550, {}, "the file was compiled for SM8550 (Snapdragon 8 Gen 2), and this device has SM8650"),
        (FOR_8650, {"soc": "SM7"}, "the file was compiled for SM8650 (Snapdragon 8 Gen 3), and this device has SM7"),
        (
            app_model_of_images().model,
            {},
            f"the AI pack brought the file for the CPU: this device is none of those with {CHIPS_TOLD}",
        ),
        (b"another", {}, f"{asset_of_npu(PACKAGE)} is none of the files that were compiled with this bundle"),
    ],
)
def test_a_file_that_is_not_for_this_device_never_reaches_litert(classes, assets, content, device_told, reason):
    """LiteRT would compute an ordinary file on the CPU where it is asked for the NPU, and would not say so."""
    phone = run(classes, delivered(assets, content), order="NPU,CPU", devices={"NPU": device()}, **device_told)
    assert phone.told["accelerator"] == ["CPU"]
    (refusal,) = phone.told["refusal"]
    assert refusal.startswith(f"NPU: {reason}")
    assert phone.asked == ["CPU 3 "]


def test_litert_computes_an_ordinary_file_on_the_cpu_where_it_is_asked_for_the_npu():
    """Why the wrapper takes files that it knows alone: this is what Kotlin's Options(NPU) asks for."""
    content = app_model_of_images().model
    model = Computed(content, ["NPU", "CPU"])
    fed = bytes(range(PX * PX * 3))
    assert model.compute("serving_default", "image", fed, ["scores"]) == [fed]


def test_litert_takes_a_compiled_file_whole_without_a_library_and_fails_when_it_computes():
    """Why the wrapper has each accelerator compute once before it is taken."""
    content = dispatched_tflite(PX)
    assert CompiledModel.from_buffer(content, hardware_accel=HardwareAccelerator.NPU).is_fully_accelerated()
    with pytest.raises(RuntimeError, match="Failed to allocate tensors"):
        Computed(content, ["NPU", "CPU"]).compute("serving_default", "image", bytes(PX * PX * 3), ["scores"])


def test_a_phone_without_the_dispatch_library_refuses_the_compiled_file(classes, tmp_path):
    content = dispatched_tflite(PX)
    files = android_files(replace(app_model_of_images(), compiled={CHIPS[3]: content}), package=PACKAGE)
    assets = written({name: each for name, each in files.items() if name.startswith("assets/")}, tmp_path) / "assets"
    phone = run(classes, delivered(assets, content), order="NPU,CPU")
    assert phone.told["accelerator"] == ["CPU"]
    (refusal,) = phone.told["refusal"]
    assert refusal.startswith("NPU: ")
    assert "Failed to allocate tensors" in refusal
    assert phone.told["left open"] == ["0"]
    assert phone.asked == ["NPU,CPU  /data/app/lib/arm64", "CPU 3 "]


def test_before_android_12_no_device_says_its_chip(classes, assets):
    phone = run(classes, delivered(assets, FOR_8650), sdk=30, soc="unknown", devices={"NPU": device()})
    assert phone.told["accelerator"] == ["NPU"]


def test_a_file_from_elsewhere_is_known_as_well(classes, assets, tmp_path):
    file = tmp_path / "on demand.tflite"
    file.write_bytes(FOR_8650)
    phone = run(classes, assets, npu_file=file, order="NPU", devices={"NPU": device()})
    assert phone.told["accelerator"] == ["NPU"]


def test_a_bundle_that_was_compiled_for_no_chip_says_so(classes, tmp_path):
    files = android_files(app_model_of_images(), package=PACKAGE)
    assets = written({name: each for name, each in files.items() if name.startswith("assets/")}, tmp_path) / "assets"
    assert run(classes, assets, order="NPU,CPU").told["refusal"] == [
        "NPU: no file of this bundle was compiled for an NPU"
    ]


def test_accelerators_may_round_otherwise_and_not_answer_otherwise(classes, assets):
    """The tolerance is 1 code, and that of accelerators 24."""
    delivered(assets, FOR_8650)
    assert "fault" not in run(classes, assets, order="NPU", devices={"NPU": device(offset=24)}).told
    faults = run(classes, assets, order="NPU", devices={"NPU": device(offset=25)}).told["fault"]
    assert "case_1: outputs must differ by at most 24.0, got 25.0" in faults


def test_a_device_that_is_lost_is_an_error_and_not_replaced(classes, assets):
    phone = run(classes, assets, order="GPU,CPU", devices={"GPU": device(is_broken=True)})
    assert phone.told["accelerator"] == ["GPU"]
    assert phone.told["refused"] == ["the model must be computed by the GPU: the device was lost"]
    assert phone.asked == ["GPU  "]


def test_another_model_is_refused_before_litert_is_asked(classes, assets):
    (model,) = (assets / PACKAGE).glob("*.tflite")
    was, other = model.read_bytes(), tflite_of("float32", px=PX)
    model.write_bytes(other)
    phone = run(classes, assets)
    wanted, got = (hashlib.sha256(content).hexdigest() for content in (was, other))
    assert phone.told["refused"] == [f"{model.name} must be the one of this bundle, with sha256 {wanted}, got {got}"]
    assert phone.asked == []


def test_outputs_of_another_size_are_refused(classes, assets):
    (assets / PACKAGE / "labels.txt").write_text("only one\n")
    settings = assets / PACKAGE / "settings.properties"
    settings.write_text(settings.read_text().replace(f"classes={len(LABELS)}", "classes=1"))
    assert run(classes, assets, order="CPU").told["refused"] == [
        "the model must be computed by one of [CPU], got [CPU: the model's scores must be uint8 [1, 1], got "
        f"{len(LABELS)}]"
    ]


def test_a_litert_whose_options_have_more_fields_chooses_its_threads(classes, assets, tmp_path):
    """An app may bring a newer one: Kotlin's constructor with all fields is then another."""
    name = "com/google/ai/edge/litert/CompiledModel.java"
    was, becomes = "String xnnPackWeightCachePath)", "String xnnPackWeightCachePath, Boolean more)"
    source = (DOUBLES / name).read_text()
    assert was in source
    newer = compiled({name: source.replace(was, becomes).encode()}, class_path=(classes,))
    shutil.copytree(classes, tmp_path / "newer")
    phone = run(written(newer, tmp_path / "newer"), assets, order="CPU")
    assert phone.told["log"][0].startswith("warning mbexport: LiteRT chooses its threads itself: ")
    assert phone.told["top 3"] == [top_3(assets)]
    assert phone.asked == ["CPU  "]


@pytest.mark.parametrize("order", ["CPU,CPU", "NPU,GPU,NPU"])
def test_an_order_with_one_twice_is_refused(classes, assets, order):
    phone = run(classes, assets, order=order)
    assert phone.asked == []
    assert phone.told["refused"] == [f"accelerators must be at least one, each once, got [{order.replace(',', ', ')}]"]
