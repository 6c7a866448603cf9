"""Which images kernel paths are run on, and outputs of any shape."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mbexport.verification.kernel_paths import evenly_spread, run_paths


def test_spread_by_hand():
    assert evenly_spread(16, 4).tolist() == [0, 8, 4, 12]
    assert evenly_spread(3, 64).tolist() == [0, 2, 1]
    assert evenly_spread(0, 64).tolist() == []


@given(st.integers(1, 500), st.integers(1, 70))
def test_each_beginning_is_spread_over_all(count, most):
    found = evenly_spread(count, most)
    assert len(set(found.tolist())) == len(found) == min(count, most)
    assert all(0 <= place < count for place in found)
    for reached in range(1, len(found) + 1):
        gaps = np.diff([*sorted(found[:reached]), count + found[0]])
        assert gaps.max() <= 4 * count / reached + 1


def test_outputs_may_have_any_shape_and_end_where_the_slowest_path_does(numbered, pixel):
    ticks = iter(range(0, 4000, 100))

    def path(shape, *, batch):
        return lambda: SimpleNamespace(batch=batch, raw=lambda pixels: np.ones((len(pixels), *shape)))

    openers = {"boxes": path((5, 4), batch=2), "nothing": path((), batch=3)}
    runs = run_paths(openers, numbered([0] * 7), pixel, budget_s=0)
    assert {name: run.raw.shape for name, run in runs.items()} == {"boxes": (2, 5, 4), "nothing": (2,)}
    runs = run_paths({"boxes": openers["boxes"]}, numbered([0] * 7), pixel, clock=lambda: next(ticks))
    assert runs["boxes"].raw.shape == (2, 5, 4)
