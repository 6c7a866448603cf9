"""Corrections: each layer's integers and their ranges, and answers that are nearer to float's."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras

from mbexport.calibration.affine import INT8_MAX, Range, activation_affine
from mbexport.calibration.choices import Correction
from mbexport.calibration.integers.corrections import INPUT as INPUT_SITE
from mbexport.calibration.integers.corrections import Corrected, Corrections, correct
from mbexport.calibration.integers.layer import Rounded, ScaledLayer
from mbexport.calibration.integers.rounding import nearest
from mbexport.calibration.qat.fake_quant import fake_quantize, input_range
from mbexport.calibration.ranges.logits import divergence
from mbexport.calibration.ranges.observe import observe
from mbexport.calibration.steps import activation_sites, steps_of
from mbexport.models.folding import is_convolution

pytestmark = pytest.mark.run

INPUT = {"input_scale": 1 / 127.5, "input_zero_point": 128}
ENTRY = input_range(**INPUT)
NONE = Corrections(copies=False, equalization=False, rounding=False, bias=False, logits=False)
NAMES = ("copies", "equalization", "rounding", "bias", "logits")
EACH = {name: Corrections(**{**dict.fromkeys(NAMES, False), name: True}) for name in NAMES}


def corrected(network: Any, inputs: np.ndarray, corrections: Corrections) -> Corrected:
    batches = [inputs[start : start + 32] for start in range(0, len(inputs), 32)]
    return correct(network, observe(network, batches), lambda: batches, entry=ENTRY, corrections=corrections)


def quantized(network: Any, found: Corrected) -> Any:
    """The fake-quantized network with the corrected integers."""
    copy = tf_keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    for name, weights in found.weights.items():
        copy.get_layer(name).set_weights(weights)
    return fake_quantize(copy, found.ranges, **INPUT, largest=found.largest)


def distance(network: Any, found: Corrected, inputs: np.ndarray) -> float:
    """How far the quantized network's probabilities are from the float ones, in nats."""
    expected, probabilities = (model.predict_on_batch(inputs) for model in (network, quantized(network, found)))
    return divergence(*(np.log(np.maximum(values, 1e-9)) for values in (expected, probabilities)))


@pytest.fixture(scope="module")
def mobilenet(tiny_mobilenet: Callable[..., Any]) -> Any:
    return tiny_mobilenet()


@pytest.fixture(scope="module")
def plain(mobilenet: Any, inputs: np.ndarray) -> Corrected:
    return corrected(mobilenet, inputs, NONE)


@pytest.fixture(scope="module")
def whole(mobilenet: Any, inputs: np.ndarray) -> Corrected:
    return corrected(mobilenet, inputs, Corrections())


def test_steps_are_the_tensors_that_are_stored(mobilenet: Any) -> None:
    steps = steps_of(mobilenet)
    assert [step.site for step in steps][:3] == ["conv1_relu", "conv_dw_1_relu", "conv_pw_1_relu"]
    assert [step.site for step in steps][-2:] == ["global_average_pooling2d", "conv_preds"]
    assert [step.ceiling for step in steps] == [6.0] * 27 + [None] * 2
    assert [step.is_depthwise for step in steps[:4]] == [False, True, False, True]


def test_without_corrections_weights_are_rounded_and_all_else_stays(mobilenet: Any, plain: Corrected) -> None:
    for layer in filter(is_convolution, mobilenet.layers):
        kernel, bias = layer.get_weights()
        found, same = plain.weights[layer.name]
        scales = plain.largest[layer.name] / INT8_MAX
        expected = nearest(kernel.reshape(-1, len(bias)).astype(np.float64), scales).reshape(kernel.shape)
        np.testing.assert_allclose(found, expected, atol=1e-7)
        np.testing.assert_allclose(same, bias, atol=scales.max() * 6 / 255)  # a step of 32 bits


def test_biases_are_whole_steps_of_32_bits(mobilenet: Any, whole: Corrected) -> None:
    given = ENTRY
    for step in steps_of(mobilenet):
        if step.convolution is not None:
            name = step.convolution.name
            steps = activation_affine(given).scale[0] * whole.largest[name] / INT8_MAX
            codes = whole.weights[name][1] / steps
            np.testing.assert_allclose(codes, np.rint(codes), rtol=1e-6, atol=1e-2)
        given = whole.ranges[step.site]


