"""The targets of `inspect --target`: which there are, how they are spelt, and which files they take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.formats.mcu import targets
from mbexport.formats.mcu.targets import TARGETS, require_integers, usable_targets, vela_version

BY_HAND = {
    "ethos-u55": ([32, 64, 128, 256], "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u65": ([256, 512], "Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
    "ethos-u85": ([128, 256, 512, 1024, 2048], "Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
}


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    path = tmp_path / "net.tflite"
    path.write_bytes(b"----TFL3")
    return path


def test_the_rows_by_hand():
    names = [f"{family}-{macs}" for family, (sizes, _, _) in BY_HAND.items() for macs in sizes]
    assert [each.name for each in TARGETS] == [*names, "tflite-micro"]
    for each in TARGETS[:-1]:
        _, system_config, memory_mode = BY_HAND[each.name.rpartition("-")[0]]
        assert (each.npu.system_config, each.npu.memory_mode) == (system_config, memory_mode)
        assert each.npu.accelerator.lower() == each.name.replace("-", "_")


def test_names_mean_their_rows_once_in_any_case(file):
    first, last = TARGETS[0], TARGETS[-1]
    assert usable_targets([first.name.upper(), last.name, first.name], file) == (first, last)


@pytest.mark.parametrize("name", ["", "ethos", "ethos-u55", "ethos-u55-512", "esp32"])
def test_an_unknown_target_is_refused_with_the_legal_ones(file, name):
    with pytest.raises(OptionError) as caught:
        usable_targets([name], file)
    assert str(caught.value) == f"--target must be one of {', '.join(each.name for each in TARGETS)}, got {name}"


def test_what_is_not_installed_is_said_with_the_command(file, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for name, package, extra in (("ethos-u85-256", "ethos-u-vela", "mcu"), ("tflite-micro", "tflite-micro", "micro")):
        with pytest.raises(OptionError) as caught:
            usable_targets([name], file)
        assert str(caught.value) == (
            f"--target {name} cannot be asked about here: the package {package} is not installed; "
            f"pip install 'mbexport[{extra}]'"
        )


def test_other_formats_are_refused(file, tmp_path):
    other = tmp_path / "net.onnx"
    other.write_bytes(b"")
    with pytest.raises(OptionError, match=r"^--target ethos-u55-256 takes only int8 \.tflite files, got .*net\.onnx$"):
        usable_targets(["ethos-u55-256"], other)
    with pytest.raises(OptionError, match=r"^--target tflite-micro takes \.tflite files, got .*net\.onnx$"):
        usable_targets(["tflite-micro"], other)


@given(st.sampled_from(TARGETS), st.sampled_from(["fp32", "fp16", "dynamic", "int16x8", "int8"]))
def test_npus_take_integers_alone(target, precision):
    if target.npu is None or precision == "int8":
        require_integers(target, "net.tflite", precision)
        return
    with pytest.raises(OptionError, match=f"takes only int8 .tflite files, got net.tflite, which is {precision}$"):
        require_integers(target, "net.tflite", precision)


def test_the_compiler_is_named_with_its_version(monkeypatch):
    monkeypatch.setattr(targets, "version", lambda _name: "5.2.0")
    assert vela_version() == "Vela 5.2.0"
