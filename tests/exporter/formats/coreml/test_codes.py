"""Decided codes in float16 scales, and their place in a package."""

import numpy as np
import pytest
from coreml_by_hand import BIAS, KERNEL, files_by_hand
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import StageError
from mbexport.formats.coreml.codes import decided_codes, with_decided_codes
from mbexport.formats.coreml.package import package_of
from mbexport.formats.coreml.weights import convolutions_in, in_package_order
from mbexport.formats.tflite.integers import Decided

OWN = Decided(kernel=KERNEL.transpose(2, 3, 1, 0), bias=BIAS, least=np.zeros(2))


def test_codes_and_scales_by_hand():
    """The largest weights, 0.5 and 1, are 127; 0.5 / 127 in float16 is 2064 * 2**-19."""
    found = decided_codes(OWN)
    assert found.codes.reshape(2, 3).tolist() == [[127, -64, 32], [-127, 95, 64]]
    assert found.scales.astype(float).tolist() == [2064 * 2**-19, 2064 * 2**-18]


@pytest.mark.parametrize(("shape", "order"), [((3, 2, 4, 5), (5, 4, 3, 2)), ((3, 2, 4, 1), (4, 1, 3, 2))])
def test_the_order_of_a_kernel(shape, order):
    kernel = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    decided = Decided(kernel=kernel, bias=np.zeros(order[0], np.float32), least=np.zeros(order[0]))
    turned = in_package_order(decided)
    assert turned.shape == order
    out, inner = (3, 2) if shape[-1] == 5 else (3, 0)
    expected = kernel[1, 1, inner, out] if shape[-1] == 5 else kernel[1, 1, out, 0]
    assert turned[out, inner, 1, 1] == expected


@given(
    seed=st.integers(0, 2**32 - 1),
    exponent=st.floats(-9, 4),
    least=st.floats(0, 2),
)
def test_a_weight_is_at_most_half_a_step_off(seed, exponent, least):
    """Of any size that float16 can hold: the scales of tiny ones are multiples of 2**-24, and never zero."""
    kernel = (np.random.default_rng(seed).normal(size=(1, 1, 6, 4)) * 10**exponent).astype(np.float32)
    limits = np.abs(kernel).max(axis=(0, 1, 2)).astype(float) * least
    found = decided_codes(Decided(kernel=kernel, bias=np.zeros(4, np.float32), least=limits))
    scales = found.scales.astype(np.float64).reshape(-1, 1, 1, 1)
    assert (scales > 0).all()
    stored = found.codes * scales
    error = np.abs(stored - kernel.transpose(3, 2, 0, 1))
    # Half a step of the decided code, and half a step of the one nearest to that: the second where float16 is coarse.
    assert (error <= scales * (1 + 1e-3)).all()
    normal = scales >= 2.0**-14
    assert (error <= scales / 2 + 127 * scales * 2.0**-10)[np.broadcast_to(normal, error.shape)].all()


def test_codes_are_written_over_those_in_the_package():
    files = files_by_hand(codes=(np.full((2, 3, 1, 1), 3, np.int8), np.ones(2, np.float16)))
    changed = with_decided_codes(files, {"conv": OWN})
    (stored,) = convolutions_in(package_of(changed, name="net"))
    expected = decided_codes(OWN)
    assert stored.unpacking.attributes["quantized_data"].values.tolist() == expected.codes.tolist()
    assert stored.unpacking.attributes["scale"].values.tolist() == expected.scales.tolist()
    same = {name for name in files if files[name] == changed[name]}
    assert same == set(files) - {"Data/com.apple.CoreML/weights/weight.bin"}


def test_kernels_in_float16_stay():
    files = files_by_hand()
    assert with_decided_codes(files, {"conv": OWN}) == files


def test_another_network_is_refused():
    with pytest.raises(StageError, match="the package must have 2 convolutions, got 1"):
        with_decided_codes(files_by_hand(), {"a": OWN, "b": OWN})
    wide = Decided(kernel=np.ones((1, 1, 3, 4), np.float32), bias=np.ones(4, np.float32), least=np.zeros(4))
    with pytest.raises(StageError, match=r"the package has a kernel \(2, 3, 1, 1\) of no layer"):
        with_decided_codes(files_by_hand(), {"a": wide})


def test_codes_of_another_type_are_refused():
    codes = np.full((2, 3, 1, 1), 3, np.int8), np.ones(2, np.float32)
    with pytest.raises(StageError, match=r"^scale of conv must be float16 \(2,\) in the file of weights, got float32"):
        with_decided_codes(files_by_hand(codes=codes), {"conv": OWN})