def test_factors_carry_the_float_kernels_to_where_they_were_rounded(mobilenet: Any, whole: Corrected) -> None:
    # The largest weights of the scaled float kernel are what code 127 stands for, unless a bias asked for more.
    steps = {step.site: step for step in whole.arrangement.steps(mobilenet)}
    factors = {site: scaling.factors for site, scaling in whole.arrangement.scalings.items()}
    kernel, _ = steps["conv_pw_1_relu"].weights
    scaled = kernel * (factors["conv_pw_1_relu"] / factors["conv_dw_1_relu"][:, None])
    assert (whole.largest["conv_pw_1"] >= np.abs(scaled).max(axis=(0, 1, 2)) * (1 - 1e-6)).all()
    assert max(values.max() for values in factors.values()) > 1.5
    assert set(factors) == set(whole.ranges)


def test_without_equalization_every_channel_is_as_it_is(plain: Corrected) -> None:
    assert plain.arrangement.weights == {}
    for scaling in plain.arrangement.scalings.values():
        assert (scaling.factors == 1).all()
        assert (scaling.shifts == 0).all()


def test_corrections_are_made_of_their_names() -> None:
    assert Corrections.of(Correction) == Corrections()
    assert Corrections.of(()) == NONE
    assert all(Corrections.of([Correction(name)]) == only for name, only in EACH.items())


def test_ranges_that_nothing_corrects_stay_as_they_were_given(
    short_network: Callable[[], Any], inputs: np.ndarray
) -> None:
    network, batches = short_network(), [inputs[:, ::4, ::4]]
    ranges = observe(network, batches) | {"head": Range(low=-0.5, high=0.25), "pool": Range(low=0, high=9)}
    found = correct(network, ranges, lambda: batches, entry=ENTRY, corrections=NONE)
    assert found.ranges == ranges
    assert found.sites["head"].clipped > 0.1
    assert found.sites["pool"].unused_codes > 100


def test_every_stored_tensor_is_described(mobilenet: Any, whole: Corrected) -> None:
    assert tuple(whole.sites) == (INPUT_SITE, *activation_sites(mobilenet))
    assert all(whole.sites[name].high == interval.high for name, interval in whole.ranges.items())


def test_what_a_relu6_cuts_in_float_too_is_not_clipped(mobilenet: Any, plain: Corrected, inputs: np.ndarray) -> None:
    full = [name for name, interval in plain.ranges.items() if interval.high == 6]
    assert full
    assert all(plain.sites[name].clipped == 0 for name in full)
    probe = tf_keras.Model(mobilenet.input, mobilenet.get_layer(full[0]).output)
    assert (probe.predict_on_batch(inputs) == 6).any()


def test_corrections_store_tensors_better(plain: Corrected, whole: Corrected) -> None:
    deep = [name for name in plain.ranges if name.startswith(("conv_dw_", "conv_pw_"))]
    gained = [whole.sites[name].snr_db - plain.sites[name].snr_db for name in deep]
    assert np.mean(gained) > 3  # half the noise


def test_kernels_are_whole_multiples_of_their_scales(whole: Corrected) -> None:
    for name, (kernel, bias) in whole.weights.items():
        codes = kernel.reshape(-1, len(bias)) / (whole.largest[name] / INT8_MAX)
        np.testing.assert_allclose(codes, np.rint(codes), atol=1e-3)
        assert np.abs(codes).max() <= INT8_MAX + 1e-3


def test_fake_quantization_leaves_the_kernels_as_they_were_rounded(mobilenet: Any, whole: Corrected) -> None:
    network = quantized(mobilenet, whole)
    wrapper = next(layer for layer in network.layers if layer.name == "quant_conv_pw_1")
    kernel, _ = whole.weights["conv_pw_1"]
    found = wrapper.quantize_config.weights(kernel, training=False, weights={}).numpy()
    np.testing.assert_allclose(found, kernel, rtol=1e-4, atol=1e-7)


def test_all_corrections_bring_the_answers_nearer_to_float(
    mobilenet: Any, plain: Corrected, whole: Corrected, inputs: np.ndarray
) -> None:
    assert distance(mobilenet, whole, inputs) < distance(mobilenet, plain, inputs) / 2


@pytest.mark.run
def test_rounding_by_itself_helps(mobilenet: Any, plain: Corrected, inputs: np.ndarray) -> None:
    found = corrected(mobilenet, inputs, EACH["rounding"])
    assert distance(mobilenet, found, inputs) < distance(mobilenet, plain, inputs)


