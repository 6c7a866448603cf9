"""Integers do not depend on how many threads numpy's linear algebra has: it has one while they are decided."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mbexport.calibration.calibrate import calibrate
from mbexport.calibration.choices import Correction, Observer
from mbexport.calibration.integers.corrections import Corrections
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

pytestmark = pytest.mark.run


def blas_threads() -> set[int]:
    """How many threads each BLAS of this process has."""
    return {found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}


def test_blas_has_one_thread_while_integers_are_decided_and_its_own_number_afterwards(
    short_network: Callable[[], Any],
) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (12, 8, 8, 3)).astype(np.float32)
    seen: list[set[int]] = []

    def inputs() -> Any:
        seen.append(blas_threads())
        return iter([images])

    with threadpool_limits(limits=2, user_api="blas"):
        calibrate(
            short_network(), inputs, Preprocess(resolution=Resolution.square(8)), observer=Observer.MINMAX, ranges=None,
            corrections=Corrections.of(Correction), seed=0, on_step=lambda *_: seen.append(blas_threads()),
        )  # fmt: skip
        assert blas_threads() == {2}
    assert len(seen) > 2
    assert all(threads == {1} for threads in seen)
