"""Which images kernel paths are run on, however long they take, and outputs of any shape."""

import itertools
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.verification.kernel_paths import FEWEST_IMAGES, IMAGES, evenly_spread, images_for, run_paths


def test_spread_by_hand():
    assert evenly_spread(16, 4).tolist() == [0, 4, 8, 12]
    assert evenly_spread(3, 64).tolist() == [0, 1, 2]
    assert evenly_spread(0, 64).tolist() == []


@given(st.integers(1, 500), st.integers(1, 70))
def test_images_are_spread_over_all(count, most):
    found = evenly_spread(count, most)
    assert len(set(found.tolist())) == len(found) == min(count, most)
    assert all(0 <= place < count for place in found)
    assert np.diff([*found, count]).max() <= count / len(found) + 1


@pytest.mark.parametrize(
    ("size_bytes", "px", "images"),
    [
        (100_000, 32, 64),
        (500_000, 224, 64),
        (1_300_000, 224, 64),
        (2_000_000, 224, 43),
        (4_300_000, 224, 32),
        (0, 1, 64),
    ],
)
def test_large_files_are_sent_fewer_images(size_bytes, px, images):
    assert images_for(size_bytes, px * px) == images


@given(st.integers(0, 10**9), st.integers(1, 2000))
def test_the_file_alone_decides_how_many_and_they_are_enough_to_decide(size_bytes, px):
    assert FEWEST_IMAGES <= images_for(size_bytes, px) <= IMAGES


def test_outputs_may_have_any_shape(numbered, pixel):
    def path(shape, *, batch):
        return lambda: SimpleNamespace(batch=batch, raw=lambda pixels: np.ones((len(pixels), *shape)))

    openers = {"boxes": path((5, 4), batch=2), "nothing": path((), batch=3)}
    runs = run_paths(openers, numbered([0] * 7), pixel)
    assert {name: run.raw.shape for name, run in runs.items()} == {"boxes": (7, 5, 4), "nothing": (7,)}


def test_a_slow_path_is_asked_as_much_as_a_fast_one(numbered, pixel, monkeypatch):
    hours = itertools.count(step=3600)
    for clock in ("monotonic", "perf_counter", "time"):
        monkeypatch.setattr(time, clock, lambda: float(next(hours)))
    path = SimpleNamespace(batch=1, raw=lambda pixels: np.ones((len(pixels), 2)))
    runs = run_paths({"slow": lambda: path, "fast": lambda: path}, numbered([0] * 100), pixel)
    assert {name: len(run.raw) for name, run in runs.items()} == {"slow": IMAGES, "fast": IMAGES}
