"""The files that the fuzzer changes: small, real, and made by this package or by the libraries that it reads for.

`python tests/fuzz/corpus.py` makes them in `build/tests/fuzz`, and prints that folder.
"""

import json
import shutil
from pathlib import Path
from typing import Final

from PIL import Image
from small_build import ROOT, fingerprint, small_build

FOLDER: Final = ROOT / "build" / "tests" / "fuzz"
RUN: Final = "run"  # a finished build, without its cache
STEM: Final = "mobilenet_v1_0.25_32"
DETECTOR_RUN: Final = "detector_run"  # what a run delivers of a detector
SWEEP: Final = "sweep"
BOXES: Final = ("voc", "coco", "yolo")  # folders of images with boxes
SHARDS: Final = ("wds", "tfrecord")
_TESTS: Final = ROOT / "tests" / "fuzz"
_IMAGES: Final = ("png", "jpg", "bmp", "gif", "webp", "tiff", "ppm")
_TOML: Final = """\
[build]
alpha = 0.25
resolution = 32
epochs = 1
int8 = true
data = "digits"
precision = ["fp32", "int8"]
gate = {top1_drop = 0.02, int8_speedup = 0.9}
out = "out"

[predict]
top = 3
crop-fraction = 0.875
mean = "127.5"
scale = "0.00784"

[inspect]
kernels = true
"""


def corpus() -> Path:
    """The folder of the files, made anew when the code that makes them has changed."""
    stamp, current = FOLDER / "fingerprint", fingerprint(sources=[_TESTS])
    if not (stamp.exists() and stamp.read_text() == current):
        built = small_build()
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(built, FOLDER / RUN, ignore=shutil.ignore_patterns(".mbexport"))
        _write_models()
        _write_images()
        _write_detectors()
        _write_compiled()
        _write_data()
        _write_sweep()
        (FOLDER / "options.toml").write_text(_TOML)
        stamp.write_text(current)
    return FOLDER


def _write_models() -> None:
    """One network in all forms that Keras stores."""
    from short_network import short_network

    network = short_network()
    network.save(FOLDER / "model.h5")
    network.save(FOLDER / "model.keras")
    network.save(FOLDER / "saved", save_format="tf")


def _write_images() -> None:
    image = Image.linear_gradient("L").resize((48, 40)).convert("RGB")
    for ending in _IMAGES:
        image.save(FOLDER / f"image.{ending}")


def _write_detectors() -> None:
    """A detector in all forms, and the folder of one that was delivered with its golden vectors."""
    from delivered_by_hand import deliver, with_proof
    from detector_by_hand import LABELS
    from detector_photos import DETECTOR, golden_of_photos, model
    from small_ssd import onnx_of, small_ssd, tflite_of

    from mbexport.artifact import LABELS as LABELS_FILE
    from mbexport.artifact import Precision, labels_file

    for precision in (Precision.FP32, Precision.INT8):
        (FOLDER / f"detector_{precision.value}.tflite").write_bytes(tflite_of(precision))
        (FOLDER / f"detector_{precision.value}.onnx").write_bytes(onnx_of(precision))
    small_ssd().save(FOLDER / "detector.keras")
    made = {DETECTOR: model(), LABELS_FILE: labels_file(LABELS), **golden_of_photos()}
    deliver(FOLDER / DETECTOR_RUN, with_proof({**made, "report.json": b"{}"}))


def _write_compiled() -> None:
    """Files that were compiled for a chip, in both formats."""
    from npu_by_hand import compiled_of
    from onnx import TensorProto, helper

    from mbexport.formats.npu.context import context_model

    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 2, 2, 3])
    scores = helper.make_tensor_value_info("scores", TensorProto.UINT8, [1, 12])
    content = context_model("net", b"a compiled graph", sources=[image], targets=[scores])
    (FOLDER / "compiled.onnx").write_bytes(content)
    (FOLDER / "compiled.tflite").write_bytes(compiled_of())


def _write_data() -> None:
    """The same photos and boxes in all formats of boxes, and shards of both kinds."""
    from boxes_by_hand import WRITERS, Photo
    from shards_by_hand import written
    from small_ssd import LABELS

    names = [LABELS[place % len(LABELS)] for place in range(12)]
    photos = [
        Photo(name=f"p{place}", boxes=[(name, 2, 2, 20 + place, 15)], part="train" if place < 9 else "test")
        for place, name in enumerate(names)
    ]
    for name in BOXES:
        WRITERS[name](FOLDER / name, photos)
    for name in SHARDS:
        written(FOLDER / name, name, shards=2)
        (FOLDER / name / "classes.txt").write_text("red\nwhite\nblue\n")


def _write_sweep() -> None:
    from example_sweeps import example

    (FOLDER / SWEEP).mkdir()
    (FOLDER / SWEEP / "sweep.json").write_text(json.dumps(example()))


if __name__ == "__main__":
    print(corpus())
