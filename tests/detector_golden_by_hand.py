"""A detector's golden vectors, and what an app gets of them: the file by hand, noise, and what it finds there."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import numpy as np
from detector_by_hand import LABELS, MOST, PREPROCESS, PX
from PIL import Image

from mbexport.golden.detection.vectors import (
    DetectorArtifact,
    DetectorCase,
    DetectorGolden,
    Distance,
    GoldenTensor,
    Row,
)
from mbexport.golden.vectors import GoldenInput

DETECTOR: Final = "net_int8.tflite"
SHAPES: Final = {"location": (1, MOST, 4), "category": (1, MOST), "score": (1, MOST), "number of detections": (1,)}


def detector_golden_by_hand() -> DetectorGolden:
    """One photo of 5 x 4 pixels, in which a tree and maybe a dog were found."""
    _, resized = photo_files((5, 4))
    return DetectorGolden(
        stem="net",
        classes=len(LABELS),
        licence="Apache-2.0",
        preprocess=PREPROCESS,
        least_score=0.3,
        artifacts=(
            DetectorArtifact(
                file=DETECTOR,
                sha256="0" * 64,
                format="tflite",
                precision="int8",
                input=GoldenInput(
                    name="image", dtype="uint8", shape=(1, PX, PX, 3), layout="nhwc", channel_order="RGB"
                ),
                outputs=tuple(GoldenTensor(name=name, dtype="float32", shape=shape) for name, shape in SHAPES.items()),
                tolerance=Distance(score=0.125, corner=0.03125),
                spread=Distance(score=0.01, corner=0.002),
            ),
        ),
        cases=(
            DetectorCase(
                name="case_0",
                width=5,
                height=4,
                raw="case_0/raw.rgb",
                resized="case_0/resized.rgb",
                sha256=sha256(resized).hexdigest(),
                expected={DETECTOR: (row(2, 0.75), row(1, 0.3125, is_safe=False))},
            ),
        ),
    )


def row(index: int, score: float, *, is_safe: bool = True) -> Row:
    """A row whose box is the upper left quarter of the photo, 5 x 4 pixels."""
    return Row(
        index=index,
        label=LABELS[index],
        score=score,
        box=(0.0, 0.0, 0.5, 0.5),
        pixels=(0.0, 0.0, 2.5, 2.0),
        is_safe=is_safe,
    )


def photo_files(size: Sequence[int]) -> tuple[bytes, bytes]:
    """The bytes of a photo of that width and height, and of what the network is shown."""
    width, height = size
    raw = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    return raw.tobytes(), PREPROCESS.pixels(Image.fromarray(raw)).tobytes()
