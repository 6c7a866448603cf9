"""Names of observers and corrections: which there are, and which texts are refused."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.choices import (
    CANDIDATES,
    Correction,
    Keep,
    Observer,
    parse_corrections,
    parse_keep,
    parse_observer,
)
from mbexport.errors import OptionError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", tuple(Correction)),
        ("none", ()),
        ("bias", (Correction.BIAS,)),
        ("logits, bias", (Correction.BIAS, Correction.LOGITS)),
        ("bias,bias", (Correction.BIAS,)),
    ],
)
def test_corrections_by_hand(text, expected):
    assert parse_corrections(text) == expected


@given(st.lists(st.sampled_from(Correction), min_size=1))
def test_any_list_of_names_is_read_in_the_order_in_which_they_are_made(names):
    found = parse_corrections(",".join(names))
    assert set(found) == set(names)
    assert found == tuple(sorted(found, key=list(Correction).index))


@pytest.mark.parametrize(
    ("text", "got"), [("biass", "biass"), ("bias,", "an empty name"), ("", "an empty name"), ("all,bias", "all")]
)
def test_unknown_correction_is_named_with_those_there_are(text, got):
    expected = f"corrections must be all, none or some of copies, equalization, rounding, bias, logits, got {got}"
    with pytest.raises(OptionError) as caught:
        parse_corrections(text)
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", ["min-max", "", "MSE"])
def test_unknown_observer_is_refused_with_those_there_are(text):
    with pytest.raises(OptionError) as caught:
        parse_observer(text)
    expected = "observer must be one of minmax, moving-average, percentile, mse, entropy, auto, got"
    assert str(caught.value) == f"{expected} {text}"


@given(st.sampled_from(Observer))
def test_every_observer_has_its_name(observer):
    assert parse_observer(observer.value) is observer
    assert (observer in CANDIDATES) is (observer is not Observer.AUTO)


def test_the_names_load_nothing():
    code = "import sys, mbexport.calibration.choices; sys.exit('numpy' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), Keep()),
        (("float:conv1",), Keep(layers=("conv1",))),
        (("float:b", "auto:2", "float:a", "float:b"), Keep(layers=("b", "a"), costliest=2)),
        (("float:a:b",), Keep(layers=("a:b",))),  # Keras allows colons in names
    ],
)
def test_layers_to_keep_by_hand(texts, expected):
    assert parse_keep(texts) == expected


@given(st.lists(st.text(min_size=1), unique=True), st.integers(0, 99))
def test_what_is_kept_says_itself_in_the_words_of_the_option(layers, count):
    keep = Keep(layers=tuple(layers), costliest=count)
    assert parse_keep(keep.texts) == keep


@pytest.mark.parametrize(
    "text", ["conv1", "float:", "int16:conv1", "auto:", "auto:0", "auto:-1", "auto:1.5", "auto:\u00b2", ""]
)
def test_another_form_of_keep_is_refused(text):
    with pytest.raises(OptionError) as caught:
        parse_keep(["float:a", text])
    assert str(caught.value) == f"--keep must be float:LAYER or auto:N with N from 1, got {text}"


def test_a_number_of_layers_is_given_once():
    with pytest.raises(OptionError, match="--keep auto:N can be given once, got 2 of them"):
        parse_keep(["auto:1", "auto:1"])


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        (Keep(layers=("b", "d")), "--keep float: must name one of a, b, c, got d"),
        (Keep(layers=("b",), costliest=3), "--keep auto: must be at most 2, the convolutions left, got 3"),
    ],
)
def test_layers_that_the_network_does_not_have_are_refused_with_those_it_has(keep, said):
    with pytest.raises(OptionError) as caught:
        keep.require_in(["a", "b", "c"])
    assert str(caught.value) == said
    Keep(layers=("b",), costliest=2).require_in(["a", "b", "c"])
