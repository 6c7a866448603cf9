"""The connection to a device: which one, what is said of those that are not ready, and words that arrive unchanged."""

import os
import subprocess

import pytest
from fake_phone import FakePhone
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError, StageError
from mbexport.escaping.terminal import posix_command
from mbexport.latency.android.adb import ANY, Adb, connect


@pytest.fixture
def phone(tmp_path, monkeypatch):
    fake = FakePhone(tmp_path / "phone")
    monkeypatch.setenv("PATH", f"{fake.path}{os.pathsep}{os.environ['PATH']}")
    return fake


def test_the_only_device_needs_no_name(phone):
    adb = connect(ANY)
    assert adb.serial == "FP5-1"
    assert adb.shell(["nproc"]).text == "8"


def test_one_of_several_is_chosen_by_its_name(phone):
    phone.says(devices={"FP5-1": "device", "emulator-5554": "offline"})
    assert connect("FP5-1").serial == "FP5-1"
    with pytest.raises(OptionError, match=r"^--adb must name one of several Android devices: FP5-1, emulator-5554$"):
        connect(ANY)
    with pytest.raises(OptionError, match="must be the serial number of a device, FP5-1 or emulator-5554, got Pixel"):
        connect("Pixel")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("unauthorized", r"is not ready \(unauthorized\); unlock it and allow USB debugging"),
        ("offline", r"is not ready \(offline\); reconnect it, or run `adb reconnect`"),
        ("recovery", r"is not ready \(recovery\); start Android on it"),
        ("no permissions (missing udev rules?); see [http://developer.android.com]", r"\(no permissions\); let your"),
    ],
)
def test_a_device_that_is_not_ready_says_why(phone, state, said):
    phone.says(devices={"FP5-1": state})
    with pytest.raises(OptionError, match=said):
        connect(ANY)


def test_no_device_and_no_program(phone, monkeypatch, tmp_path):
    phone.says(devices={})
    with pytest.raises(OptionError, match="--adb found no Android device; connect one with USB debugging"):
        connect(ANY)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OptionError, match="--adb needs Android's adb on the PATH; install the platform tools"):
        connect(ANY)


def test_an_adb_that_fails_or_does_not_run(phone):
    program = phone.folder / "bin" / "adb"
    program.write_text("#!/bin/sh\necho 'adb: no server' >&2\nexit 1\n")
    with pytest.raises(OptionError, match=r"`adb devices` failed: adb: no server$"):
        connect(ANY)
    program.write_bytes(b"\x7fELF")
    with pytest.raises(OptionError, match="adb does not run: Exec format error"):
        connect(ANY)


def test_exit_codes_and_both_streams_arrive(phone):
    answer = connect(ANY).shell(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (answer.text, answer.exit_code) == ("out\nerr", 3)


def test_a_broken_connection_is_no_answer(phone):
    adb = connect(ANY)
    phone.says(unplugged_after=0)
    (phone.folder / "runs.txt").touch()
    with pytest.raises(StageError, match="the connection to the Android device ended"):
        adb.shell(["nproc"])
    phone.says(devices={"FP5-1": "offline"})
    with pytest.raises(StageError, match="ended: error: device offline"):
        adb.shell(["nproc"])


def test_an_adb_that_hangs_is_not_waited_for(phone):
    with pytest.raises(StageError, match=r"adb did not answer within 0\.2 s"):
        connect(ANY).shell(["sleep", "5"], within_s=0.2)


def test_a_full_device_says_so(phone):
    phone.says(full=True)
    with pytest.raises(StageError, match=r"did not take .*: adb: error: .* No space left on device"):
        connect(ANY).push(phone.tool, "/data/local/tmp/benchmark_model")


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_words_reach_a_posix_shell_as_they_are(words):
    """Law: of any text, what a shell reads back is what was given."""
    command = posix_command(["printf", "%s\\0", *words])
    read = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
    assert read.decode().split("\0")[:-1] == words


def test_a_serial_number_reaches_no_shell(tmp_path):
    """A serial is a word of adb's own command line; whatever is in it is looked up, and never run."""
    fake = FakePhone(tmp_path / "phone")
    serial = "x; touch pwned $(touch pwned)"
    adb = Adb(program=f"{fake.path}/adb", serial=serial)
    with pytest.raises(StageError, match="not found"):
        adb.shell(["nproc"])
    assert not list(tmp_path.rglob("pwned"))
