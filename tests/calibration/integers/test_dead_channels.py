"""A channel whose weights have faded keeps its bias: in the codes, in fake quantization and in a real int8 .tflite.

Training leaves such channels in depthwise layers: their statistics have next to no variance, and folding them leaves
weights of 1e-12 beside a bias that the next layer has learned to count on.
"""

import numpy as np
import pytest
import tf_keras

from mbexport.artifact import Io
from mbexport.calibration.affine import MIN_LARGEST_WEIGHT, Range, min_largest_weights
from mbexport.calibration.qat.fake_quant import fake_quantize, input_range, min_largest_by_layer
from mbexport.calibration.ranges.observe import observe
from mbexport.errors import StageError
from mbexport.formats.tflite.convert import int8_tflite
from mbexport.formats.tflite.integers import Decided, require_decided_integers

pytestmark = pytest.mark.run

layers = tf_keras.layers
INPUT = {"input_scale": 1 / 127.5, "input_zero_point": 128}
DEAD, BIAS = 1e-12, np.float32([1.5, 0.25, 3.0, -2.0])  # the first and the last channel of each layer are dead


def faded(convolution: str) -> tf_keras.Model:
    """A chain with a layer of the kind `convolution` between two others; its channels 0 and 3 have faded away."""
    x = image = layers.Input((8, 8, 3), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(4, 3, strides=2, padding="same", name="stem")(x))
    middle = {
        "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same", name="middle"),
        "full": lambda: layers.Conv2D(4, 1, name="middle"),
    }
    x = layers.ReLU(6.0, name="middle_relu")(middle[convolution]()(x))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Reshape((4,), name="flat")(layers.Conv2D(4, 1, name="head")(x))
    network = tf_keras.Model(image, layers.Softmax(name="predictions")(x))
    rng = np.random.default_rng(0)
    for name in ("stem", "middle", "head"):
        kernel, _ = network.get_layer(name).get_weights()
        network.get_layer(name).set_weights([rng.normal(0, 0.5, kernel.shape), rng.normal(0, 0.3, 4)])
    kernel, _ = network.get_layer("middle").get_weights()
    fading = np.array([DEAD, 1, 1, DEAD]).reshape((4, 1) if convolution == "depthwise" else (4,))
    network.get_layer("middle").set_weights([kernel * fading, BIAS])
    return network


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), dtype=np.uint8)
    return (pixels - np.float32(128)) / np.float32(127.5)


@pytest.fixture(scope="module", params=["depthwise", "full"])
def network(request, images):
    """The network, its ranges, and the .tflite."""
    folded = faded(request.param)
    ranges = observe(folded, [images])
    quantized = fake_quantize(folded, ranges, **INPUT)
    return folded, ranges, quantized, int8_tflite(quantized, Io.INT8)


def test_each_convolution_has_the_least_weights_for_the_tensor_before_it(network):
    folded, ranges, _, _ = network
    found = min_largest_by_layer(folded, ranges, input_range(**INPUT))
    scales = {
        "stem": 1 / 127.5,
        "middle": ranges["stem_relu"].high / 255,
        "head": (ranges["pool"].high - ranges["pool"].low) / 255,
    }
    assert list(found) == list(scales)
    for name, scale in scales.items():
        _, bias = folded.get_layer(name).get_weights()
        np.testing.assert_allclose(found[name], min_largest_weights(bias, input_scale=scale), rtol=1e-9)
    assert (found["middle"] > MIN_LARGEST_WEIGHT).any()


def test_the_input_range_holds_the_256_bytes():
    found = input_range(input_scale=0.5, input_zero_point=100)
    assert found == Range(low=-50, high=77.5)


def test_fake_quantization_keeps_the_bias_and_drops_the_weights(network, images):
    folded, _, quantized, _ = network
    probe = tf_keras.Model(quantized.input, quantized.get_layer("quant_middle").output)
    found = probe.predict_on_batch(images)[..., [0, 3]]
    np.testing.assert_array_equal(found, np.broadcast_to(BIAS[[0, 3]], found.shape))
    scores = folded.predict_on_batch(images)
    assert np.abs(quantized.predict_on_batch(images) - scores).max() < 0.02
    assert np.ptp(scores, axis=0).max() > 0.05


def stored_bias(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The int32 and the scales of the second convolution's bias."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    operators = [op for op in interpreter._get_ops_details() if op["op_name"].endswith("CONV_2D")]
    index = operators[1]["inputs"][2]
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    return interpreter.get_tensor(index), details[index]["quantization_parameters"]["scales"]


def test_the_file_holds_the_bias(network):
    codes, scales = stored_bias(network[3])
    np.testing.assert_allclose(codes * scales.astype(np.float64), BIAS, rtol=1e-4)
    # Half of 32 bits are left for a bias that grows.
    assert np.abs(codes.astype(np.int64)).max() <= 2**30 * 1.001


def answers(content: bytes, images: np.ndarray) -> np.ndarray:
    """The scores of an int8 file, as real numbers."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for image in images:
        interpreter.set_tensor(source["index"], np.rint(image[None] * 127.5).astype(np.int8))
        interpreter.invoke()
        found.append((interpreter.get_tensor(target["index"])[0].astype(np.float64) + 128) / 256)
    return np.array(found)


def test_the_file_answers_as_the_float_network(network, images):
    folded, _, quantized, content = network
    found = answers(content, images)
    assert np.abs(found - quantized.predict_on_batch(images)).max() <= 4 / 256
    assert np.abs(found - folded.predict_on_batch(images)).max() < 0.02


def decided(folded: tf_keras.Model, ranges) -> dict[str, Decided]:
    least = min_largest_by_layer(folded, ranges, input_range(**INPUT))
    found = {}
    for name in least:
        kernel, bias = folded.get_layer(name).get_weights()
        found[name] = Decided(kernel=kernel, bias=bias, least=least[name])
    return found


def test_the_proof_holds_for_such_a_file(network):
    folded, ranges, _, content = network
    require_decided_integers(content, decided(folded, ranges), ranges)


def test_without_least_weights_the_bias_saturates_and_the_proof_says_so(network, monkeypatch):
    # The scale that TFLite's converter gives to weights of 1e-12 holds a bias of 0.2 at most.
    folded, ranges, _, _ = network
    expected = decided(folded, ranges)
    small = {name: np.full(4, MIN_LARGEST_WEIGHT) for name in expected}
    monkeypatch.setattr("mbexport.calibration.qat.fake_quant.min_largest_by_layer", lambda *_: small)
    content = int8_tflite(fake_quantize(folded, ranges, **INPUT), Io.INT8)
    codes, scales = stored_bias(content)
    assert np.abs(codes[[0, 3]] * scales[[0, 3]]).max() < 0.25
    with pytest.raises(StageError, match=r"the bias of middle, -2 in channel 3, got -0\.1"):
        require_decided_integers(content, expected, ranges)
