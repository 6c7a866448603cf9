"""What an app gets of the detector by hand: its golden vectors are made of photos of any size, by the maker itself."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from detector_by_hand import LABELS, PREPROCESS, PX, HandDetector, detector_tflite, image_of
from PIL import Image

from mbexport.bundles.app_model import AppModel, DetectorModel
from mbexport.formats.registry import open_runner
from mbexport.golden.detection.make import detector_golden_files
from mbexport.golden.detection.vectors import detector_golden_from_bytes
from mbexport.models.data.imageset import ImageSet

DETECTOR: Final = "net_int8.tflite"
STEM: Final = "net"
# Width and height: of no shape that the network has, and of its own.
SIZES: Final = ((23, 17), (PX, PX), (5, 40))
_OBJECTS: Final = (((0, 0.95), (1, 0.7)), ((1, 0.9), (2, 0.8), (0, 0.4)), ((2, 1.0), (2, 0.6)))
# None that the wrapper could take for the right one.
ORDER: Final = ("score", "number of detections", "category", "location")


def photos() -> tuple[Image.Image, ...]:
    """Photos that show a few objects each; of some the smaller side is resized away."""
    return tuple(
        Image.fromarray(image_of(rows)).resize(size, Image.Resampling.BICUBIC)
        for rows, size in zip(_OBJECTS, SIZES, strict=True)
    )


@cache
def golden_of_photos(labels: tuple[str, ...] = LABELS) -> dict[str, bytes]:
    """The files of golden/ that a run would make of these photos and the file, by their names in the folder above."""
    shown = photos()
    images = ImageSet(
        labels=np.zeros(len(shown), np.int64), names=tuple(map(str, range(len(shown)))), read=shown.__getitem__
    )
    with TemporaryDirectory() as folder:
        path = Path(folder, DETECTOR)
        path.write_bytes(model())
        return detector_golden_files(
            stem=STEM,
            licence="Apache-2.0",
            preprocess=PREPROCESS,
            labels=labels,
            detectors=[HandDetector(runner=open_runner(path))],
            images=images,
            seed=0,
        )


def model() -> bytes:
    """The content of the file."""
    return detector_tflite(order=ORDER)


def detector_model(labels: tuple[str, ...] = LABELS) -> DetectorModel:
    """The file as an app gets it."""
    files = golden_of_photos(labels)
    golden = detector_golden_from_bytes(files["golden/golden.json"])
    return AppModel(
        name=golden.stem,
        artifact=golden.artifacts[0],
        model=model(),
        labels=labels,
        golden=golden,
        golden_files={name.removeprefix("golden/"): each for name, each in files.items() if not name.endswith(".json")},
    )
