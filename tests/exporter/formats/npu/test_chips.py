"""The chips that `--npu` names: which there are, how they are spelt, and why others are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.formats.npu import chips
from mbexport.formats.npu.chips import CHIPS, VENDORS, compiled_name, compiler_version, is_compiled, usable_chips
from mbexport.formats.onnx.paths import HEXAGONS

SIX = {"SM8350": "v68", "SM8450": "v69", "SM8550": "v73", "SM8650": "v75", "SM8750": "v79", "SM8850": "v81"}


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())


def test_six_snapdragons_by_hand():
    assert {chip.name: chip.hexagon for chip in CHIPS} == SIX
    assert {chip.hexagon for chip in CHIPS} == set(HEXAGONS)  # the emulator runs each of them
    assert len({chip.number for chip in CHIPS}) == len(CHIPS)


@given(st.sampled_from(CHIPS), st.booleans(), st.booleans())
def test_a_name_means_its_chip_in_any_case(chip, is_lower, is_twice):
    name = str(chip).lower() if is_lower else str(chip)
    assert usable_chips([name] * (1 + is_twice)) == (chip,)


@pytest.mark.parametrize(
    "name", ["", "qualcomm", "qualcomm:", "qualcomm:SM1", "apple:A17", "SM8650", "qualcomm:SM8650:x"]
)
def test_an_unknown_chip_is_refused_with_the_legal_ones(name):
    with pytest.raises(OptionError) as caught:
        usable_chips([name])
    assert str(caught.value) == f"--npu must be one of {', '.join(map(str, CHIPS))}, got {name}"


@pytest.mark.parametrize("vendor", [each.name for each in VENDORS if not each.chips])
def test_a_vendor_without_a_compiler_is_refused_with_the_reason(vendor):
    with pytest.raises(
        OptionError, match=f"^--npu {vendor}:X1 cannot be compiled for: .*; legal are qualcomm:SM8350, "
    ):
        usable_chips([f"{vendor}:X1"])


def test_what_is_not_installed_is_said_with_the_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(OptionError) as caught:
        usable_chips(["qualcomm:SM8650"])
    assert str(caught.value) == (
        "--npu qualcomm:SM8650 cannot be compiled for here: the package onnxruntime-qnn is not installed; "
        "pip install 'mbexport[npu]'"
    )


def test_names_of_files_by_hand():
    (chip,) = usable_chips(["qualcomm:SM8650"])
    name = compiled_name("net", chip, "onnx")
    assert name == "npu/net_int8_qualcomm-sm8650.onnx"
    assert is_compiled(name)
    assert not is_compiled("net_int8.onnx")


def test_the_compiler_is_named_with_its_version(monkeypatch):
    monkeypatch.setattr(chips, "version", lambda _name: "2.7.0")
    assert compiler_version() == "onnxruntime-qnn 2.7.0"
