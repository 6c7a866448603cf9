"""Whole runs of `mbexport bench --adb` against a fake adb: figures, what is left out, errors, and a clean device."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from fake_phone import FakePhone, elf
from tflite_by_hand import tflite_of

from mbexport.cli import run
from mbexport.latency.android.folder import DeviceFolder

QUICK = ("--runs", "2", "--warmup", "1", "--no-probe", "--batch", "1", "--threads", "2")


@pytest.fixture
def phone(tmp_path, monkeypatch):
    fake = FakePhone(tmp_path / "phone")
    monkeypatch.setenv("PATH", f"{fake.path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    return fake


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "a net; $(touch pwned).tflite"
    path.write_bytes(tflite_of("uint8"))
    return path


@pytest.fixture
def bench(capfd, phone, network):
    """The exit code and both streams of a run on the phone."""

    def start(*words, files=(network,)):
        code = run(["bench", *map(str, files), *QUICK, "--benchmark-model", str(phone.tool), *words])
        shown = capfd.readouterr()
        return code, shown.out, shown.err

    return start


@pytest.fixture(params=["tflite", "litert"])
def either_phone(request, phone):
    """The phone with each of the two programs that are called benchmark_model."""
    return phone.says(tool=request.param)


def test_a_whole_run_has_the_figures_of_both_machines(bench, either_phone, network, colour_network, tmp_path):
    phone = either_phone
    other = tmp_path / "other" / network.name
    other.parent.mkdir()
    other.write_bytes(tflite_of("uint8", px=4))
    onnx = colour_network(tmp_path / "one.onnx")
    code, said, errors = bench("--adb", "--json", "--out", str(tmp_path / "out"), files=(network, other, onnx))
    assert code == 0, errors
    result = json.loads(said)
    assert json.loads((tmp_path / "out" / "bench.json").read_bytes()) == result
    assert len(result["artifacts"]) == 3
    android = result["android"]
    assert android["device"] == {
        "manufacturer": "Fairphone",
        "model": "FP5",
        "soc": "QTI QCM6490",
        "android": "14",
        "sdk": 34,
        "abis": ["arm64-v8a", "armeabi-v7a", "armeabi"],
        "cores": 8,
    }
    assert "FP5-1" not in said
    assert android["tool"] == {
        "kind": phone.state["tool"],
        "sha256": hashlib.sha256(phone.tool.read_bytes()).hexdigest(),
    }
    assert (android["statistic"], android["sittings"], android["thermal_status"]) == ("median", 2, "none")
    assert android["before"]["battery_celsius"] == 32.6
    assert android["before"]["powered_by"] == ["USB"]
    assert android["left_out"] == ["one.onnx"]
    first = android["artifacts"][0]
    assert first["sha256"] == hashlib.sha256(network.read_bytes()).hexdigest()
    figures = [(each["accelerator"], each["threads"], each["ms"], each["runs"]) for each in first["targets"]]
    assert figures == [("cpu", 1, 10.0, 2), ("cpu", 2, 5.0, 2), ("gpu", None, 2.5, 2)]
    assert (first["targets"][0]["load_ms"], first["targets"][0]["first_inference_ms"]) == (1.5, 30.0)
    ratios = [(each["accelerator"], each["threads"], each["latency_ratio"]) for each in android["ratios"]]
    assert ratios == [("cpu", 1, 1.0), ("cpu", 2, 1.0), ("gpu", None, 1.0)]
    assert phone.left == []
    assert not list(tmp_path.rglob("pwned"))


def test_without_a_device_the_result_says_so(capfd, network):
    assert run(["bench", str(network), *QUICK, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["android"] is None


def test_the_terminal_shows_the_device_beside_this_machine(bench, phone, network):
    phone.says(gpu="partly")
    phone.properties(ro_product_model="FP5\x1b[2J")
    code, said, errors = bench("--adb", "FP5-1")
    assert code == 0, errors
    assert "Fairphone FP5\\x1b[2J (QTI QCM6490), Android 14\n" in said
    rows = [line.split("  ") for line in said.splitlines()]
    (row,) = [
        [cell.strip() for cell in line if cell] for line in rows if line[-1].strip() == "-" and "10.00" in str(line)
    ]
    assert row[1:] == ["10.00 [10.00, 10.00]", "5.00 [5.00, 5.00]", "-"]
    assert f"{network.name}, GPU: the GPU does not execute the whole graph\n" in said
    assert said.endswith("medians of 2 sittings, interleaved; thermal status none\n")


def test_heat_is_a_warning(bench, phone):
    phone.dumps(thermal="Thermal Status: 3\n")
    code, said, errors = bench("--adb", "--json")
    assert code == 0
    assert "WARNING: the device's latencies are not to be trusted: heat slowed the device down" in errors
    assert json.loads(said)["android"]["thermal_status"] == "severe"


def test_the_device_of_the_environment_is_the_one_that_adb_takes(bench, phone, monkeypatch):
    phone.says(devices={"FP5-1": "device", "FP5-2": "device"})
    monkeypatch.setenv("ANDROID_SERIAL", "FP5-2")
    assert bench("--adb", "--json")[0] == 0


def refusal(bench, *words, **named):
    """The only line of a run that is refused before anything was timed or written."""
    code, said, errors = bench(*words, **named)
    assert (code, said) == (2, "")
    assert errors.count("\n") == 1, errors
    return errors


def test_options_that_do_not_fit_are_refused_in_one_line(bench, network, colour_network, tmp_path):
    assert "--benchmark-model goes with --adb" in refusal(bench)
    assert "--adb must be a serial number, got the file" in refusal(bench, "--adb", str(network))
    assert "--adb must be the serial number of a device, FP5-1, got xxx" in refusal(bench, "--adb", "x" * 5000)
    onnx = [colour_network(tmp_path / "one.onnx")]
    assert "--adb needs a .tflite file: benchmark_model runs no other, got one" in refusal(bench, "--adb", files=onnx)


def test_an_adb_without_a_tool_is_refused(phone, network, capfd):
    assert run(["bench", str(network), "--adb"]) == 2
    assert capfd.readouterr().err.startswith("Error: --adb needs --benchmark-model FILE")


def test_devices_and_tools_that_do_not_work_are_refused_in_one_line(bench, phone):
    phone.tool.write_bytes(elf(62))
    assert "must be built for arm64-v8a or armeabi-v7a or armeabi, got one for x86_64" in refusal(bench, "--adb")
    phone.tool.write_text("#!/bin/sh\n")
    assert "must be an ELF program for Android" in refusal(bench, "--adb")
    phone.says(devices={})
    assert "--adb found no Android device" in refusal(bench, "--adb")


def test_a_tool_that_the_device_does_not_execute_is_refused(bench, phone, tmp_path):
    phone.says(exec_format=True)
    said = refusal(bench, "--adb", "--out", str(tmp_path / "out"))
    assert "--benchmark-model does not run on the Android device: " in said
    assert "not executable: 64-bit ELF file" in said
    assert phone.left == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"unplugged_after": 5}, "the connection to the Android device ended"),
        ({"corrupt": "0.tflite"}, "is another file on the Android device: sha256sum says "),
        ({"corrupt": "benchmark_model"}, "benchmark_model is another file on the Android device"),
        ({"full": True}, "No space left on device"),
    ],
)
def test_what_breaks_later_ends_with_3_and_writes_nothing(bench, phone, tmp_path, state, said):
    phone.says(**state)
    code, out, errors = bench("--adb", "--out", str(tmp_path / "out"))
    assert (code, out) == (3, "")
    assert said in errors.splitlines()[-1]
    assert not (tmp_path / "out").exists()
    if "unplugged_after" not in state:
        assert phone.left == []


def test_an_interrupt_leaves_nothing_on_the_device(bench, phone, monkeypatch):
    benchmark, calls = DeviceFolder.benchmark, []

    def interrupted(self, *arguments, **named):
        calls.append(arguments)
        if len(calls) == 5:
            assert phone.left != []
            raise KeyboardInterrupt
        return benchmark(self, *arguments, **named)

    monkeypatch.setattr(DeviceFolder, "benchmark", interrupted)
    code, said, errors = bench("--adb")
    assert (code, said) == (130, "")
    assert errors.splitlines()[-1].startswith("Error: interrupted")
    assert phone.left == []
    killed = (phone.folder / "killed.txt").read_text()
    assert killed.startswith("-9 -f [m]bexport-")


def test_ctrl_c_ends_a_real_run_and_cleans_the_device(phone, network):
    phone.says(sleep_s=60)
    command = ["-m", "mbexport", "bench", network, *QUICK, "--adb", "--benchmark-model", phone.tool]
    with subprocess.Popen([sys.executable, *map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        while not any(flags["warmup_min_secs"] != "0" for flags in phone.runs) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=100)[1]
    assert process.returncode == 130, errors
    assert phone.left == []
