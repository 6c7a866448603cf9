"""A detector goes through all of calibration: four outputs, and tensors that two heads and the next layer read."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from small_detector import OUTPUTS, PREPROCESS, pixels

from mbexport.calibration.affine import INT8_MIN, Range, activation_affine
from mbexport.calibration.calibrate import Calibrated, calibrate
from mbexport.calibration.choices import CANDIDATES, Correction, Observer
from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.examine.health import measure_health
from mbexport.calibration.examine.sensitivity import sensitivity
from mbexport.calibration.examine.twins import Twin, run_in_float, run_in_integers, twins_of
from mbexport.calibration.integers.copies import find_spares
from mbexport.calibration.integers.corrections import Corrected, Corrections, correct
from mbexport.calibration.qat.fake_quant import PREFIX, fake_quantize, input_range
from mbexport.calibration.ranges.observe import observe
from mbexport.calibration.steps import steps_of
from mbexport.models.facts import Output
from mbexport.models.graph import entry_of, outputs_of
from mbexport.models.widening import with_widths

pytestmark = pytest.mark.run

ENDS = {"input_scale": PREPROCESS.input_scale, "input_zero_point": PREPROCESS.input_zero_point}
PIXELS = pixels()
IMAGES = PREPROCESS.dequantize(PIXELS)
STEPS = PREPROCESS.steps(PIXELS)
INPUTS = {
    "stem_relu": ("image",),
    "spatial_relu": ("stem_relu",),
    "mixed_relu": ("spatial_relu",),
    "reduce_relu": ("mixed_relu",),
    "spread_relu": ("reduce_relu",),
    "boxes_0": ("mixed_relu",),
    "classes_0": ("mixed_relu",),
    "boxes_1": ("spread_relu",),
    "classes_1": ("spread_relu",),
}
Network = Any


def calibrated(network: Network, detector: DetectorMeasure, observer: Observer, corrections: Any) -> Calibrated:
    return calibrate(
        network, lambda: iter([IMAGES[:40], IMAGES[40:]]), PREPROCESS, observer=observer, ranges=None,
        corrections=Corrections.of(corrections), detector=detector, seed=0, on_step=lambda *_: None,
    )  # fmt: skip


def with_integers(folded: Network, found: Corrected) -> Network:
    """The folded network with the weights that were decided, and room for copies behind its stem."""
    folded = with_widths(folded, {name: len(bias) for name, (_, bias) in found.weights.items()})
    for name, weights in found.weights.items():
        folded.get_layer(name).set_weights(weights)
    return folded


@pytest.fixture(scope="module")
def network(small_detector: Callable[[], Network]) -> Network:
    return small_detector()


@pytest.fixture(scope="module")
def found(network: Network, detector: DetectorMeasure) -> Calibrated:
    return calibrated(network, detector, Observer.AUTO, Correction)


@pytest.fixture(scope="module")
def quantized(small_detector: Callable[[], Network], found: Calibrated) -> Network:
    return with_integers(small_detector(), found.corrected)


@pytest.fixture(scope="module")
def twins(network: Network, quantized: Network, found: Calibrated) -> list[Twin]:
    made = found.corrected
    return twins_of(
        network, quantized, entry=input_range(**ENDS), ranges=made.ranges, largest=made.largest,
        arrangement=made.arrangement,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rounded(quantized: Network, found: Calibrated) -> Network:
    return fake_quantize(quantized, found.corrected.ranges, **ENDS, largest=found.corrected.largest)


def answers(detector: DetectorMeasure, network: Network, names: Any = OUTPUTS) -> Any:
    return detector.joined(dict(zip(names, network(IMAGES), strict=True)))


def divergence(detector: DetectorMeasure, expected: Any, made: Any) -> float:
    return float(detector.mean_divergence(expected, made))


def test_the_steps_by_hand(network: Network) -> None:
    steps = {step.site: step for step in steps_of(network)}
    assert {site: step.inputs for site, step in steps.items()} == INPUTS
    assert tuple(site for site, step in steps.items() if step.is_output) == OUTPUTS


def test_some_anchors_see_an_object_and_most_do_not(network: Network, detector: DetectorMeasure) -> None:
    scores = 1 / (1 + np.exp(-answers(detector, network)[..., 4:].numpy()))
    assert 0.01 < (scores > 0.3).mean() < 0.1
    assert (scores < 0.01).mean() > 0.7


def test_auto_goes_by_the_divergence_of_detections(
    network: Network, detector: DetectorMeasure, found: Calibrated
) -> None:
    errors = found.observed.errors
    assert list(errors) == list(CANDIDATES)
    assert found.observed.observer == min(errors, key=lambda name: errors[name])
    ranges = observe(network, [IMAGES[:40], IMAGES[40:]], observer=Observer.MINMAX)
    rounded = {
        name: activation_affine(ranges[name]).dequantize(activation_affine(ranges[name]).quantize(np.asarray(made)))
        for name, made in zip(OUTPUTS, network(IMAGES), strict=True)
    }
    # Rounding the outputs is a part of what rounding every tensor does.
    ends = divergence(detector, answers(detector, network), detector.joined(rounded))
    assert 0.01 * errors[Observer.MINMAX] < ends < errors[Observer.MINMAX]


def test_tensors_that_heads_read_stay_as_they_are(found: Calibrated) -> None:
    scalings = found.corrected.arrangement.scalings
    plain = {site for site, scaling in scalings.items() if (scaling.factors == 1).all() and not scaling.shifts.any()}
    assert {"mixed_relu", "spread_relu", *OUTPUTS} <= plain
    assert not {"stem_relu", "spatial_relu", "reduce_relu"} & plain


def test_copies_lie_where_no_head_reads(small_detector: Callable[[], Network]) -> None:
    folded = small_detector()
    for name in ("stem", "spatial", "mixed", "reduce"):  # channel 1 of each does nothing
        kernel, bias = folded.get_layer(name).get_weights()
        kernel.reshape(-1, len(bias))[:, 1] = 0
        bias[1] = -1
        folded.get_layer(name).set_weights([kernel, bias])
    places = find_spares(steps_of(folded), observe(folded, [IMAGES]), entry=input_range(**ENDS))
    assert [place.sites for place in places] == [["stem_relu", "spatial_relu"], ["reduce_relu"]]


def test_the_channels_that_matter_most_to_detections_are_copied(
    small_detector: Callable[[], Network], detector: DetectorMeasure
) -> None:
    folded = small_detector()
    kernel, bias = folded.get_layer("reduce").get_weights()
    kernel[..., 1], bias[1] = 0, -1
    folded.get_layer("reduce").set_weights([kernel, bias])
    ranges = observe(folded, [IMAGES])
    made = correct(
        folded, ranges, lambda: [IMAGES], entry=input_range(**ENDS), corrections=Corrections.of([Correction.COPIES]),
        detector=detector,
    )  # fmt: skip
    copied = made.arrangement.weights["reduce"][0][0, 0]
    (source,) = (channel for channel in range(8) if channel != 1 and np.array_equal(copied[:, channel], copied[:, 1]))
    reader = np.abs(folded.get_layer("spread").get_weights()[0]).sum(axis=(0, 1, 3))
    assert reader[source] > np.median(reader)


def test_ranges_of_logits_begin_below_the_least_score(
    network: Network, detector: DetectorMeasure, found: Calibrated
) -> None:
    for name, logits in zip(OUTPUTS, network(IMAGES), strict=True):
        interval, observed = found.corrected.ranges[name], found.observed.ranges[name]
        if name.startswith("classes"):
            affine = activation_affine(interval)
            lowest = affine.dequantize(np.array(INT8_MIN)).item()
            assert detector.least_logit - 3 * affine.scale[0] < lowest < detector.least_logit
            assert interval.low > 0.5 * observed.low
            assert interval.high > 0.5 * float(np.max(logits))
        else:
            assert abs(interval.low) > 0.3 * abs(float(np.min(logits)))


def test_corrections_bring_a_detector_nearer_to_float(
    network: Network, detector: DetectorMeasure, small_detector: Callable[[], Network], rounded: Network
) -> None:
    plain = calibrated(network, detector, Observer.MINMAX, ()).corrected
    folded = with_integers(small_detector(), plain)
    nearest = fake_quantize(folded, plain.ranges, **ENDS, largest=plain.largest)
    expected = answers(detector, network)
    far, near = (divergence(detector, expected, answers(detector, each)) for each in (nearest, rounded))
    assert near < 0.5 * far
    either, both = (each.sum() for each in detector.shown(expected, answers(detector, rounded)))
    assert both / either > 0.9


def test_a_detector_is_calibrated_to_the_same_integers_again(
    network: Network, detector: DetectorMeasure, found: Calibrated
) -> None:
    again = calibrated(network, detector, Observer.AUTO, Correction)
    assert again.corrected.ranges == found.corrected.ranges
    for name, arrays in found.corrected.weights.items():
        for one, other in zip(arrays, again.corrected.weights[name], strict=True):
            np.testing.assert_array_equal(one, other, name)


def test_twins_compute_both_networks(network: Network, rounded: Network, twins: list[Twin], found: Calibrated) -> None:
    floats = {twin.name: np.asarray(steps * twin.units) for twin, steps in run_in_float(twins, STEPS)}
    integers = {twin.name: np.asarray(steps) for twin, steps in run_in_integers(twins, STEPS)}
    for name, expected, simulated in zip(OUTPUTS, network(IMAGES), rounded(IMAGES), strict=True):
        np.testing.assert_allclose(floats[name], expected, atol=1e-2)  # channels that move by little are constants
        distance = np.abs(integers[name] - simulated / activation_affine(found.corrected.ranges[name]).scale[0])
        assert distance.mean() < 0.1, name  # now and then a value lies between two codes
        assert distance.max() < 3, name


def test_twins_in_integers_are_a_tflite_file_code_for_code(rounded: Network, twins: list[Twin]) -> None:
    converter = tf.lite.TFLiteConverter.from_keras_model(rounded)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type, converter.inference_output_type = tf.uint8, tf.int8
    file = Interpreter(model_content=converter.convert())
    runner = file.get_signature_runner()
    (given,) = runner.get_input_details()
    for image, codes in zip(PIXELS[:8, None], STEPS[:8, None], strict=True):
        stored = runner(**{given: image})
        made = {twin.name: np.asarray(steps) for twin, steps in run_in_integers(twins, codes)}
        for name in OUTPUTS:
            zero_point = runner.get_output_details()[PREFIX + name]["quantization"][1]
            np.testing.assert_array_equal(stored[PREFIX + name].astype(np.float32) - zero_point, made[name], name)


def test_what_each_layer_costs_is_measured_by_the_divergence(twins: list[Twin], detector: DetectorMeasure) -> None:
    found = sensitivity(twins, [STEPS[:20], STEPS[20:32]], output=Output.SIGMOID, detector=detector)
    assert (found.samples, set(found.without)) == (32, {twin.layer for twin in twins})
    x = {entry_of(twins): STEPS[:32]}
    expected = outputs_of(twins, x, lambda twin, tensors: twin.in_float(*tensors))

    def scaled(made: Any) -> Any:
        return detector.joined({twin.name: made[twin.name] * twin.units for twin in twins if twin.is_output})

    for layer in ("mixed", "classes_0", "boxes_1"):
        alone = outputs_of(
            twins, x, lambda twin, t, only=layer: twin.in_float(*t) if twin.layer == only else twin.in_integers(*t)
        )
        wanted = divergence(detector, scaled(expected), scaled(alone))
        assert found.without[layer].divergence == pytest.approx(wanted, rel=1e-3)
        either, both = (each.sum() for each in detector.shown(scaled(expected), scaled(alone)))
        assert found.without[layer].agreement == pytest.approx(both / either)
    assert found.quantized.divergence > found.without["mixed"].divergence


def test_every_tensor_is_near_float(twins: list[Twin]) -> None:
    health = measure_health(twins, [STEPS])
    assert [each.site for each in health] == list(INPUTS)
    assert min(each.snr_db for each in health if not each.site.startswith("classes")) > 20
    assert sum(each.killed for each in health) == 0


def test_a_range_that_was_given_is_used(network: Network, detector: DetectorMeasure) -> None:
    ranges = observe(network, [IMAGES])
    given = ranges | {"classes_0": Range(low=-20, high=5)}
    made = correct(
        network, given, lambda: [IMAGES], entry=input_range(**ENDS), corrections=Corrections.of([Correction.BIAS]),
        detector=detector,
    )  # fmt: skip
    assert made.ranges == given
