"""Tests of processors.py and sysroot.py that need no emulator."""

import shutil

import pytest
from clients.arm.processors import A53, N1, is_dot_product
from clients.arm.sysroot import sysroot
from clients.environments import UnreachableError
from hypothesis import given
from hypothesis import strategies as st

REGISTERS = st.integers(0, 31)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (0x4E829420, True),  # sdot v0.4s, v1.16b, v2.16b
        (0x6E829420, True),  # udot v0.4s, v1.16b, v2.16b
        (0x4F82E020, True),  # sdot v0.4s, v1.16b, v2.4b[0]
        (0x6FA2E820, True),  # udot v0.4s, v1.16b, v2.4b[3]
        (0x0E628020, False),  # smlal v0.4s, v1.4h, v2.4h
        (0x4E22CC20, False),  # fmla v0.4s, v1.4s, v2.4s
        (0xD503201F, False),  # nop
    ],
)
def test_dot_products_are_known_by_their_bits(word, expected):
    assert is_dot_product(word) is expected


@given(st.sampled_from([0x0E809400, 0x2E809400, 0x4E809400, 0x6E809400]), REGISTERS, REGISTERS, REGISTERS)
def test_registers_decide_nothing_and_every_other_bit_does(base, left, right, target):
    word = base | right << 16 | left << 5 | target
    fixed = [bit for bit in range(32) if bit not in {*range(5), *range(5, 10), *range(16, 21), 29, 30}]

    assert is_dot_product(word)
    assert not any(is_dot_product(word ^ 1 << bit) for bit in fixed)


def test_what_linux_says_of_the_processors():
    assert "CPU part\t: 0xd03\n" in A53.cpuinfo
    assert "asimddp" not in A53.cpuinfo
    assert "CPU part\t: 0xd0c\n" in N1.cpuinfo
    assert "asimddp" in N1.cpuinfo


def test_without_apt_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UnreachableError, match="apt-get is missing"):
        sysroot(tmp_path)


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is missing")
def test_without_a_network_nothing_is_left_and_the_reason_is_told(tmp_path, monkeypatch):
    settings = tmp_path / "apt.conf"
    settings.write_text('Acquire::http::Proxy "http://localhost:1"; Acquire::Retries "0";')
    monkeypatch.setenv("APT_CONFIG", str(settings))
    monkeypatch.setenv("http_proxy", "http://localhost:1")

    with pytest.raises(UnreachableError, match="no registry of packages answers: Could not connect"):
        sysroot(tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []
