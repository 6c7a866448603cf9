"""The proof that an int8 .tflite holds the integers that were decided, on a real file and on tampered decisions."""

import dataclasses

import numpy as np
import pytest

from mbexport.artifact import Io
from mbexport.calibration.affine import Range
from mbexport.errors import StageError
from mbexport.formats.tflite.integers import Decided, require_decided_integers
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

pytestmark = pytest.mark.run

PREPARED = Preprocess(resolution=Resolution.square(32))
INPUT = {"input_scale": PREPARED.input_scale, "input_zero_point": PREPARED.input_zero_point}


@pytest.fixture(scope="module")
def decided():
    """The file, the convolutions in the order of the network, and the ranges of an untrained MobileNet."""
    import tf_keras

    from mbexport.calibration.qat.fake_quant import fake_quantize, input_range, min_largest_by_layer
    from mbexport.calibration.ranges.observe import observe
    from mbexport.formats.tflite.convert import int8_tflite
    from mbexport.models.folding import fold_batch_norm
    from mbexport.models.mobilenet_v1.network import build

    tf_keras.utils.set_random_seed(0)
    network = build(ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=10), batch_norm_momentum=0.0)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    network(PREPARED.normalize(pixels), training=True)  # statistics without which the signal fades away
    folded = fold_batch_norm(network, preprocess=PREPARED)
    ranges = observe(folded, [PREPARED.dequantize(pixels)])
    least = min_largest_by_layer(folded, ranges, input_range(**INPUT))
    convolutions = {}
    for name in least:
        kernel, bias = folded.get_layer(name).get_weights()
        convolutions[name] = Decided(kernel=kernel, bias=bias, least=least[name])
    return int8_tflite(fake_quantize(folded, ranges, **INPUT), Io.UINT8), convolutions, ranges


def test_a_file_holds_what_was_decided(decided):
    content, convolutions, ranges = decided
    assert len(convolutions) == 28
    assert len(ranges) == 29
    require_decided_integers(content, convolutions, ranges)


def changed(convolutions, layer, **changes):
    return {**convolutions, layer: dataclasses.replace(convolutions[layer], **changes)}


@pytest.mark.parametrize("layer", ["conv1", "conv_dw_3", "conv_pw_13", "conv_preds"])
def test_another_kernel_is_noticed(decided, layer):
    content, convolutions, ranges = decided
    kernel = convolutions[layer].kernel.copy()
    kernel[0, 0] *= -1
    with pytest.raises(StageError, match=f"weights of {layer}"):
        require_decided_integers(content, changed(convolutions, layer, kernel=kernel), ranges)


@pytest.mark.parametrize("layer", ["conv1", "conv_dw_3", "conv_pw_13", "conv_preds"])
@pytest.mark.parametrize("channel", [0, 3, -1])
def test_another_bias_is_noticed(decided, layer, channel):
    content, convolutions, ranges = decided
    bias = convolutions[layer].bias.copy()
    bias[channel] += 0.01
    found = channel % len(bias)
    with pytest.raises(StageError, match=rf"bias of {layer}, {bias[channel]:g} in channel {found}, got "):
        require_decided_integers(content, changed(convolutions, layer, bias=bias), ranges)


@pytest.mark.parametrize("layer", ["conv1", "conv_dw_3", "conv_preds"])
def test_a_bias_may_be_a_rounding_off(decided, layer):
    content, convolutions, ranges = decided
    bias = np.nextafter(convolutions[layer].bias, np.float32(9))
    require_decided_integers(content, changed(convolutions, layer, bias=bias), ranges)


@pytest.mark.parametrize("layer", ["conv_dw_3", "conv_pw_13"])
def test_a_least_weight_that_was_not_heeded_is_noticed(decided, layer):
    # As if a channel had been meant to have twice the scale: its codes would be half as large.
    content, convolutions, ranges = decided
    least = convolutions[layer].least.copy()
    least[:] = 2 * np.abs(convolutions[layer].kernel).max()
    with pytest.raises(StageError, match=f"weights of {layer}"):
        require_decided_integers(content, changed(convolutions, layer, least=least), ranges)


@pytest.mark.parametrize(("ties", "is_noticed"), [(1, False), (3, False), (10, True)])
def test_a_few_ties_are_no_other_kernel(decided, ties, is_noticed):
    content, convolutions, ranges = decided
    kernel = convolutions["conv_dw_1"].kernel.copy()  # 72 weights: one is more than a percent
    largest = np.abs(kernel).max(axis=(0, 1, 3), keepdims=True)
    small = np.argsort(np.abs(kernel / largest), axis=None)[:ties]  # the channels' scales stay as they are
    kernel.flat[small] += np.broadcast_to(largest / 127, kernel.shape).flat[small]  # one code up
    tampered = changed(convolutions, "conv_dw_1", kernel=kernel)
    if not is_noticed:
        require_decided_integers(content, tampered, ranges)
        return
    with pytest.raises(StageError, match="weights of conv_dw_1"):
        require_decided_integers(content, tampered, ranges)


def test_another_range_is_noticed(decided):
    content, convolutions, ranges = decided
    wider = Range(low=0, high=ranges["conv_pw_1_relu"].high * 1.003)
    with pytest.raises(StageError, match="range of conv_pw_1_relu"):
        require_decided_integers(content, convolutions, {**ranges, "conv_pw_1_relu": wider})


def test_a_missing_convolution_is_noticed(decided):
    content, convolutions, ranges = decided
    with pytest.raises(StageError, match="must have 27 convolutions, got 28"):
        require_decided_integers(content, {k: v for k, v in convolutions.items() if k != "conv1"}, ranges)
