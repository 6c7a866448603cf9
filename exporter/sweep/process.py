"""Run one job as a child process that cannot outlive the process which started it.

`python -m mbexport.sweep.process PID ARGUMENT...` asks the kernel to be killed when its parent dies, and becomes
`mbexport ARGUMENT...`: both are done by the child itself, since a process with threads must run as little as possible
between fork and exec.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Final

from mbexport.errors import OutputError
from mbexport.files import Folder, ForeignError
from mbexport.sweep.job import Job
from mbexport.workdir import PRIVATE

# -P: nothing that lies in the user's folder by chance is imported.
_MBEXPORT: Final = ("-P", "-m", "mbexport")
_LAUNCH: Final = ("-P", "-m", "mbexport.sweep.process")
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h; survives exec, unlike a handler
_POLL_S: Final = 0.2
_GRACE_S: Final = 10.0  # to end after a termination: the run removes what it has half written
_LOCK_WAIT_S: Final = 60.0  # for the end of an earlier attempt on another machine, whose parent has just been lost


class Running:
    """A job that runs. The thread that starts it must outlive it: the kernel watches that thread, not the process.

    Raises `OutputError` for a log that cannot be written, a link among the folders above it for example.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.started = time.monotonic()
        with _opened_log(job) as log:
            self._process = subprocess.Popen(
                [sys.executable, *_LAUNCH, str(os.getpid()), *job.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=job.variables(os.environ),
                cwd=job.folder,
                process_group=0,  # Ctrl-C on the terminal is the parent's to pass on
            )

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it, and what it has started, to end."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Terminate it and wait; kill what does not end."""
        self.terminate()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _opened_log(job: Job) -> IO[bytes]:
    try:
        return Folder(job.root).open_to_append(job.log.relative_to(job.root).as_posix())
    except OSError as error:
        raise OutputError(f"{job.log} cannot be written: {error.strerror}") from None


def run_once(job: Job, *, is_cancelled: Callable[[], bool] = lambda: False) -> int:
    """Run the job in this thread's own child, and return its exit code; it is ended once `is_cancelled` says so."""
    wait_until_free(job)
    running = Running(job)
    try:
        while running.code is None:
            if is_cancelled():
                running.end()
            time.sleep(_POLL_S)
    except BaseException:
        running.end()
        raise
    assert running.code is not None
    return running.code


def wait_until_free(job: Job) -> None:
    """Wait until no other run uses the job's output folder, for a minute at most; then the run itself refuses it."""
    end = time.monotonic() + _LOCK_WAIT_S
    while time.monotonic() < end:
        try:
            with Folder(job.out).open(f"{PRIVATE}/lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
        except (FileNotFoundError, ForeignError):  # of the latter the run says what it is
            return
        except OSError:
            time.sleep(_POLL_S)


def _launch(parent: int, arguments: list[str]) -> None:
    """Become `mbexport`, to be killed when the parent dies: whoever is killed at any point leaves whole files only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux":
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew
        sys.exit(-signal.SIGKILL)
    os.execv(sys.executable, [sys.executable, *_MBEXPORT, *arguments])


if __name__ == "__main__":
    _launch(int(sys.argv[1]), sys.argv[2:])
