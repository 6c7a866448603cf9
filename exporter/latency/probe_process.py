"""Measure one file's cold start and memory, in a process that does nothing else.

`python -m mbexport.latency.probe_process FILE THREADS` prints JSON as its last line, or an error of one line on
stderr.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mbexport.errors import EXIT_DONE, DataError, MbexportError
from mbexport.formats.registry import format_of, loaded_runtime
from mbexport.formats.runner import first_line

_CLEAR_REFS: Final = Path("/proc/self/clear_refs")
_STATUS: Final = Path("/proc/self/status")
_RESET_PEAK: Final = "5"  # proc_pid_clear_refs(5): the peak resident size becomes the present one
_KIB: Final = 1024


def probe_file(path: Path, *, threads: int) -> dict[str, Any]:
    """Time the first load and the first inference in ms, and measure the most memory meanwhile in bytes.

    The runtime is imported before the clock starts: its import is no property of the file. Raises `DataError` for a
    file that cannot be loaded or run.
    """
    load = loaded_runtime(format_of(path), threads=threads)
    before = _resident_bytes()
    is_reset = _reset_peak()
    peak_before = _peak_bytes()
    start = time.perf_counter()
    bare = load(path)
    loaded = time.perf_counter()
    feed = bare.noise()
    ready = time.perf_counter()
    try:
        bare.invoke(feed)
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        raise DataError(f"{path} loads, but fails when it runs: {first_line(error)}") from None
    done = time.perf_counter()
    peak = _peak_bytes()
    if not is_reset and peak == peak_before:
        peak = _resident_bytes()  # an earlier peak hides that of the file, which is at least what stayed resident
    return {
        "load_ms": (loaded - start) * 1000,
        "first_inference_ms": (done - ready) * 1000,
        "peak_memory_bytes": max(0, peak - before),
    }


def main(arguments: Sequence[str]) -> int:
    """Print the measurements as JSON; the exit code is that of the error if there is one."""
    path, threads = arguments
    try:
        row = probe_file(Path(path), threads=int(threads))
    except MbexportError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"\n{json.dumps(row)}\n")
    return EXIT_DONE


def _resident_bytes() -> int:
    from psutil import Process

    return int(Process().memory_info().rss)


def _reset_peak() -> bool:
    """Reset the peak of the resident size, and give whether the system allows that; Linux does."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _peak_bytes() -> int:
    """The largest resident size: since the last reset on Linux, since the process began elsewhere."""
    try:
        lines = _STATUS.read_text("utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _KIB
    import resource  # Unix alone has it

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB  # getrusage(2): bytes on macOS, KiB elsewhere


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # a runtime's threads need not be waited for
