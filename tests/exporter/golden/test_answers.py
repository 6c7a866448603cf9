"""An artifact's outputs for golden vectors, and how far another runtime's may be from them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tflite_by_hand import tflite_of

from mbexport.artifact import Precision
from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.matching import match
from mbexport.formats.registry import open_runner
from mbexport.formats.subject import Source, Subject
from mbexport.golden.answers import Outputs, feeding_mistakes, least_change, outputs_of, widen_spread
from mbexport.models.facts import Output
from mbexport.models.preprocess import CAFFE, MOBILENET, Preprocess
from mbexport.models.resolution import Resolution

_AFFINES = {
    "float32": None,
    "uint8": Affine(scale=(1 / 127.5,), zero_point=(128,)),
    "int8": Affine(scale=(1 / 127.5,), zero_point=(0,)),
}


@pytest.fixture
def subject(table_runner):
    """A subject whose runner answers from a table, of a precision and a kind."""

    def make(rows, *, precision=Precision.FP32, kind=Output.SOFTMAX) -> Subject:
        runner = table_runner("table.tflite", rows)
        runner.precision = precision
        return Subject(
            runner=runner, preprocess=Preprocess(resolution=Resolution.square(1)), kind=kind, source=Source.METADATA
        )

    return make


@pytest.fixture
def flat(tmp_path):
    """A .tflite of 2 x 2 pixels that gives its image as its scores."""

    def make(kind, *, normalization=None) -> Subject:
        path = tmp_path / f"{kind}.tflite"
        path.write_bytes(tflite_of(kind, affine=_AFFINES[kind]))
        pixels = Preprocess(resolution=Resolution.square(2), crop_fraction=1)
        return match(open_runner(path), pixels=pixels, given=normalization, classes=12, background=False)

    return make


def test_the_tolerance_of_codes_is_8_of_256_or_twice_the_spread(subject):
    made = Outputs(subject=subject([[0, 9]], precision=Precision.INT8), raw=np.zeros((1, 2), np.uint8), spread=3)
    assert made.tolerance == 8
    assert replace(made, spread=9).tolerance == 18


@pytest.mark.parametrize(
    ("precision", "kind", "expected"),
    [
        (Precision.FP32, Output.SOFTMAX, 1 / 256),
        (Precision.FP16, Output.SIGMOID, 1 / 256),
        (Precision.INT16X8, Output.SOFTMAX, 1 / 256),
        (Precision.DYNAMIC, Output.SOFTMAX, 1 / 32),
        (Precision.FP32, Output.LOGITS, 12 / 256),  # of -4 .. 8
        (Precision.INT8, Output.LOGITS, 12 / 32),
    ],
)
def test_the_tolerance_of_floats_is_a_share_of_their_range(subject, precision, kind, expected):
    raw = np.array([[-4, 1], [8, 2]], np.float32)
    assert Outputs(subject=subject(raw, precision=precision, kind=kind), raw=raw).tolerance == expected


def test_a_lead_is_counted_in_tolerances(subject):
    raw = np.array([[0, 200, 168], [7, 7, 7], [255, 0, 1]], np.uint8)
    made = Outputs(subject=subject(raw, precision=Precision.INT8), raw=raw)
    assert made.best.tolist() == [1, 0, 0]
    assert made.lead.tolist() == [4, 0, 254 / 8]


def test_what_is_no_number_has_no_lead_and_a_single_class_any(subject):
    raw = np.array([[np.nan, 0], [np.inf, 0], [1, 0]], np.float32)
    lead = Outputs(subject=subject(raw), raw=raw).lead
    assert np.isnan(lead).tolist() == [True, True, False]
    one = np.ones((2, 1), np.float32)
    assert Outputs(subject=subject(one), raw=one).lead.tolist() == [np.inf, np.inf]


@given(arrays.arrays(np.uint8, (3, 4)), st.integers(0, 60))
def test_a_sure_class_stays_the_best_whatever_a_tolerance_does(table_runner, raw, spread):
    """The reason of the limit: two outputs that are each within the tolerance have one best class."""
    runner = table_runner("table.tflite", raw)
    runner.precision = Precision.INT8
    told = Subject(
        runner=runner,
        preprocess=Preprocess(resolution=Resolution.square(1)),
        kind=Output.SOFTMAX,
        source=Source.METADATA,
    )
    made = Outputs(subject=told, raw=raw, spread=spread)
    for row, best, lead in zip(made.numbers, made.best, made.lead, strict=True):
        worst = row + made.tolerance
        worst[best] -= 2 * made.tolerance
        assert lead <= 2 or worst.argmax() == best


@pytest.mark.parametrize("kind", ["uint8", "int8", "float32"])
def test_images_are_fed_as_the_format_says(flat, kind):
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    bytes_ = np.arange(12)
    expected = {"uint8": bytes_, "int8": bytes_ - 128, "float32": (bytes_.astype(np.float32) - 127.5) / 127.5}[kind]
    found = outputs_of(flat(kind, normalization=MOBILENET), pixels)
    assert np.array_equal(found.raw, expected[None].astype(kind))


def test_blue_comes_first_where_the_network_wants_it(flat):
    pixels = np.full((1, 2, 2, 3), (10, 20, 30), np.uint8)
    found = outputs_of(flat("float32", normalization=CAFFE), pixels).raw[0, :3]
    assert found.tolist() == pytest.approx([30 - 103.939, 20 - 116.779, 10 - 123.68])


def test_floats_that_are_quantized_at_once_are_fed_by_mean_and_std_too(tmp_path, monkeypatch):
    """golden.json says nothing of the codes inside: (byte - 127.5) / 127.5, not (byte - 128) / 127.5."""
    path = tmp_path / "entry.tflite"
    path.write_bytes(tflite_of("float32", codes="uint8", affine=_AFFINES["uint8"]))
    pixels = Preprocess(resolution=Resolution.square(2), crop_fraction=1)
    told = match(open_runner(path), pixels=pixels, given=None, classes=12, background=False)
    fed = []
    monkeypatch.setattr(told.runner, "invoke", lambda feed: fed.append(feed) or np.zeros((1, 12), np.float32))
    outputs_of(replace(told, preprocess=pixels), np.full((1, 2, 2, 3), 255, np.uint8))
    assert told.preprocess.normalization.mean == (128.0,)
    assert np.unique(fed[0]).tolist() == [1.0]


def test_a_file_that_wants_other_codes_than_bytes_is_refused(flat):
    with pytest.raises(DataError, match="must take bytes as they are"):
        outputs_of(replace(flat("uint8"), takes_bytes=False), np.zeros((1, 2, 2, 3), np.uint8))


def test_kernels_that_move_bytes_do_not_differ(flat):
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    seen = widen_spread(replace(outputs_of(flat("uint8"), pixels), spread=0.5), pixels, kernels=slice(None))
    assert seen.spread == 0.5


def test_the_spread_is_the_largest_difference_of_any_two_kernels(flat, monkeypatch):
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    opened = iter([flat("uint8").runner, flat("int8").runner])  # the latter gives -128 for a byte of 0
    monkeypatch.setattr("mbexport.golden.answers.open_path", lambda path, name: next(opened))
    assert widen_spread(outputs_of(flat("uint8"), pixels), pixels, kernels=slice(None)).spread == 128


def test_careless_apps_feed_half_the_range_or_blue_for_red():
    pixels = np.array([0, 100, 255], np.uint8).reshape(1, 1, 1, 3)
    half, swapped = feeding_mistakes(pixels)
    assert half.ravel().tolist() == [127, 177, 254]
    assert swapped.ravel().tolist() == [255, 100, 0]
    assert len(feeding_mistakes(pixels[..., :1])) == 1


def test_the_change_is_that_of_the_mistake_which_shows_least(flat):
    pixels = np.stack([np.full((2, 2, 3), (0, 0, 128), np.uint8), np.full((2, 2, 3), 127, np.uint8)])
    given_ = outputs_of(flat("uint8"), pixels)
    tolerance = given_.tolerance
    # 0 becomes 127 and 128 191, or they change places; a grey image looks the same with blue for red.
    assert least_change(given_, feeding_mistakes(pixels)).tolist() == [127 / tolerance, 0]
