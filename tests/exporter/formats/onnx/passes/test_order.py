"""The lists of passes: every precision and layout has one, and the order that others rely on holds."""

import itertools

import pytest

from mbexport.artifact import Layout, Precision
from mbexport.formats.onnx.passes.ends import drop_idle_reshapes, name_batch, take_channels_first
from mbexport.formats.onnx.passes.half import store_weights_as_half
from mbexport.formats.onnx.passes.int8 import (
    absorb_clips,
    give_weights_their_own_zero_points,
    merge_requantizations,
    reshape_numbers,
    use_uint8_activations,
)
from mbexport.formats.onnx.passes.names import name_canonically, order_canonically, share_constants
from mbexport.formats.onnx.passes.order import passes_for

PRECISIONS = (Precision.FP32, Precision.FP16, Precision.INT8)


@pytest.mark.parametrize(("precision", "layout"), list(itertools.product(PRECISIONS, Layout)))
def test_shapes_first_and_names_last(precision, layout):
    passes = passes_for(precision, layout)
    assert passes[0] is name_batch
    last = (share_constants, give_weights_their_own_zero_points, order_canonically, name_canonically)
    assert passes[-4:] == last
    assert len(set(passes)) == len(passes)
    assert (take_channels_first in passes) is (layout is Layout.NCHW)
    assert (store_weights_as_half in passes) is (precision is Precision.FP16)


def test_int8_activations_get_their_type_before_anything_is_dropped():
    passes = passes_for(Precision.INT8, Layout.NHWC)
    ordered = (use_uint8_activations, merge_requantizations, absorb_clips, drop_idle_reshapes, reshape_numbers)
    assert [step for step in passes if step in ordered] == list(ordered)
