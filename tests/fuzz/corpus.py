"""The files that the fuzzer changes: small, real, and made by this package or by the libraries that it reads for.

`python tests/fuzz/corpus.py` makes them in `build/tests/fuzz`, and prints that folder.
"""

import shutil
from pathlib import Path
from typing import Final

from PIL import Image
from small_build import ROOT, fingerprint, small_build

FOLDER: Final = ROOT / "build" / "tests" / "fuzz"
RUN: Final = "run"  # a finished build, without its cache
STEM: Final = "mobilenet_v1_0.25_32"
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
    """The folder of the files, made anew when the build that they come from has changed."""
    stamp = FOLDER / "fingerprint"
    if not (stamp.exists() and stamp.read_text() == fingerprint()):
        built = small_build()
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(built, FOLDER / RUN, ignore=shutil.ignore_patterns(".mbexport"))
        _write_models()
        _write_images()
        (FOLDER / "options.toml").write_text(_TOML)
        stamp.write_text(fingerprint())
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


if __name__ == "__main__":
    print(corpus())
