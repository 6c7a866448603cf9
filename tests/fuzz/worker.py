"""Run cases of the fuzzer in this process, which a crash ends: `python worker.py SEED FOLDER` reads their numbers.

For each number a line of JSON tells how it ended.
"""

import json
import os
import re
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

from command_line import run_in_process
from fuzz.cases import case
from fuzz.corpus import FOLDER

from mbexport.formats import trial

_KIB: Final = 1024
_TRACEBACK: Final = "Traceback (most recent call last)"
_PEAK: Final = re.compile(r"VmHWM:\s+(\d+) kB")
_CPU_S: Final = 5  # that a trial may take here


def run_case(number: int, *, seed: int, folder: Path) -> dict[str, Any]:
    """How one case ended: clear (one line, exit 2 or 3), accepted, traceback, or unclear."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    name, command = case(number, seed=seed, folder=folder, corpus=FOLDER)
    start = time.process_time()
    done = run_in_process(*command, cwd=folder)
    return {
        "number": number,
        "name": name,
        "command": command,
        "end": _end(done.returncode, done.stderr),
        "said": done.stderr[-600:],
        "cpu_s": time.process_time() - start,
        "peak_bytes": _peak_bytes(),
    }


def _end(code: int, stderr: str) -> str:
    if _TRACEBACK in stderr:
        return "traceback"
    if code in (0, 1):
        return "accepted"
    lines = [line for line in stderr.splitlines() if line.startswith("Error: ")]
    return "clear" if code in (2, 3) and len(lines) == 1 else "unclear"


def _peak_bytes() -> int:
    """The most memory that this process or one of its children has held.

    Not `ru_maxrss` of this process: that one begins at the size of whoever started it (Linux, exec_mmap).
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _KIB
    alive = [_held_bytes(process._process.pid) for process in trial._idle]
    return max(_held_bytes(os.getpid()), ended, *alive)


def _held_bytes(pid: int) -> int:
    """The most memory that a process has held since it began; 0 of one that has ended."""
    found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * _KIB if found else 0


def main() -> None:
    """Answer each number."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ["MBEXPORT_CACHE"] = sys.argv[2] + "/cache"
    trial.MAX_CPU_S = _CPU_S  # type: ignore[misc]
    for line in sys.stdin:
        answer = run_case(int(line), seed=int(sys.argv[1]), folder=Path(sys.argv[2]) / "case")
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
