"""Detectors that answer from tables, and images that are their number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from detection_scenes import Scenes
from PIL import Image

from mbexport.artifact import Precision
from mbexport.models.data.open import ImageSet
from mbexport.models.detection.boxes import Detections
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.verification.detection.baseline import Baseline
from mbexport.verification.detection.collect import collect
from mbexport.verification.detection.comparison import Asked, Verification, compared

PIXEL = Preprocess(resolution=Resolution.square(1), crop_fraction=1.0, is_stretched=True)


@dataclass(frozen=True, kw_only=True)
class TableDetector:
    """Answers image number i (its first byte) with entry i of a table."""

    name: str
    table: Sequence[Detections]
    precision: Precision = Precision.FP32
    runtime: str = "table"
    is_raw: bool = False
    asked: list[int] = field(default_factory=list)

    @property
    def runner(self) -> Any:
        return SimpleNamespace(
            name=self.name, path=Path(self.name), precision=self.precision, runtime=self.runtime, batch=1
        )

    def feeds(self, pixels: Any) -> Any:
        return pixels

    def detections(self, pixels: Any) -> tuple[Detections, ...]:
        self.asked.extend(pixels[:, 0, 0, 0].tolist())
        return tuple(self.table[place] for place in pixels[:, 0, 0, 0])


def numbered_photos(sizes: Sequence[Resolution]) -> ImageSet:
    """Photos of these sizes, each with its number as its bytes."""
    return ImageSet(
        labels=np.zeros(len(sizes), np.int64),
        names=tuple(f"{place}.jpg" for place in range(len(sizes))),
        read=lambda place: Image.new("RGB", sizes[place].sides_px[::-1], (place, place, place)),
    )


def verified_scenes(
    scenes: Scenes, *tables: Sequence[Detections], reference: Sequence[Detections] | None, classes: int = 3
) -> Verification:
    """What is said of detectors a, b, ... that answer with `tables`, beside a reference or labels alone."""
    names = tuple("abcdef"[: len(tables)])
    baseline = Baseline(name="the labels")
    if reference is not None:
        baseline = Baseline.of(TableDetector(name="reference", table=reference))
    images = numbered_photos(scenes.sizes)
    found = collect(
        [TableDetector(name=name, table=table) for name, table in zip(names, tables, strict=True)],
        images,
        scenes.truth,
        PIXEL,
        reference=baseline,
    )
    asked = Asked(names=images.names, truth=scenes.truth, classes=classes)
    return compared(found, names, asked, is_network=reference is not None)


@pytest.fixture(scope="session")
def detector() -> type[TableDetector]:
    return TableDetector


@pytest.fixture(scope="session")
def photos() -> Callable[..., ImageSet]:
    return numbered_photos


@pytest.fixture(scope="session")
def pixel() -> Preprocess:
    return PIXEL


@pytest.fixture(scope="session")
def verified() -> Callable[..., Verification]:
    return verified_scenes
