"""A hard-swish in an opset that has no operator for it."""

from typing import Any

import numpy as np
from onnx import TensorProto

from mbexport.formats.onnx.passes.activations import spell_out_hard_swish

ENDS = ("x", TensorProto.FLOAT, [101]), ("y", TensorProto.FLOAT, [101])
NUMBERS = np.linspace(-5, 5, 101, dtype=np.float32)


def test_a_hard_swish_is_spelt_out_for_opset_13(tiny: Any) -> None:
    model = tiny.graph("HardSwish x -> h; Relu h -> y", *ENDS)
    expected = tiny.run(model, NUMBERS)
    model.opset_import[0].version = 13
    spell_out_hard_swish(model)
    assert tiny.kinds(model) == ["HardSigmoid", "Mul", "Relu"]
    np.testing.assert_allclose(tiny.run(model, NUMBERS), expected, atol=1e-6)
    np.testing.assert_allclose(tiny.run(model, NUMBERS)[[0, 60, 100]], [0, 1 * 4 / 6, 5], atol=1e-6)


def test_it_stays_where_there_is_an_operator(tiny: Any) -> None:
    model = tiny.graph("HardSwish x -> y", *ENDS)
    spell_out_hard_swish(model)
    assert tiny.kinds(model) == ["HardSwish"]
