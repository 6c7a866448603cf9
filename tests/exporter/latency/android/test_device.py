"""What a device says of itself, and which programs it runs."""

import os

import pytest
from fake_phone import FakePhone, elf
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError, StageError
from mbexport.latency.android.adb import ANY, connect
from mbexport.latency.android.binary import abi_of, require_runnable
from mbexport.latency.android.device import Device, Look, describe, look


@pytest.fixture
def phone(tmp_path, monkeypatch):
    fake = FakePhone(tmp_path / "phone")
    monkeypatch.setenv("PATH", f"{fake.path}{os.pathsep}{os.environ['PATH']}")
    return fake


def test_a_device_by_hand(phone):
    assert describe(connect(ANY)) == Device(
        manufacturer="Fairphone",
        model="FP5",
        soc="QTI QCM6490",
        android="14",
        sdk=34,
        abis=("arm64-v8a", "armeabi-v7a", "armeabi"),
        cores=8,
    )


def test_older_androids_name_their_platform(phone):
    phone.properties(ro_soc_model="", ro_board_platform="lahaina", ro_build_version_sdk="?")
    phone.program("nproc", "echo nproc: not found; exit 127")
    device = describe(connect(ANY))
    assert (device.soc, device.sdk, device.cores) == ("lahaina", None, None)


def test_a_device_without_properties_is_refused(phone):
    phone.program("getprop", "exit 1")
    with pytest.raises(StageError, match="lists no properties"):
        describe(connect(ANY))


def test_a_look_by_hand(phone):
    assert look(connect(ANY)) == Look(thermal=0, level=84, temperature_c=32.6, powered_by=("USB",), saver=False)
    phone.dumps(thermal="IsStatusOverride: false\nThermal Status: 3\nCached temperatures:\n", battery="  level: x\n")
    phone.program("settings", "echo 1")
    assert look(connect(ANY)) == Look(thermal=3, level=None, temperature_c=None, powered_by=(), saver=True)
    phone.dumps(thermal="Can't find service: thermalservice\n")
    phone.program("settings", "echo null")
    assert look(connect(ANY)) == Look(thermal=None, level=None, temperature_c=None, powered_by=(), saver=None)


@pytest.mark.parametrize(
    ("machine", "bits", "abi"),
    [(183, 64, "arm64-v8a"), (40, 32, "armeabi-v7a"), (62, 64, "x86_64"), (3, 32, "x86"), (243, 64, "riscv64")],
)
def test_abis_by_hand(tmp_path, machine, bits, abi):
    (tmp_path / "tool").write_bytes(elf(machine, bits))
    assert abi_of(tmp_path / "tool") == abi


def test_a_tool_for_another_processor_is_refused(tmp_path):
    tool = tmp_path / "tool"
    tool.write_bytes(elf(62))
    with pytest.raises(DataError, match="must be built for arm64-v8a or armeabi-v7a, got one for x86_64: "):
        require_runnable(tool, ["arm64-v8a", "armeabi-v7a"])
    tool.write_bytes(elf(8, 32))  # MIPS
    with pytest.raises(DataError, match="built for Android's processors, got ELF machine 8: "):
        abi_of(tool)


@given(st.binary(max_size=64))
def test_what_is_no_program_is_refused(tmp_path_factory, content):
    """Law: any other bytes."""
    tool = tmp_path_factory.mktemp("tools") / "tool"
    tool.write_bytes(content.removeprefix(b"\x7fELF"))
    with pytest.raises(DataError, match="must be an ELF program for Android"):
        abi_of(tool)


def test_a_missing_tool_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"^no such file or folder: .*tool \(--benchmark-model\)$"):
        abi_of(tmp_path / "tool")
    with pytest.raises(DataError, match=r"--benchmark-model must be a file, got no regular file"):
        abi_of(tmp_path)
