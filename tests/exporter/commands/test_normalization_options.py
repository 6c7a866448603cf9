"""What --preprocess, --mean and --scale say of the bytes, and what they may not say."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.cli import run
from mbexport.commands.options import normalization
from mbexport.errors import OptionError
from mbexport.models.preprocess import CAFFE, MOBILENET, RAW, UNIT, Normalization, Preprocess
from mbexport.models.resolution import Resolution

WHITE_BLACK_BLUE = np.array([[255, 255, 255], [0, 0, 0], [0, 0, 255]], np.uint8)


def fed(given: Normalization) -> list[list[float]]:
    """What a float network gets for three pixels."""
    return Preprocess(resolution=Resolution.square(1), normalization=given).normalize(WHITE_BLACK_BLUE).tolist()


@pytest.mark.parametrize(
    ("preset", "expected"), [("mobilenet", MOBILENET), ("unit", UNIT), ("caffe", CAFFE), ("raw", RAW)]
)
def test_presets(preset, expected):
    assert normalization(preset, None, None) == expected


def test_presets_by_hand():
    assert fed(normalization("mobilenet", None, None)) == [[1, 1, 1], [-1, -1, -1], [-1, -1, 1]]
    assert fed(normalization("unit", None, None)) == [[1, 1, 1], [0, 0, 0], [0, 0, 1]]
    assert fed(normalization("raw", None, None)) == WHITE_BLACK_BLUE.tolist()
    # tf_keras.applications.imagenet_utils, mode "caffe": blue first, the means of ImageNet, no scale.
    blue_first = [[151.061, 138.221, 131.32], [-103.939, -116.779, -123.68], [151.061, -116.779, -123.68]]
    assert np.allclose(fed(normalization("caffe", None, None)), blue_first, atol=1e-4)


def test_nothing_said_is_nothing_decided():
    assert normalization(None, None, None) is None


def test_mean_and_scale_by_hand():
    # (255 - 127.5) / 127.5, and (byte - mean) * scale for each channel
    assert fed(normalization(None, "127.5", "1/127.5")) == [[1, 1, 1], [-1, -1, -1], [-1, -1, 1]]
    assert fed(normalization(None, "5,10,55", "0.5, 1/5, 2"))[0] == pytest.approx([125, 49, 400])


def test_one_of_the_two_is_enough():
    assert normalization(None, "10", None) == Normalization(mean=(10,), std=(1,))
    assert normalization(None, None, "1/4") == Normalization(mean=(0,), std=(4,))


def test_one_mean_goes_with_three_scales():
    assert normalization(None, "1", "1,1/2,1/4") == Normalization(mean=(1,), std=(1, 2, 4))


@given(
    means=st.lists(st.integers(-300, 300), min_size=3, max_size=3),
    scales=st.lists(st.fractions(Fraction(1, 1000), 1000), min_size=3, max_size=3),
)
def test_what_a_network_gets_is_byte_minus_mean_times_scale(means, scales):
    given = normalization(None, ",".join(map(str, means)), ",".join(map(str, scales)))
    exact = [[float((int(b) - m) * s) for b, m, s in zip(row, means, scales, strict=True)] for row in WHITE_BLACK_BLUE]
    assert np.allclose(fed(given), exact, rtol=1e-5)


@given(st.sampled_from(["mobilenet", "unit", "caffe", "raw"]), st.sampled_from([("1", None), (None, "1"), ("1", "1")]))
def test_both_kinds_at_once_are_refused(preset, numbers):
    with pytest.raises(OptionError, match=f"not both, got --preprocess {preset}$"):
        normalization(preset, *numbers)


@given(st.fractions(max_value=0))
def test_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(OptionError, match=rf"^--scale must be positive, got {scale}$"):
        normalization(None, None, str(scale))


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "1/inf", "inf/inf"])
def test_what_is_not_finite_is_refused(text):
    for numbers in ((text, None), (None, text)):
        try:
            given = normalization(None, *numbers)
        except OptionError:
            continue
        # 1/inf is an ordinary zero for a mean.
        assert (numbers, given.mean) == (("1/inf", None), (0.0,))


NO_NUMBERS = ["x", "1/0", "1/2/3", "1/", "/2", "1,,2", "1 2", ",", "0x10"]
REFUSED = [
    *(
        (["--scale", text], f"--scale must be one number or fraction, or one for each channel, got {text}")
        for text in NO_NUMBERS
    ),
    *(
        (["--mean", text], f"--mean must be one number or fraction, or one for each channel, got {text}")
        for text in NO_NUMBERS
    ),
    (["--scale", "0"], "--scale must be positive, got 0"),
    (["--scale", "-1/255"], "--scale must be positive, got -1/255"),
    (["--scale", "1,1,0"], "--scale must be positive, got 1,1,0"),
    (["--scale", "1e-400"], "--scale must be positive, got 1e-400"),
    (["--scale", "1e-320"], "std must be positive and finite"),
    (["--mean", "nan"], "mean must be finite"),
    (["--mean", "1", "--preprocess", "raw"], "give --preprocess, or --mean and --scale, not both"),
    (["--preprocess", "tf"], "'tf' is not one of"),
]
# Legal for some number of channels, which `verify` does not know before it has opened a file.
REFUSED_FOR_RGB = [
    (["--mean", "1,2"], "mean and std of RGB images must be 1 or 3 numbers, got 2 and 1"),
    (["--scale", "1,2,3,4"], "mean and std of RGB images must be 1 or 3 numbers, got 1 and 4"),
]
COMMANDS = {
    "build": ["--data", "digits"],
    "export": ["--weights", "imagenet", "--data", "digits"],
    "verify": ["net.onnx", "--data", "digits"],
}


@pytest.mark.parametrize("command", ["build", "export"])
@pytest.mark.parametrize("case", REFUSED_FOR_RGB, ids=lambda case: " ".join(case[0]))
def test_numbers_that_are_not_one_a_channel_are_refused(command, case, capsys, tmp_path, monkeypatch):
    require_refused(command, case, capsys, tmp_path, monkeypatch)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: " ".join(case[0]))
def test_every_command_refuses_them_in_one_line(command, case, capsys, tmp_path, monkeypatch):
    require_refused(command, case, capsys, tmp_path, monkeypatch)


def require_refused(command, case, capsys, tmp_path, monkeypatch):
    """One line on stderr, exit code 2, and nothing written."""
    arguments, said = case
    monkeypatch.chdir(tmp_path)
    assert run([command, *COMMANDS[command], "--out", "out", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Error: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err
    assert list(tmp_path.iterdir()) == []


def test_fraction_is_as_exact_as_its_decimal():
    for denominator in (255, 127.5, 3):
        (std,) = normalization(None, None, f"1/{denominator}").std
        assert math.isclose(std, denominator, rel_tol=1e-15)
