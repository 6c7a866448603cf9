"""The process that compiles, without the process: what it writes, and what it says."""

from dataclasses import replace

import pytest

from mbexport.errors import DataError
from mbexport.formats.npu import compile_process
from mbexport.formats.npu.compiler import NpuCompiler
from mbexport.formats.onnx.format import ONNX


@pytest.fixture
def said(monkeypatch, tmp_path):
    """What the process says where `compile` does so."""

    def say(compile_so):
        compiler = NpuCompiler(compile=compile_so, emulated=lambda content: content[::-1])
        monkeypatch.setattr(compile_process, "EXPORTED", (replace(ONNX, npu=compiler),))
        return compile_process.main("onnx", "qualcomm:SM8650", tmp_path / "net.onnx", tmp_path)

    return say


def test_both_files_are_written(said, tmp_path):
    rooms = []

    def compile_so(source, chip, room):
        rooms.append((source.name, chip.number, list(room.iterdir())))
        return b"abc"

    assert said(compile_so) is None
    assert rooms == [("net.onnx", 57, [])]
    assert ((tmp_path / "compiled").read_bytes(), (tmp_path / "emulated").read_bytes()) == (b"abc", b"cba")


@pytest.mark.parametrize(
    ("error", "reason"), [(DataError("left over: Conv"), "left over: Conv"), (KeyError("x"), "KeyError: 'x'")]
)
def test_errors_are_said_and_nothing_is_written(said, tmp_path, error, reason):
    def compile_so(_source, _chip, _room):
        raise error

    assert said(compile_so) == reason
    assert [path.name for path in tmp_path.iterdir()] == ["room"]
