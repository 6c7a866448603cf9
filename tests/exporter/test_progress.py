"""An interrupt that a library swallows must still end the run."""

import signal
import subprocess
import sys

import pytest

CODE = """
import contextlib, os, signal, sys
from mbexport.commands.console import ConsoleProgress
from mbexport.progress import remember_interrupts
remember_interrupts()
progress = ConsoleProgress(sys.stderr)
progress.step(1, 3, "before")
with contextlib.suppress(KeyboardInterrupt):  # as a library's own `except:` does
    os.kill(os.getpid(), signal.SIGINT)
print("went on")
try:
    progress.step(2, 3, "after")
except KeyboardInterrupt:
    print("ended at the next step")
progress.step(3, 3, "said once")
"""


def test_an_interrupt_that_was_swallowed_is_raised_at_the_next_step():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["went on", "ended at the next step"]


ENDED = """
import os, signal, sys
from mbexport import cli
number = int(sys.argv[1])
command, *how = sys.argv[2:]
if how == ["ignored"]:
    signal.signal(number, signal.SIG_IGN)
elif number != signal.SIGINT:
    signal.signal(number, signal.SIG_DFL)  # a parent such as nohup may have it ignored
cli._invoke = lambda _: os.kill(os.getpid(), number) or 0
cli.main([command])
"""
KEPT = "; finished stages are kept and will be reused"


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGHUP, 129, "hung up"), (signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
@pytest.mark.parametrize(("command", "rest"), [("build", KEPT), ("bench", "")])
def test_each_signal_ends_the_command_line_with_its_code_and_one_line(number, code, word, command, rest):
    program = [sys.executable, "-c", ENDED, str(int(number)), command]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, f"Error: {word}{rest}\n")


def test_what_nohup_ignores_stays_ignored():
    command = [sys.executable, "-c", ENDED, str(int(signal.SIGHUP)), "build", "ignored"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
