"""The proof that an int8 .tflite holds the integers that were decided, on a real build and on tampered decisions."""

import json

import numpy as np
import pytest

from mbexport.calibration.affine import Range
from mbexport.errors import StageError
from mbexport.tflite_proof import require_decided_integers

STAGES = ".mbexport/stages"


@pytest.fixture
def decided(small_build):
    """The file, the kernels in the order of the network, and the ranges of the shared build."""
    content = (small_build / STAGES / "tflite-int8" / "mobilenet_v1_0.25_32_int8.tflite").read_bytes()
    with np.load(small_build / STAGES / "quantize" / "weights.npz") as weights:
        kernels = {key.split("/")[0]: weights[key] for key in weights.files if key.endswith("/0")}
    bounds = json.loads((small_build / STAGES / "calibrate" / "ranges.json").read_text())
    return content, kernels, {site: Range(low=low, high=high) for site, (low, high) in bounds.items()}


def test_a_build_holds_what_was_decided(decided):
    content, kernels, ranges = decided
    assert len(kernels) == 28
    require_decided_integers(content, kernels, ranges)


@pytest.mark.parametrize("layer", ["conv1", "conv_dw_3", "conv_pw_13", "conv_preds"])
def test_another_kernel_is_noticed(decided, layer):
    content, kernels, ranges = decided
    changed = kernels[layer].copy()
    changed[0, 0] *= -1
    with pytest.raises(StageError, match=f"weights of {layer}"):
        require_decided_integers(content, {**kernels, layer: changed}, ranges)


@pytest.mark.parametrize(("ties", "is_noticed"), [(1, False), (3, False), (10, True)])
def test_a_few_ties_are_no_other_kernel(decided, ties, is_noticed):
    content, kernels, ranges = decided
    changed = kernels["conv_dw_1"].copy()  # 72 weights: one is more than a percent
    largest = np.abs(changed).max(axis=(0, 1, 3), keepdims=True)
    small = np.argsort(np.abs(changed / largest), axis=None)[:ties]  # the channels' scales stay as they are
    changed.flat[small] += np.broadcast_to(largest / 127, changed.shape).flat[small]  # one code up
    if not is_noticed:
        require_decided_integers(content, {**kernels, "conv_dw_1": changed}, ranges)
        return
    with pytest.raises(StageError, match="weights of conv_dw_1"):
        require_decided_integers(content, {**kernels, "conv_dw_1": changed}, ranges)


def test_another_range_is_noticed(decided):
    content, kernels, ranges = decided
    wider = Range(low=0, high=ranges["conv_pw_1_relu"].high * 1.003)
    with pytest.raises(StageError, match="range of conv_pw_1_relu"):
        require_decided_integers(content, kernels, {**ranges, "conv_pw_1_relu": wider})


def test_a_missing_convolution_is_noticed(decided):
    content, kernels, ranges = decided
    with pytest.raises(StageError, match="must have 27 convolutions, got 28"):
        require_decided_integers(content, {k: v for k, v in kernels.items() if k != "conv1"}, ranges)