def means(network: Any, site: str, inputs: np.ndarray) -> np.ndarray:
    """The error of each channel of a stored tensor."""
    probe = tf_keras.Model(network.input, network.get_layer(site).output)
    return probe.predict_on_batch(inputs).mean(axis=(0, 1, 2))


@pytest.mark.parametrize("site", ["conv_dw_2_relu", "conv_pw_3_relu", "conv_pw_9_relu"])
def test_bias_gives_each_channel_the_mean_that_it_has_in_float(
    mobilenet: Any, plain: Corrected, inputs: np.ndarray, site: str
) -> None:
    expected = means(mobilenet, site, inputs)
    network = quantized(mobilenet, corrected(mobilenet, inputs, EACH["bias"]))
    found, without = (means(model, f"quant_{site}", inputs) for model in (network, quantized(mobilenet, plain)))
    assert np.abs(found - expected).max() < 0.02
    assert np.abs(found - expected).mean() < np.abs(without - expected).mean() / 2


def test_equalization_keeps_what_a_network_computes_in_float(
    mobilenet: Any, inputs: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScaledLayer, "nearest", lambda layer: Rounded(kernel=layer.kernel, scales=layer.scales))
    found = corrected(mobilenet, inputs, EACH["equalization"])
    copy = tf_keras.models.clone_model(mobilenet)
    for name, weights in found.weights.items():
        copy.get_layer(name).set_weights(weights)
    # But for what is cut of a few outliers.
    expected, answers = (model.predict_on_batch(inputs) for model in (mobilenet, copy))
    assert (expected.argmax(axis=1) == answers.argmax(axis=1)).mean() > 0.9
    changed = [name for name, (kernel, _) in found.weights.items() if _moved(kernel, mobilenet, name) > 0.1]
    assert len(changed) > 5  # most channels of an untrained network do not fill their range


def _moved(kernel: np.ndarray, network: Any, name: str) -> float:
    before = network.get_layer(name).get_weights()[0]
    return float(np.abs(kernel - before).max() / np.abs(before).max())


def test_only_the_logits_are_narrowed(plain: Corrected, mobilenet: Any, inputs: np.ndarray) -> None:
    found = corrected(mobilenet, inputs, EACH["logits"])
    different = {site for site in plain.ranges if plain.ranges[site] != found.ranges[site]}
    assert different <= {"conv_preds"}
    assert found.ranges["conv_preds"].low >= plain.ranges["conv_preds"].low


def test_the_same_images_give_the_same_integers(mobilenet: Any, whole: Corrected, inputs: np.ndarray) -> None:
    again = corrected(mobilenet, inputs, Corrections())
    for name, weights in whole.weights.items():
        for one, other in zip(weights, again.weights[name], strict=True):
            np.testing.assert_array_equal(one, other)
    assert again.ranges == whole.ranges


def test_a_channel_that_is_always_dead_is_no_division_by_zero(
    short_network: Callable[[], Any], inputs: np.ndarray
) -> None:
    network = short_network()
    kernel, bias = network.get_layer("stem").get_weights()
    kernel[..., 1], bias[1] = 0, -1
    network.get_layer("stem").set_weights([kernel, bias])
    small = inputs[:, ::4, ::4]
    found = corrected(network, small, Corrections())
    assert all(np.isfinite(value).all() for weights in found.weights.values() for value in weights)
    assert all(isinstance(interval, Range) for interval in found.ranges.values())


def test_every_step_is_reported(short_network: Callable[[], Any], inputs: np.ndarray) -> None:
    network, small, steps = short_network(), inputs[:, ::4, ::4], []
    correct(
        network,
        observe(network, [small]),
        lambda: [small],
        entry=ENTRY,
        corrections=NONE,
        on_step=lambda *step: steps.append(step),
    )
    assert steps == [(number, 5, "layers") for number in range(1, 6)]


@pytest.mark.run
def test_every_combination_runs(short_network: Callable[[], Any], inputs: np.ndarray) -> None:
    small = inputs[:16, ::4, ::4]
    for switches in itertools.product((False, True), repeat=len(NAMES)):
        found = corrected(short_network(), small, Corrections(**dict(zip(NAMES, switches, strict=True))))
        assert set(found.weights) == {"stem", "depthwise", "pointwise", "head"}
