"""The noise of native libraries: kept from both streams, shown where it explains a bug."""

import os
import subprocess
import sys

import pytest

from mbexport.quiet import errors_read

PRELUDE = """
import os, sys
from mbexport.quiet import quiet_libraries
from mbexport.errors import StageError

def noise():
    os.write(1, b"native out\\n")
    os.write(2, b"native err\\n")
"""


def python(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "", **environment},
    )


def test_only_our_own_words_reach_the_streams():
    done = python(
        "with quiet_libraries() as streams:\n"
        "    noise(); streams.out.write('result\\n'); streams.err.write('progress\\n'); noise(); print('stray')\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "result\n", "progress\n")


def test_child_processes_are_quiet_too():
    done = python("with quiet_libraries(): os.system('echo child; echo child >&2')")
    assert (done.stdout, done.stderr) == ("", "")


def test_streams_are_restored_after_the_block():
    done = python("with quiet_libraries(): noise()\nnoise(); print('after')")
    assert (done.stdout, done.stderr) == ("native out\nafter\n", "native err\n")


def test_what_was_printed_before_comes_first():
    done = python("print('before')\nwith quiet_libraries() as streams: streams.out.write('inside\\n')\nprint('after')")
    assert done.stdout.split() == ["before", "inside", "after"]


def test_block_can_be_entered_again_and_leaks_no_descriptor():
    done = python(
        "def count(): return sum(1 for n in range(64) if os.path.exists(f'/proc/self/fd/{n}'))\n"
        "before = count()\n"
        "for _ in range(5):\n"
        "    with quiet_libraries() as streams: noise(); streams.out.write('x')\n"
        "assert count() == before, count()\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "xxxxx", "")


def test_bug_shows_the_end_of_the_log_before_its_traceback():
    done = python("with quiet_libraries(): os.write(2, b'x' * 9000 + b'the reason'); 1 / 0")
    assert done.stdout == ""
    log, _, traceback = done.stderr.partition("Traceback")
    assert log.endswith("the reason")
    assert 10 < len(log) <= 4000
    assert traceback.endswith("ZeroDivisionError: division by zero\n")


def test_expected_error_shows_no_log():
    done = python("with quiet_libraries(): noise(); raise StageError('told in one line')")
    assert "native" not in done.stdout + done.stderr
    assert "told in one line" in done.stderr


def test_streams_are_restored_after_an_error():
    done = python(
        "try:\n    with quiet_libraries(): noise(); raise StageError('x')\nexcept StageError: os.write(1, b'restored')"
    )
    assert (done.stdout, done.stderr) == ("restored", "")


def test_debugging_lets_everything_through():
    code = "with quiet_libraries() as streams: noise(); streams.err.write('progress\\n')"
    done = python(code, MBEXPORT_DEBUG="1")
    assert done.stdout == "native out\n"
    assert sorted(done.stderr.splitlines()) == ["native err", "progress"]


@pytest.mark.parametrize(("given", "level"), [({}, "3"), ({"TF_CPP_MIN_LOG_LEVEL": "0"}, "0")])
def test_users_own_log_level_is_respected(given, level):
    done = python("with quiet_libraries(): pass\nprint(os.environ['TF_CPP_MIN_LOG_LEVEL'])", **given)
    assert done.stdout == f"{level}\n"


def test_text_that_is_not_ascii_arrives_as_utf8():
    code = "with quiet_libraries() as streams: streams.out.write('G\\u00e4nsebl\\u00fcmchen \\u2192 1')"
    done = python(code, LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert "Gänseblümchen → 1" in done.stdout


def test_reader_that_has_gone_is_not_reported(without_reader):
    done = without_reader("-c", PRELUDE + "with quiet_libraries() as streams: streams.out.write('x')")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_library_says_on_the_error_stream_can_be_read(capfd):
    with errors_read() as lines:
        os.write(2, b"76 operations\nand 5\n")
        os.write(1, b"elsewhere\n")
        assert lines == []
    assert lines == ["76 operations", "and 5"]
    os.write(2, b"afterwards\n")
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("elsewhere\n", "afterwards\n")


def test_it_can_be_read_of_a_block_that_raises():
    kept = []

    def broken():
        with errors_read() as lines:
            kept.append(lines)
            os.write(2, b"why\n")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    assert kept == [["why"]]
