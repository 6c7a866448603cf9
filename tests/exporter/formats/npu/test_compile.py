"""Compiling in a process beside this one: whatever goes wrong in there is one line, and never an empty file."""

import pytest

from mbexport.errors import StageError
from mbexport.formats import child
from mbexport.formats.npu import compile as compiling
from mbexport.formats.npu.chips import CHIPS

WRITE = "import pathlib, sys; folder = pathlib.Path(sys.argv[4])\n"
DONE = "print('{\"error\": null}')\n"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "net_int8.onnx"
    path.write_bytes(b"source")
    return path


@pytest.fixture
def compiler(monkeypatch):
    """Puts this program in the place of the process."""

    def install(program: str) -> None:
        monkeypatch.setattr(compiling, "_COMMAND", ("-c", program))

    return install


def test_what_the_process_writes_is_the_artifact(compiler, source):
    compiler(
        WRITE
        + "(folder / 'compiled').write_text(' '.join(sys.argv[1:3]) + ' ' + pathlib.Path(sys.argv[3]).read_text())\n"
        "(folder / 'emulated').write_text('graph')\n" + DONE
    )
    found = compiling.compile_file(source, "onnx", CHIPS[3])
    assert (found.content, found.emulated) == (b"onnx qualcomm:SM8650 source", b"graph")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (DONE, "the compiler gave no file, or an empty one"),
        (
            WRITE + "(folder / 'compiled').touch(); (folder / 'emulated').touch()\n" + DONE,
            "the compiler gave no file, or an ",
        ),
        (WRITE + "(folder / 'compiled').write_text('whole')\n" + DONE, "the compiler gave no file, or an empty one"),
        ('print(\'{"error": "no room\\\\u001b[31m"}\')', "no room\\x1b[31m"),
        ("import os; os.abort()", "the compiler crashed (SIGABRT), in a process of its own"),
        ("raise SystemExit(4)", "the compiler ended with exit code 4, in a process of its own"),
        ("", "the compiler ended with exit code 0, in a process of its own"),
    ],
)
def test_whatever_goes_wrong_is_one_line(compiler, source, program, reason):
    compiler(program)
    with pytest.raises(StageError) as caught:
        compiling.compile_file(source, "onnx", CHIPS[3])
    line = str(caught.value)
    assert line.startswith(f"net_int8.onnx cannot be compiled for qualcomm:SM8650: {reason}")
    assert "\n" not in line
    assert caught.value.exit_code == 3


def test_a_compiler_that_hangs_is_ended(compiler, source, monkeypatch):
    monkeypatch.setattr(child, "_MAX_S", 0.5)
    compiler("import time; time.sleep(60)")
    with pytest.raises(StageError, match=r"the compiler did not end within 0\.5 s$"):
        compiling.compile_file(source, "onnx", CHIPS[3])
