"""Shared by tests of verify: comparisons of runners that answer from tables, and images that are their number."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mbexport.formats.runner import Runner
from mbexport.formats.subject import Source, Subject
from mbexport.models.data.open import ImageSet
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.comparison import Verification, verify

PIXEL = Preprocess(resolution=Resolution.square(1), crop_fraction=1.0)


def numbered_images(labels: Any) -> ImageSet:
    """Images of one pixel, each with its number as its bytes."""
    return ImageSet(
        labels=np.asarray(labels, np.int64),
        names=tuple(f"{place}.png" for place in range(len(labels))),
        read=lambda place: Image.new("RGB", (1, 1), (place, place, place)),
    )


def subject_of(runner: Runner, kind: Output = Output.SOFTMAX, *, skips_background: bool = False) -> Subject:
    return Subject(runner=runner, preprocess=PIXEL, kind=kind, source=Source.OPTION, skips_background=skips_background)


def verified_tables(
    runners: Any, labels: Any, *, reference: Any, kind: Output = Output.SOFTMAX, **given: Any
) -> Verification:
    """A comparison of runners, or of subjects, with the answers of a table; all give scores of one `kind`."""
    table = np.asarray(reference, np.float32)
    return verify(
        [each if isinstance(each, Subject) else subject_of(each, kind) for each in runners],
        numbered_images(labels),
        PIXEL,
        reference=Baseline(name="reference", kind=kind, scores=lambda pixels: table[pixels[:, 0, 0, 0]]),
        **given,
    )


@pytest.fixture(scope="session")
def numbered() -> Callable[..., ImageSet]:
    return numbered_images


@pytest.fixture(scope="session")
def pixel() -> Preprocess:
    return PIXEL


@pytest.fixture(scope="session")
def subject() -> Callable[..., Subject]:
    return subject_of


@pytest.fixture(scope="session")
def verified() -> Callable[..., Verification]:
    return verified_tables


@pytest.fixture(scope="session")
def one_hot() -> Callable[..., np.ndarray]:
    """Scores of 1 for the given classes and 0 for all others."""

    def scores(*classes: int, count: int = 3) -> np.ndarray:
        return np.eye(count, dtype=np.float32)[list(classes)]

    return scores
