"""What runs on the nodes of a Ray cluster: a job, or a question about the node, each in a process like a plain one.

Ray sets variables in the processes of its tasks, `OMP_NUM_THREADS=1` and `CUDA_VISIBLE_DEVICES` among them, and blocks
or ignores signals. A job must make the bytes that it makes without Ray: its process gets the environment in which Ray
was started on the node.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mbexport.sweep.job import Job
from mbexport.sweep.process import run_once

_INITIAL: Final = Path("/proc/self/environ")  # as the process was started; what is set later does not show there
_RAYS: Final = ("RAY_", "SPT_NOENV=")  # setproctitle's, which Ray brings; jobs need no token and no address of Ray's
_SET_LATER: Final = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PYTHONBREAKPOINT")
_ASK: Final = ("-P", "-m", "mbexport.sweep.handshake")
_ANSWER_S: Final = 600.0  # a million images are listed in half a minute


def run_job(job: Job) -> tuple[int, float]:
    """Run the job as a child of this task's own thread; returns its exit code, and the seconds that it took."""
    started = time.monotonic()
    with _like_a_plain_process():
        code = run_once(job)
    return code, time.monotonic() - started


def ask(question: str) -> tuple[str, str]:
    """Ask this node in a process of its own: what it answered, and why it did not, one of them empty."""
    with _like_a_plain_process():
        done = subprocess.run(
            [sys.executable, *_ASK], input=question, capture_output=True, text=True, check=False, timeout=_ANSWER_S
        )
    if done.returncode == 0:
        return done.stdout, ""
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return "", lines[-1]


def plain_environment() -> dict[str, str]:
    """The environment in which Ray was started on this node, without what Ray has added for itself."""
    try:
        content = _INITIAL.read_bytes()
    except OSError:  # not Linux
        return without_rays({name: value for name, value in os.environ.items() if name not in _SET_LATER})
    pairs = (each.partition("=") for each in os.fsdecode(content).split("\0") if "=" in each)
    return without_rays({name: value for name, _, value in pairs})


def without_rays(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without the variables that Ray's processes give each other."""
    return {name: value for name, value in environment.items() if not f"{name}=".startswith(_RAYS)}


@contextmanager
def _like_a_plain_process() -> Iterator[None]:
    """Let children inherit what a shell on this node would give them; and let a cancelled task end its child first.

    Ray cancels a task by an interrupt of Python's, which is lost where SIGINT is ignored, as in processes that a
    script has started in the background.
    """
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(plain_environment())
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
