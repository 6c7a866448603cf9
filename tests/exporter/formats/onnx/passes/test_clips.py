"""Clips that quantization repeats: dropped where saturation is the clip, kept where it is not."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from mbexport.formats.onnx.passes.int8 import absorb_clips

TWO_QUANTIZATIONS = "Q c s z -> q2; DQ q2 s z -> other"


def clipped(
    tiny: Any, low: float, high: float, *, scale: float, zero: int = 0, other: str = TWO_QUANTIZATIONS
) -> onnx.ModelProto:
    """x -> Clip(low, high) -> Q -> DQ, added to what `other` makes of the clipped numbers."""
    steps = f"Clip x low high -> c; Q c s z -> q; DQ q s z -> d; {other}; Add d other -> y"
    ends = ("x", TensorProto.FLOAT, [4001]), ("y", TensorProto.FLOAT, [4001])
    return tiny.graph(steps, *ends, low=low, high=high, s=scale, z=np.uint8(zero))


@pytest.mark.parametrize("range_end", [6, 5.9, 0.5, 6.01])  # 6.01: less than half a step beyond 6
def test_a_clip_that_saturation_repeats_is_dropped(tiny, range_end):
    model = clipped(tiny, 0, 6, scale=range_end / 255)
    feed = np.linspace(-7, 13, 4001, dtype=np.float32)
    expected = tiny.run(model, feed)
    absorb_clips(model)
    assert "Clip" not in tiny.kinds(model)
    assert np.array_equal(tiny.run(model, feed), expected)


@pytest.mark.parametrize(
    ("scale", "zero", "other"),
    [(7 / 255, 0, TWO_QUANTIZATIONS), (7 / 255, 36, TWO_QUANTIZATIONS), (6 / 255, 0, "Neg c -> other")],
    ids=["range ends beyond the clip", "range starts below the clip", "somebody else reads the clipped numbers"],
)
def test_a_clip_that_matters_is_kept(tiny, scale, zero, other):
    model = clipped(tiny, 0, 6, scale=scale, zero=zero, other=other)
    before = model.SerializeToString(deterministic=True)
    absorb_clips(model)
    assert model.SerializeToString(deterministic=True) == before


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(-6, 6), st.integers(-6, 6), st.integers(1, 8), st.integers(0, 255))
@example(0, -2, 4, 0)  # the clip gives 254.5, which rounds to code 254; saturation gives code 255
def test_no_code_changes_where_a_clip_is_dropped(tiny, low, high, scale, zero):
    # Limits in quarters of a step from the ends of the range, which floats hold exactly: halfway is halfway.
    scale = scale / 4
    low, high = (-zero + low / 4) * scale, (255 - zero + high / 4) * scale
    model = clipped(tiny, low, high, scale=scale, zero=zero)
    feed = np.linspace(low - 9, high + 9, 4001, dtype=np.float32)
    expected = tiny.run(model, feed)
    absorb_clips(model)
    assert np.array_equal(tiny.run(model, feed), expected)
