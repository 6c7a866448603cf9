"""An interrupt that a library swallows must still end the run."""

import subprocess
import sys

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
