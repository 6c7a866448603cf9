"""Operations of Core ML's programs: numbers by hand, and convolutions against their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.formats.coreml.operations import OPERATIONS


def of(kind, **given_values):
    return np.asarray(OPERATIONS[kind](given_values))


def image(*rows):
    return np.array(rows, np.float32)[np.newaxis, np.newaxis]


@pytest.mark.parametrize(
    ("kind", "given_values", "expected"),
    [
        ("relu6", {"x": np.float32([-1, 3, 9])}, [0, 3, 6]),
        ("clip", {"x": np.float32([-1, 3, 9]), "alpha": 1, "beta": 4}, [1, 3, 4]),
        ("sigmoid_hard", {"x": np.float32([-3, 0, 3]), "alpha": np.float32(1 / 6), "beta": 0.5}, [0, 0.5, 1]),
        ("softmax", {"x": np.log(np.float32([[1, 3]])), "axis": -1}, [[0.25, 0.75]]),
        ("reduce_mean", {"x": image([1, 2], [3, 6]), "axes": [2, 3], "keep_dims": True}, [[[[3]]]]),
        ("linear", {"x": np.float32([[1, 2]]), "weight": np.float32([[3, 4]]), "bias": np.float32([1])}, [[12]]),
        ("transpose", {"x": np.float32([[1, 2]]), "perm": [1, 0]}, [[1], [2]]),
        ("pad", {"x": image([1]), "pad": [0, 0, 0, 0, 0, 1, 0, 1], "mode": "constant"}, [[[[1, 0], [0, 0]]]]),
        ("max_pool", {"x": image([-1, -2], [-3, -4]), "kernel_sizes": [3, 3], "pad_type": "same"}, [[[[-1] * 2] * 2]]),
        ("avg_pool", {"x": image([2, 4]), "kernel_sizes": [1, 2], "strides": [1, 2]}, [[[[3]]]]),
        (
            "avg_pool",
            {"x": image([2, 4]), "kernel_sizes": [1, 2], "pad_type": "same", "exclude_padding_from_average": True},
            [[[[3, 4]]]],
        ),
        ("matmul", {"x": np.float32([[1, 2]]), "y": np.float32([[3, 4]]), "transpose_y": True}, [[11]]),
    ],
)
def test_by_hand(kind, given_values, expected):
    assert np.allclose(of(kind, **given_values), expected)


def test_an_uneven_border_is_behind_as_in_tensorflow():
    """2 x 2 with stride 2 would need none; 3 x 3 on 4 pixels with stride 2 needs one pixel, behind."""
    ones = np.ones((1, 1, 3, 3), np.float32)
    found = of("conv", x=np.ones((1, 1, 4, 4), np.float32), weight=ones, strides=[2, 2], pad_type="same")
    assert found.tolist() == [[[[9, 6], [6, 4]]]]
    lower = of("conv", x=np.ones((1, 1, 4, 4), np.float32), weight=ones, strides=[2, 2], pad_type="same_lower")
    assert lower.tolist() == [[[[4, 6], [6, 9]]]]


@given(
    groups=st.sampled_from([1, 2, 4]),
    multiplier=st.integers(1, 3),
    side=st.integers(1, 3),
    stride=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_convolution_is_its_definition(groups, multiplier, side, stride, seed):
    """Each place of the output is the sum of the weights times what lies beneath them, group by group."""
    rng = np.random.default_rng(seed)
    inputs, outputs = 4, groups * multiplier
    x = rng.normal(size=(1, inputs, 5, 6)).astype(np.float32)
    weight = rng.normal(size=(outputs, inputs // groups, side, side)).astype(np.float32)
    bias = rng.normal(size=outputs).astype(np.float32)
    found = of("conv", x=x, weight=weight, bias=bias, strides=[stride, stride], groups=groups, pad_type="valid")
    for out, row, column in np.ndindex(*found.shape[1:]):
        first = out // multiplier * (inputs // groups)
        seen = x[0, first : first + inputs // groups, row * stride :, column * stride :][:, :side, :side]
        assert np.isclose(found[0, out, row, column], (seen * weight[out]).sum() + bias[out], atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "given_values", "message"),
    [
        ("conv", {"dilations": [2, 2]}, "a convolution with dilations"),
        ("conv", {"pad_type": "round"}, "a border of the kind round"),
        ("pad", {"mode": "reflect"}, "a border of the kind reflect"),
        ("max_pool", {"ceil_mode": True}, "a pooling that rounds sizes up"),
    ],
)
def test_what_is_not_known_is_refused(kind, given_values, message):
    with pytest.raises(DataError, match=message):
        of(kind, x=image([1]), weight=np.ones((1, 1, 1, 1), np.float32), **given_values)
