"""The description of the machine: read from /proc/cpuinfo, and no failure where that is missing."""

import os

import pytest

from mbexport.fingerprint import usable_cores
from mbexport.latency import machine
from mbexport.latency.machine import Conditions, busy_share, cpu_flags, load_average, machine_json

X86 = """\
processor\t: 0
model name\t: Some CPU: the fast one
flags\t\t: fpu sse4_1 avx2 avx512_vnni fma avx512f
processor\t: 1
model name\t: Another
flags\t\t: fpu
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n"


@pytest.fixture
def cpuinfo(monkeypatch, tmp_path):
    """Write another /proc/cpuinfo; None takes it away."""

    def say(text):
        path = tmp_path / "cpuinfo"
        if text is not None:
            path.write_text(text)
        monkeypatch.setattr(machine, "_CPUINFO", path)

    return say


@pytest.mark.parametrize(
    ("text", "flags"),
    [(X86, ("avx2", "fma", "avx512f", "avx512_vnni")), (ARM, ("asimd", "asimddp", "i8mm")), (None, ()), ("", ())],
    ids=["x86", "arm", "elsewhere", "empty"],
)
def test_flags_that_matter_to_kernels_are_found(cpuinfo, text, flags):
    cpuinfo(text)
    assert cpu_flags() == flags


def test_the_processor_is_named_by_cpuinfo_or_by_python(cpuinfo):
    cpuinfo(X86)
    assert machine_json()["cpu"] == "Some CPU: the fast one"
    cpuinfo(None)
    assert machine_json()["cpu"]


def test_conditions_are_reported_and_unknown_ones_are_null():
    found = machine_json(Conditions(load_before=(0.414, 1, 2), load_after=None, busy_before=0.1, noise="loud"))
    assert found["load"] == {"before": [0.41, 1, 2], "after": None}
    assert found["noise"] == "loud"
    assert machine_json()["load"] == {"before": None, "after": None}
    assert machine_json()["noise"] is None


def test_this_machine_has_memory_and_cores():
    found = machine_json()
    assert found["memory_bytes"] > 2**28
    assert 1 <= usable_cores() <= found["cores"] == os.cpu_count()
    assert 0 <= busy_share() <= 1


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_a_system_without_load_averages_has_none(monkeypatch, error):
    def fails():
        raise error

    monkeypatch.setattr(os, "getloadavg", fails)
    assert load_average() is None
