"""Packages beside the float network: counted by hand, and one that cannot be simulated is an entry with the reason."""

import numpy as np
import pytest
from coreml_by_hand import BIAS, KERNEL, SIDE, files_by_hand

from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.progress import Silent
from mbexport.verification.classification.coreml import compare_packages

PIXELS = Preprocess(resolution=Resolution.square(SIDE), crop_fraction=1.0)


def floats(pixels):
    """What the package by hand computes, in float64, of images of one colour."""
    logits = (pixels[:, 0, 0] / 127.5 - 1) @ KERNEL.reshape(2, 3).T.astype(float) + BIAS
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture
def compared(numbered):
    def compare(reference=floats, *, most=200, count=200, **changed):
        packages, images = {"net": files_by_hand(**changed)}, numbered(range(count))
        (found,) = compare_packages(packages, reference, images, PIXELS, most=most, progress=Silent())
        return found

    return compare


def test_the_same_network_agrees(compared):
    entry = compared()
    assert (entry["images"], entry["agreement"]) == (200, 1.0)
    assert 0 < entry["max_abs_error"] < 2e-3
    assert entry["agreement_ci95"][0] > 0.98
    assert "failure" not in entry


def test_another_answer_counts(compared):
    """The reference turns the scores of the 50 darkest images: that many answers are others."""

    def turned(pixels):
        scores = floats(pixels)
        return np.where(pixels[:, :1, 0, 0] < 50, scores[:, ::-1], scores)

    assert compared(turned)["agreement"] == 0.75


def test_at_most_so_many_images_spread_over_all(compared):
    seen = []

    def noted(pixels):
        seen.extend(pixels[:, 0, 0, 0].tolist())
        return floats(pixels)

    assert compared(noted, most=4)["images"] == 4
    assert seen == [0, 50, 100, 150]


def test_answers_that_are_no_numbers_agree_with_nothing(compared):
    assert compared(lambda pixels: np.full((len(pixels), 2), np.nan))["agreement"] == 0.0


def test_what_cannot_be_simulated_is_an_entry_with_the_reason(compared):
    entry = compared(ending="erf")
    assert entry["failure"] == "net cannot be simulated: it has the operation erf"
    assert (entry["images"], entry["agreement"], entry["agreement_ci95"]) == (0, None, None)
