"""What a file's words say of its input, in each of the three tongues that files speak, and which words are refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.artifact import Layout
from mbexport.errors import DataError
from mbexport.formats.stated_input import in_stated_order, stated_normalization, states_bgr
from mbexport.models.preprocess import CAFFE, MOBILENET, RAW, UNIT, Normalization

OURS = {"normalization.mean": "[127.5]", "normalization.std": "[127.5]"}
TFLITE = {"normalization mean": "127.5", "normalization std": "127.5"}


def said(
    words: dict[str, str], *, channels: int = 3, layout: Layout = Layout.NHWC, given: Normalization | None = None
) -> Normalization | None:
    return stated_normalization(words, channels=channels, layout=layout, given=given)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, None),
        ({"name": "net", "input.colour": "RGB"}, None),
        (OURS, MOBILENET),
        (OURS | {"input.colour": "RGB", "input.layout": "NHWC"}, MOBILENET),
        (OURS | {"input.colour": "BGR"}, Normalization(mean=(127.5,), std=(127.5,), is_bgr=True)),
        (TFLITE, MOBILENET),
        (TFLITE | {"input colour space": "RGB", "input": "image: what another tool writes"}, MOBILENET),
        ({"normalization mean": "1 2 3", "normalization std": "4"}, Normalization(mean=(1, 2, 3), std=(4,))),
        ({"Image.NominalPixelRange": "Normalized_0_1"}, UNIT),
        ({"Image.NominalPixelRange": "Normalized_1_1", "Image.BitmapPixelFormat": "Rgb8"}, MOBILENET),
        (
            {"Image.NominalPixelRange": "NominalRange_0_255", "Image.BitmapPixelFormat": "Bgr8"},
            Normalization(mean=(0,), std=(1,), is_bgr=True),
        ),
    ],
)
def test_what_is_said_is_read(words, expected):
    assert said(words) == expected


def test_our_own_text_names_the_order_that_the_schema_cannot():
    words = TFLITE | {"input colour space": "UNKNOWN", "input": "image: An image of 32 x 32 px, BGR: each byte b as b."}
    found = said(words)
    assert found is not None
    assert found.is_bgr
    assert states_bgr(words)


def test_an_open_order_is_asked_for_and_not_guessed():
    words = TFLITE | {"input colour space": "UNKNOWN"}
    with pytest.raises(DataError, match="leaves the order of its channels open: give --preprocess"):
        said(words)
    assert said(words, given=RAW) == MOBILENET  # what it says is its own; only the order is the user's
    assert said(words, given=CAFFE) == Normalization(mean=(127.5,), std=(127.5,), is_bgr=True)
    assert said(words, channels=1) == MOBILENET  # grey has no order


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (OURS | {"normalization.std": "[0]"}, "std must be positive and finite"),
        (OURS | {"normalization.std": "[-1]"}, "std must be positive and finite"),
        (OURS | {"normalization.mean": "[NaN]"}, r"mean must be a list of numbers, got \[NaN\]"),
        (OURS | {"normalization.mean": "[Infinity]"}, r"mean must be a list of numbers, got \[Inf"),
        (OURS | {"normalization.mean": "[1, 2, 3, 4, 5]"}, r"1 or 3 numbers, got \(1.0, 2.0, 3.0, 4.0, 5.0\)"),
        (OURS | {"normalization.mean": "[1, 2]"}, "1 or 3 numbers"),
        (OURS | {"normalization.mean": "[]"}, "1 or 3 numbers"),
        (OURS | {"normalization.mean": "127.5"}, "must be a list of numbers, got 127.5"),
        (OURS | {"normalization.mean": '"123"'}, "must be a list of numbers"),
        (OURS | {"normalization.mean": '["a"]'}, "must be a list of numbers"),
        (OURS | {"normalization.mean": "[[1]]"}, "must be a list of numbers"),
        (OURS | {"normalization.mean": "[1" + "0" * 400 + "]"}, "must be a list of numbers"),
        (OURS | {"normalization.mean": "[" * 100_000}, "must be a list of numbers"),
        (OURS | {"normalization.mean": "[1,"}, "must be a list of numbers"),
        ({"normalization.mean": "[1]"}, "mean and std must be said together"),
        ({"normalization std": "1"}, "mean and std must be said together, got no mean"),
        (TFLITE | {"normalization std": "nan"}, "std must be positive and finite"),
        (TFLITE | {"normalization mean": ""}, "1 or 3 numbers"),
        (OURS | {"input.layout": "NCHW"}, "says that its input is NCHW, which is NHWC"),
        (OURS | {"input.colour": "GREY"}, r"says that its input is GREY, which has 3 channel\(s\)"),
        (TFLITE | {"input colour space": "GRAYSCALE"}, "says that its input is GREY"),
        (OURS | {"input.colour": "YUV"}, "leaves the order of its channels open"),
        ({"Image.NominalPixelRange": "NominalRange_16_235"}, "must be one of .*, got NominalRange_16_235"),
    ],
)
def test_damaged_or_contradicting_words_are_refused_in_one_line(words, message):
    with pytest.raises(DataError, match=message) as caught:
        said(words)
    assert len(str(caught.value).splitlines()) == 1


def test_colours_of_a_grey_input_are_refused():
    assert said(OURS | {"input.colour": "GREY"}, channels=1) == MOBILENET
    with pytest.raises(DataError, match=r"is RGB, which has 1 channel\(s\)"):
        said(OURS | {"input.colour": "RGB"}, channels=1)
    with pytest.raises(DataError, match="1 or 1 numbers"):
        said(OURS | {"normalization.mean": "[1, 2, 3]"}, channels=1)


def test_the_users_numbers_follow_the_order_that_the_file_names():
    one = Normalization(mean=(1,), std=(2,))
    assert in_stated_order(one, {}) is one
    assert in_stated_order(one, {"input.colour": "RGB"}) is one
    assert in_stated_order(one, {"input.colour": "BGR"}) == Normalization(mean=(1,), std=(2,), is_bgr=True)
    assert in_stated_order(CAFFE, {"input.colour": "BGR"}) is CAFFE
    with pytest.raises(DataError, match="says that its input is RGB, and mean and std were given in the other order"):
        in_stated_order(CAFFE, {"input.colour": "RGB"})


MEANS = st.floats(-1e4, 1e4)
STDS = st.floats(1e-3, 1e4)


@given(
    st.one_of(st.lists(MEANS, min_size=1, max_size=1), st.lists(MEANS, min_size=3, max_size=3)),
    st.one_of(st.lists(STDS, min_size=1, max_size=1), st.lists(STDS, min_size=3, max_size=3)),
    st.booleans(),
)
def test_every_normalization_that_can_be_said_is_read_back(mean, std, is_bgr):
    expected = Normalization(mean=tuple(mean), std=tuple(std), is_bgr=is_bgr)
    words = {"normalization.mean": json.dumps(mean), "normalization.std": json.dumps(std)}
    assert said(words | {"input.colour": "BGR" if is_bgr else "RGB"}) == expected
