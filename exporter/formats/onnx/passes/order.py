"""The ordered list of graph passes for a precision and a layout.

The batch is named first, so that the shapes of all tensors follow from it; then tensors keep one order of axes, and
pooling gets its name, by which it is looked for (1). Then activations get their type (2) and what that makes redundant
goes (3); what stands between a convolution and its neighbours' quantization goes (4): a clip only where the codes
behind it are the final ones; what still moves codes alone is then written as compilers of NPUs want it, and layers that
were kept in float are put out of onnxruntime's reach. Weights change their type, and the input its layout, when nothing
looks at shapes any more (5). A detector then gets its tail, which computes in floats in every precision (6). Constants
are shared once no pass makes any, but for what onnxruntime wants for each tensor of weights (7). The order of the
nodes, and the names that follow from it, come last (8), so that they are given to what is left.

Each pass changes a ModelProto in place. In their pictures `DQ` and `Q` stand for DequantizeLinear and QuantizeLinear.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import onnx

from mbexport.artifact import Layout, Precision
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.onnx.detection_tail import append_detection_tail
from mbexport.formats.onnx.passes.activations import spell_out_hard_swish
from mbexport.formats.onnx.passes.ends import drop_idle_reshapes, name_batch, pool_globally, take_channels_first
from mbexport.formats.onnx.passes.float_layers import feed_codes_to_float_layers
from mbexport.formats.onnx.passes.half import store_weights_as_half
from mbexport.formats.onnx.passes.int8 import (
    absorb_clips,
    give_weights_their_own_zero_points,
    merge_requantizations,
    reshape_numbers,
    use_uint8_activations,
)
from mbexport.formats.onnx.passes.layout import keep_channels_first, pad_codes
from mbexport.formats.onnx.passes.names import name_canonically, order_canonically, share_constants

Pass = Callable[[onnx.ModelProto], None]

_FIRST: Final[tuple[Pass, ...]] = (name_batch, keep_channels_first, spell_out_hard_swish, pool_globally)
_OF_PRECISION: Final[Mapping[Precision, tuple[Pass, ...]]] = MappingProxyType(
    {
        Precision.FP32: (drop_idle_reshapes,),
        Precision.FP16: (drop_idle_reshapes, store_weights_as_half),
        Precision.INT8: (
            use_uint8_activations,
            merge_requantizations,
            absorb_clips,
            pad_codes,
            drop_idle_reshapes,
            reshape_numbers,
            feed_codes_to_float_layers,
        ),
    }
)
_OF_LAYOUT: Final[Mapping[Layout, tuple[Pass, ...]]] = MappingProxyType(
    {Layout.NHWC: (), Layout.NCHW: (take_channels_first,)}
)
_LAST: Final[tuple[Pass, ...]] = (
    share_constants,
    give_weights_their_own_zero_points,
    order_canonically,
    name_canonically,
)


def passes_for(precision: Precision, layout: Layout, tail: DetectionTail | None = None) -> tuple[Pass, ...]:
    """What is done to the graph, first to last; a detector's is given its `tail`."""
    appended = () if tail is None else (partial(append_detection_tail, tail=tail),)
    return (*_FIRST, *_OF_PRECISION[precision], *_OF_LAYOUT[layout], *appended, *_LAST)
