"""A network with branches goes through all of calibration: sums and products of tensors are steps like any other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert.interpreter import Interpreter

from mbexport.calibration.affine import Range, activation_affine
from mbexport.calibration.choices import Observer
from mbexport.calibration.examine.health import measure_health
from mbexport.calibration.examine.sensitivity import sensitivity
from mbexport.calibration.examine.twins import Twin, run_in_float, run_in_integers, twins_of
from mbexport.calibration.integers.copies import find_spares
from mbexport.calibration.integers.corrections import INPUT, Corrected, Corrections, correct
from mbexport.calibration.qat.fake_quant import PREFIX, fake_quantize, input_range
from mbexport.calibration.ranges.logits import divergence
from mbexport.calibration.ranges.observe import observe, observe_ranges
from mbexport.calibration.steps import activation_sites, steps_of
from mbexport.errors import StageError
from mbexport.models.facts import Output
from mbexport.models.graph import entry_of, outputs_of

pytestmark = pytest.mark.run

layers = tf_keras.layers
SCALE, ZERO_POINT = 2 / 255, 0
ENTRY = input_range(input_scale=SCALE, input_zero_point=ZERO_POINT)
CODES = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3)) - ZERO_POINT
IMAGES = (CODES * SCALE).astype(np.float32)
# What each step of `residual()` reads.
INPUTS = {
    "stem_relu": ("image",),
    "expand_relu": ("stem_relu",),
    "spatial_relu": ("expand_relu",),
    "project": ("spatial_relu",),
    "add": ("stem_relu", "project"),
    "more_relu": ("add",),
    "squeeze": ("more_relu",),
    "gate_relu": ("squeeze",),
    "scale": ("more_relu", "gate_relu"),
    "pool": ("scale",),
    "head": ("pool",),
}


def residual() -> Any:
    """A block of MobileNet v2 with its shortcut, one of v3 with its squeeze and excitation, and a head: 4 classes."""
    x = image = layers.Input((8, 8, 3), name="image")
    x = shortcut = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(4, 3, padding="same", name="stem")(x))
    x = layers.ReLU(6.0, name="expand_relu")(layers.Conv2D(8, 1, name="expand")(x))
    x = layers.DepthwiseConv2D(3, name="spatial")(layers.ZeroPadding2D(1, name="pad")(x))
    x = layers.Conv2D(4, 1, name="project")(layers.ReLU(6.0, name="spatial_relu")(x))
    x = layers.Add(name="add")([shortcut, layers.Dropout(0.1, name="drop")(x)])
    x = layers.ReLU(name="more_relu")(layers.Conv2D(6, 1, name="more")(x))
    gate = layers.Conv2D(6, 1, name="gate")(layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x))
    x = layers.Multiply(name="scale")([x, layers.ReLU(1.0, name="gate_relu")(gate)])
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Reshape((4,), name="flat")(layers.Conv2D(4, 1, name="head")(x))
    network = tf_keras.Model(image, layers.Softmax(name="predictions")(x))
    rng = np.random.default_rng(1)
    for layer in network.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            deviation = np.sqrt(2 * len(bias) / kernel.size)  # He et al. 2015, arXiv 1502.01852
            layer.set_weights([rng.normal(0, deviation, kernel.shape), rng.normal(0.3, 0.3, bias.shape)])
    return network


@pytest.fixture(scope="module")
def network() -> Any:
    return residual()


@pytest.fixture(scope="module")
def ranges(network: Any) -> dict[str, Range]:
    return observe(network, [IMAGES])


@pytest.fixture(scope="module")
def corrected(network: Any, ranges: dict[str, Range]) -> Corrected:
    return correct(network, ranges, lambda: [IMAGES[:16], IMAGES[16:]], entry=ENTRY, corrections=Corrections())


@pytest.fixture(scope="module")
def quantized(corrected: Corrected) -> Any:
    """The folded network with the weights that were decided."""
    folded = residual()
    for name, weights in corrected.weights.items():
        folded.get_layer(name).set_weights(weights)
    return folded


@pytest.fixture(scope="module")
def twins(network: Any, quantized: Any, corrected: Corrected) -> list[Twin]:
    found = corrected
    return twins_of(
        network,
        quantized,
        entry=ENTRY,
        ranges=found.ranges,
        largest=found.largest,
        arrangement=found.arrangement,
    )


@pytest.fixture(scope="module")
def logits(network: Any) -> np.ndarray:
    return logits_of(network)


def logits_of(network: Any) -> np.ndarray:
    return np.asarray(tf_keras.Model(network.input, network.get_layer("flat").output)(IMAGES))


def test_the_steps_by_hand(network: Any) -> None:
    steps = {step.site: step for step in steps_of(network)}
    assert {site: step.inputs for site, step in steps.items()} == INPUTS
    assert activation_sites(network) == tuple(steps)
    assert [site for site, step in steps.items() if step.is_output] == ["head"]
    assert [node.name for node in steps["add"].before] == ["drop", "add"]
    assert [node.name for node in steps["spatial_relu"].before] == ["pad"]


def test_the_steps_compute_what_the_network_does(network: Any, logits: np.ndarray) -> None:
    steps = steps_of(network)
    made = outputs_of(steps, {entry_of(steps): IMAGES}, lambda step, inputs: step.compute(*inputs))
    assert np.ptp(logits, axis=0).min() > 0.01  # the answers depend on the image
    np.testing.assert_allclose(np.asarray(made["head"]).reshape(logits.shape), logits, atol=1e-4)


def test_a_sum_with_a_relu_is_one_step() -> None:
    image = layers.Input((4, 4, 2), name="image")
    x = layers.Conv2D(2, 1, name="a")(image)
    x = layers.ReLU(name="relu")(layers.Add(name="add")([x, image]))
    (first, second) = steps_of(tf_keras.Model(image, x))
    assert (second.site, second.inputs, second.ceiling) == ("relu", ("a", "image"), float("inf"))
    assert second.compute(np.full((1, 1, 1, 1), -3.0), np.ones((1, 1, 1, 1))).numpy().item() == 0
    assert first.ceiling is None


def test_a_convolution_that_a_relu_does_not_read_alone_is_a_step_by_itself() -> None:
    image = layers.Input((4, 4, 2), name="image")
    x = layers.Conv2D(2, 1, name="a")(image)
    steps = steps_of(tf_keras.Model(image, layers.Add(name="add")([x, layers.ReLU(name="relu")(x)])))
    assert {step.site: step.inputs for step in steps} == {"a": ("image",), "relu": ("a",), "add": ("a", "relu")}
    assert [step.ceiling for step in steps] == [None, float("inf"), None]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("maximum", "several tensors can be added, multiplied or concatenated, got both, Maximum"),
        ("normalization", "layers with weights must be convolutions, got norm"),
        ("softmax", "probabilities must be the end of the network, got attention inside"),
    ],
)
def test_layers_that_calibration_does_not_know_are_refused(kind: str, message: str) -> None:
    image = layers.Input((4, 4, 2), name="image")
    x = layers.ReLU(name="relu")(image)
    y = {
        "maximum": lambda: layers.Maximum(name="both")([image, x]),
        "normalization": lambda: layers.BatchNormalization(name="norm")(x),
        "softmax": lambda: layers.Multiply(name="times")([x, layers.Softmax(name="attention")(x)]),
    }[kind]()
    with pytest.raises(StageError, match=message):
        steps_of(tf_keras.Model(image, layers.Conv2D(2, 1, name="c")(y)))


def test_every_tensor_has_a_range_and_auto_compares_observers(network: Any, ranges: dict[str, Range]) -> None:
    assert set(ranges) == set(INPUTS)
    assert ranges["project"].low < 0  # a tensor without a ReLU
    found = observe_ranges(network, [IMAGES], observer=Observer.AUTO)
    assert all(np.isfinite(error) for error in found.errors.values())


def test_fake_quantization_rounds_the_sum_and_gives_nearly_the_same(
    network: Any, ranges: dict[str, Range], logits: np.ndarray
) -> None:
    rounded = fake_quantize(network, ranges, input_scale=SCALE, input_zero_point=ZERO_POINT)
    probe = tf_keras.Model(
        rounded.input, [rounded.get_layer(PREFIX + site).output for site in ("add", "scale", "head")]
    )
    for site, values in zip(("add", "scale"), probe(IMAGES), strict=False):
        codes = np.asarray(values) / activation_affine(ranges[site]).scale[0]
        np.testing.assert_allclose(codes, np.rint(codes), atol=1e-2)
    assert np.abs(np.asarray(probe(IMAGES)[2]).reshape(logits.shape) - logits).max() < 0.1 * np.ptp(logits)


def test_channels_that_a_sum_reads_or_makes_stay_as_they_are(corrected: Corrected) -> None:
    scalings = corrected.arrangement.scalings
    scaled = {site for site, scaling in scalings.items() if (scaling.factors != 1).any()}
    assert set(scalings) == set(INPUTS)
    assert {"expand_relu", "spatial_relu"} <= scaled
    assert not scaled & {"stem_relu", "project", "add", "more_relu", "scale", "pool"}


def test_copies_lie_only_where_one_step_alone_reads_the_channels(network: Any, ranges: dict[str, Range]) -> None:
    folded = residual()
    for name in ("stem", "expand", "spatial"):  # channel 1 of each does nothing
        kernel, bias = folded.get_layer(name).get_weights()
        kernel.reshape(-1, len(bias))[:, 1] = 0
        bias[1] = -1
        folded.get_layer(name).set_weights([kernel, bias])
    places = find_spares(steps_of(folded), ranges, entry=ENTRY)
    assert [place.sites for place in places] == [["expand_relu", "spatial_relu"]]


def test_corrected_integers_keep_the_answers(
    corrected: Corrected, network: Any, twins: list[Twin], logits: Any
) -> None:
    assert set(corrected.ranges) == set(INPUTS)
    assert set(corrected.sites) == {INPUT, *INPUTS}
    assert min(site.snr_db for name, site in corrected.sites.items() if name != INPUT) > 20
    *_, (twin, steps) = run_in_integers(twins, CODES.astype(np.float32))
    found = np.asarray(steps * twin.units).reshape(logits.shape)
    assert np.abs(found - logits).max() < 0.1 * np.ptp(logits)


def test_twins_compute_the_float_network_whatever_its_arrangement(twins: list[Twin], logits: np.ndarray) -> None:
    *_, (twin, steps) = run_in_float(twins, CODES.astype(np.float32))
    np.testing.assert_allclose(np.asarray(steps * twin.units).reshape(logits.shape), logits, atol=1e-4)


@pytest.fixture(scope="module")
def rounded(quantized: Any, corrected: Corrected) -> Any:
    """The fake-quantized network with the integers that were decided."""
    return fake_quantize(
        quantized, corrected.ranges, input_scale=SCALE, input_zero_point=ZERO_POINT, largest=corrected.largest
    )


def test_twins_in_integers_are_the_fake_quantized_network(
    twins: list[Twin], rounded: Any, corrected: Corrected
) -> None:
    probe = tf_keras.Model(rounded.input, [rounded.get_layer(PREFIX + twin.name).output for twin in twins])
    expected = dict(zip([twin.name for twin in twins], probe(IMAGES), strict=True))
    for twin, steps in run_in_integers(twins, CODES.astype(np.float32)):
        wanted = np.asarray(expected[twin.name]) / activation_affine(corrected.ranges[twin.name]).scale[0]
        distance = np.abs(np.asarray(steps) - wanted)
        assert distance.mean() < 0.1, twin.name  # now and then a value lies between two codes
        assert distance.max() < 3, twin.name


def test_twins_in_integers_are_a_tflite_file_code_for_code(twins: list[Twin], rounded: Any) -> None:
    converter = tf.lite.TFLiteConverter.from_keras_model(rounded)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.uint8
    file = Interpreter(model_content=converter.convert(), experimental_preserve_all_tensors=True)
    file.allocate_tensors()
    tensors = {tensor["name"]: tensor for tensor in file.get_tensor_details() if tensor["dtype"] is np.int8}
    for codes in CODES[:4, None]:
        file.set_tensor(file.get_input_details()[0]["index"], codes.astype(np.uint8))
        file.invoke()
        for twin, steps in run_in_integers(twins, codes.astype(np.float32)):
            (tensor,) = (
                each
                for name, each in tensors.items()
                if name.startswith(f"{rounded.name}/{PREFIX}{twin.name}/") and tuple(each["shape"]) == steps.shape
            )
            stored = file.get_tensor(tensor["index"]).astype(np.float32) - tensor["quantization"][1]
            np.testing.assert_array_equal(stored, np.asarray(steps), twin.name)


def test_what_each_layer_costs_is_measured_with_it_alone_in_float(twins: list[Twin], logits: np.ndarray) -> None:
    batches = [CODES[:16].astype(np.float32), CODES[16:].astype(np.float32)]
    found = sensitivity(twins, batches, output=Output.SOFTMAX)
    assert found.quantized.divergence > 0
    assert set(found.without) == {twin.layer for twin in twins}
    for layer, answers in found.without.items():

        def compute(twin: Twin, tensors: Sequence[Any], layer: str = layer) -> Any:
            return twin.in_float(*tensors) if twin.layer == layer else twin.in_integers(*tensors)

        steps = outputs_of(twins, {entry_of(twins): CODES.astype(np.float32)}, compute)["head"]
        alone = np.asarray(steps * twins[-1].units).reshape(logits.shape)
        assert answers.divergence == pytest.approx(divergence(logits, alone), rel=1e-2, abs=1e-9), layer


def test_every_tensor_is_near_float(twins: list[Twin]) -> None:
    found = measure_health(twins, [CODES.astype(np.float32)])
    assert [each.site for each in found] == list(INPUTS)
    assert all(each.snr_db > 20 for each in found)


def test_two_heads_go_through_calibration() -> None:
    image = layers.Input((4, 4, 3), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(4, 3, name="stem")(image))
    heads = [layers.Conv2D(2, 1, name="boxes")(x), layers.Conv2D(3, 1, name="classes")(x)]
    folded = tf_keras.Model(image, heads)
    images = IMAGES[:, :4, :4]
    ranges = observe_ranges(folded, [images], observer=Observer.AUTO).ranges
    found = correct(folded, ranges, lambda: [images], entry=ENTRY, corrections=Corrections())
    assert (found.arrangement.scalings["stem_relu"].factors == 1).all()  # two read it
    pairs = twins_of(folded, folded, entry=ENTRY, ranges=ranges, largest=found.largest, arrangement=found.arrangement)
    assert [twin.name for twin in pairs if twin.is_output] == ["boxes", "classes"]
    cost = sensitivity(pairs, [CODES[:, :4, :4].astype(np.float32)], output=Output.LOGITS)
    assert cost.samples == len(images)
    assert cost.without["boxes"].divergence < cost.quantized.divergence
