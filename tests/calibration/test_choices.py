"""Names of observers and corrections: which there are, and which texts are refused."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.choices import CANDIDATES, Correction, Observer, parse_corrections, parse_observer
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
