"""Arrangements are read as they were written, change nothing in float, and bring integers nearer to it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.artifact import Io
from mbexport.calibration.choices import Correction
from mbexport.calibration.examine.twins import Twin, twins_of
from mbexport.calibration.integers.arrangement import Arrangement, arrange, plain_arrangement
from mbexport.calibration.integers.corrections import Corrected, Corrections, correct
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.layer import scaled_weights
from mbexport.calibration.qat.fake_quant import fake_quantize, input_range
from mbexport.calibration.ranges.logits import divergence
from mbexport.calibration.ranges.observe import observe
from mbexport.calibration.steps import Step, steps_of
from mbexport.formats.tflite.convert import int8_tflite
from mbexport.formats.tflite.integers import Decided, require_decided_integers
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.weights import arrays_from_bytes, arrays_to_bytes
from mbexport.verification.classification.simulation import check_simulation

PREPROCESS = Preprocess(resolution=Resolution.square(8), crop_fraction=1.0)
INPUT = {"input_scale": PREPROCESS.input_scale, "input_zero_point": PREPROCESS.input_zero_point}
ENTRY = input_range(**INPUT)
layers = tf_keras.layers


def noisy() -> Any:
    """A network whose logits are the small difference of two large channels, 0 and 2, of which 1 and 3 do nothing.

    Channel 4 lives far above zero. All weights are multiples of a 127th: rounding them costs nothing.
    """
    x = image = layers.Input((8, 8, 3), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(5, 1, strides=8, name="stem")(x))
    x = layers.Reshape((4,), name="flat")(layers.Conv2D(4, 1, name="head")(x))
    network = tf_keras.Model(image, layers.Softmax(name="predictions")(x))
    codes = np.array([[127, 50, -30], [0, 0, 0], [127, 54, -33], [0, 0, 0], [10, -5, 127]], np.float32)
    kernel = codes.T / 127 * np.float32([1.8, 0, 1.8, 0, 0.45])
    network.get_layer("stem").set_weights([kernel[None, None], np.float32([3, -1, 3, -1, 4.5])])
    rows = np.float32([[127, -127, 64, -64], [1, 1, 1, 1], [-127, 127, -64, 64], [1, 1, 1, 1], [9, -4, 3, 0]])
    network.get_layer("head").set_weights([(rows / 127 * 20)[None, None], np.float32([-4, 1, -2, 0])])
    return network


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (256, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def images(pixels: np.ndarray) -> np.ndarray:
    return PREPROCESS.dequantize(pixels)


@pytest.fixture(scope="module")
def short_steps(short_network: Callable[[], Any]) -> list[Step]:
    return steps_of(short_network())


def corrected(network: Any, images: np.ndarray, corrections: Corrections) -> Corrected:
    return correct(network, observe(network, [images]), lambda: [images], entry=ENTRY, corrections=corrections)


def decided(network: Any, found: Corrected) -> Any:
    """The network with the weights that were decided."""
    copy = tf_keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    for name, weights in found.weights.items():
        copy.get_layer(name).set_weights(weights)
    return copy


def twins(network: Any, found: Corrected) -> list[Twin]:
    kept = {"ranges": found.ranges, "largest": found.largest, "arrangement": found.arrangement}
    return twins_of(network, decided(network, found), entry=ENTRY, **kept)


@pytest.fixture(scope="module")
def arrangement(images: np.ndarray) -> Arrangement:
    network = noisy()
    return arrange(network, observe(network, [images]), lambda: [images], entry=ENTRY)


def test_channels_are_copied_shifted_and_multiplied(arrangement: Arrangement) -> None:
    assert set(arrangement.weights) == {"stem", "head"}
    kernel, _ = arrangement.weights["stem"]
    before, _ = noisy().get_layer("stem").get_weights()
    for spare in (1, 3):
        copied = [channel for channel in (0, 2) if np.array_equal(kernel[..., spare], before[..., channel])]
        assert len(copied) == 1
    found = arrangement.scalings["stem_relu"]
    assert found.shifts[4] > 3
    assert found.factors[4] >= 2


def equal(one: Arrangement, other: Arrangement) -> None:
    assert one.weights.keys() == other.weights.keys()
    for name, weights in one.weights.items():
        for first, second in zip(weights, other.weights[name], strict=True):
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)
    assert one.scalings.keys() == other.scalings.keys()
    for site, scaling in one.scalings.items():
        np.testing.assert_array_equal(scaling.factors, other.scalings[site].factors)
        np.testing.assert_array_equal(scaling.shifts, other.scalings[site].shifts)


def test_an_arrangement_is_read_as_it_was_written(arrangement: Arrangement) -> None:
    content = arrays_to_bytes(arrangement.to_arrays())
    equal(Arrangement.from_arrays(arrays_from_bytes(content, source="a file")), arrangement)


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)


@given(sites=st.dictionaries(NAMES, st.integers(1, 4)), convolutions=st.dictionaries(NAMES, st.integers(1, 3)))
def test_any_names_are_told_apart(sites: dict[str, int], convolutions: dict[str, int]) -> None:
    rng = np.random.default_rng(0)
    made = Arrangement(
        weights={
            name: [rng.normal(size=(1, 1, 2, n)).astype(np.float32), rng.normal(size=n).astype(np.float32)]
            for name, n in convolutions.items()
        },
        scalings={site: Scaling(factors=rng.normal(size=n), shifts=rng.normal(size=n)) for site, n in sites.items()},
    )
    equal(Arrangement.from_arrays(made.to_arrays()), made)


def test_the_plain_arrangement_has_no_effect(short_network: Callable[[], Any]) -> None:
    network = short_network()
    plain = plain_arrangement(network)
    assert {site: len(scaling.factors) for site, scaling in plain.scalings.items()} == {
        "stem_relu": 4,
        "depthwise_relu": 4,
        "pointwise_relu": 6,
        "pool": 6,
        "head": 4,
    }
    for scaling in plain.scalings.values():
        np.testing.assert_array_equal(scaling.factors, 1)
        np.testing.assert_array_equal(scaling.shifts, 0)
    for step, same in zip(steps_of(network), plain.steps(network), strict=True):
        for one, other in zip(step.weights, same.weights, strict=True):
            np.testing.assert_array_equal(one, other)


def test_without_copies_and_equalization_the_arrangement_is_plain(images: np.ndarray) -> None:
    network = noisy()
    ranges = observe(network, [images])
    kept = {"entry": ENTRY, "has_copies": False, "is_equalized": False}
    equal(arrange(network, ranges, lambda: [images], **kept), plain_arrangement(network))


def test_copies_alone_are_shifted_by_fractions_of_a_step_and_not_multiplied(images: np.ndarray) -> None:
    network = noisy()
    ranges = observe(network, [images])
    found = arrange(network, ranges, lambda: [images], entry=ENTRY, is_equalized=False).scalings["stem_relu"]
    np.testing.assert_array_equal(found.factors, 1)
    steps = found.shifts / (ranges["stem_relu"].high / 255)
    np.testing.assert_allclose(np.sort(steps), [-1 / 4, -1 / 4, 0, 1 / 4, 1 / 4], atol=1e-9)


def test_equalization_alone_moves_no_channel_to_another_place(images: np.ndarray) -> None:
    network = noisy()
    found = arrange(network, observe(network, [images]), lambda: [images], entry=ENTRY, has_copies=False)
    assert found.weights == {}
    assert found.scalings["stem_relu"].shifts[4] > 3


@pytest.mark.parametrize("names", [(), (Correction.COPIES,), (Correction.EQUALIZATION,), tuple(Correction)])
def test_in_float_every_arrangement_gives_the_same_logits(images: np.ndarray, names: tuple[Correction, ...]) -> None:
    network = noisy()
    x = np.rint(images * np.float32(127.5))
    made = twins(network, corrected(network, images, Corrections.of(names)))
    for twin in made:
        x = twin.in_float(x)
    expected = tf_keras.Model(network.input, network.get_layer("head").output).predict_on_batch(images)
    np.testing.assert_allclose(np.asarray(x * made[-1].units), expected, atol=2e-3)


@pytest.mark.parametrize("stem", ["full", "depthwise"])
def test_a_shift_needs_a_reader_without_padding(
    short_network: Callable[[], Any], images: np.ndarray, stem: str
) -> None:
    # Channel 0 lives in [4, 5]; the depthwise convolution behind it is padded, the pointwise one behind that is not.
    network = short_network()
    site = {"full": "stem", "depthwise": "depthwise"}[stem]
    kernel, bias = network.get_layer(site).get_weights()
    taps = kernel.reshape(-1, len(bias))
    taps[:, 0] *= 0.2 / np.abs(taps[:, 0]).sum()
    bias[0] = 4.5
    network.get_layer(site).set_weights([kernel, bias])
    ranges = observe(network, [images])
    found = arrange(network, ranges, lambda: [images], entry=ENTRY).scalings[f"{site}_relu"]
    if stem == "full":
        np.testing.assert_array_equal(found.shifts, 0)
        return
    assert 3 < found.shifts[0] < 4.8
    assert found.factors[0] > 1.5
    # Its last code stands for what float cuts at, or less.
    high = ranges[f"{site}_relu"].high
    assert found.shifts[0] + high / found.factors[0] <= high * (1 + 1e-9)


def test_a_full_convolution_with_padding_forbids_shifts_as_well(images: np.ndarray) -> None:
    x = image = layers.Input((8, 8, 3), name="image")
    x = layers.ReLU(6.0, name="relu")(layers.Conv2D(2, 1, name="first")(x))
    network = tf_keras.Model(image, layers.Conv2D(2, 3, padding="same", name="second")(x))
    kernel, _ = network.get_layer("first").get_weights()
    network.get_layer("first").set_weights([kernel / np.abs(kernel).sum() / 2, np.float32([4.5, 4.5])])
    found = arrange(network, observe(network, [images]), lambda: [images], entry=ENTRY)
    np.testing.assert_array_equal(found.scalings["relu"].shifts, 0)


@given(seed=st.integers(0, 99))
@pytest.mark.parametrize("name", ["depthwise", "pointwise"])
def test_scaled_weights_turn_what_is_stored_into_what_is_stored(short_steps: list[Step], name: str, seed: int) -> None:
    (step,) = (step for step in short_steps if step.site == f"{name}_relu")
    rng = np.random.default_rng(seed)
    before, behind = (
        Scaling(factors=rng.uniform(0.5, 4, channels), shifts=rng.uniform(-1, 3, channels))
        for channels in (4, step.channels)
    )
    x = rng.normal(size=(1, 5, 5, 4))
    stored = ((x - before.shifts) * before.factors).astype(np.float32)
    expected = (np.asarray(step.convolve(x.astype(np.float32), *step.weights)) - behind.shifts) * behind.factors
    found = step.convolve(stored, *scaled_weights(step, incoming=before, outgoing=behind))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def distance(network: Any, found: Corrected, images: np.ndarray) -> float:
    """How far the integers' probabilities are from float's, in nats."""
    steps = twins(network, found)
    x = np.rint(images * np.float32(127.5))
    for twin in steps:
        x = twin.in_integers(x)
    logits = tf_keras.Model(network.input, network.get_layer("head").output).predict_on_batch(images)
    return divergence(logits.reshape(len(images), -1), np.asarray(x * steps[-1].units).reshape(len(images), -1))


@pytest.mark.parametrize("others", [(), (Correction.EQUALIZATION, Correction.ROUNDING, Correction.BIAS)])
def test_copies_of_noisy_channels_bring_the_answers_nearer_to_float(
    images: np.ndarray, others: tuple[Correction, ...]
) -> None:
    network = noisy()
    without, found = (
        corrected(network, images, Corrections.of(names)) for names in (others, (Correction.COPIES, *others))
    )
    # Two copies have a quarter of the noise of one: 6 dB, less what rounding the logits adds.
    assert found.sites["head"].snr_db > without.sites["head"].snr_db + 3
    assert distance(network, found, images) < distance(network, without, images) / 2


def test_a_network_with_copies_and_shifts_is_in_its_file_code_for_code(
    images: np.ndarray, pixels: np.ndarray, tmp_path: Any
) -> None:
    network = noisy()
    found = corrected(network, images, Corrections())
    assert found.arrangement.weights
    copy = decided(network, found)
    quantized = fake_quantize(copy, found.ranges, **INPUT, largest=found.largest)
    file = tmp_path / "arranged_int8.tflite"
    file.write_bytes(int8_tflite(quantized, Io.UINT8))
    convolutions = {
        name: Decided(kernel=kernel, bias=bias, least=found.largest[name])
        for name, (kernel, bias) in found.weights.items()
    }
    require_decided_integers(file.read_bytes(), convolutions, found.ranges)
    assert check_simulation(file, quantized, twins(network, found), pixels, PREPROCESS).integers == 1.0
