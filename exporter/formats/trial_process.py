"""Open files and run each once, in a process that may crash, hang or run out of memory in the place of the user's.

`python -m mbexport.formats.trial_process` reads one JSON object a line, {"format": ..., "path": ..., "cwd": ...,
"cpu_s": ..., "all_kernels": ...}, and answers each path with {"error": null}, or with one line that says why the file
cannot be used; without a path it only loads what files of that format need. It ends when its input does.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from mbexport.errors import MbexportError
from mbexport.formats.file_format import FileFormat
from mbexport.formats.registry import FORMATS, loaded_runtime, open_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mbexport.artifact import TensorSpec

MAX_MEMORY_BYTES: Final = 4 << 30
MAX_CPU_S: Final = 10  # of processor time to open a file, and to run it once on one image: a second is usual
_SLOWNESS: Final = 10  # of kernels that are written to be read, beside those that a runtime chooses itself
_FORMATS: Final = {each.name: each for each in FORMATS}


def try_file(path: Path, file_format: FileFormat, *, cpu_s: int, all_kernels: bool = False) -> str | None:
    """Check the file's structure, open it and run it on one input; a line that says why it cannot be used.

    The process ends when opening takes more than `cpu_s` of processor time, or running that and a second an image. With
    `all_kernels` it is run by each of the runtime's kernels. A format that no app runs is only checked: its runtime
    takes seconds to load.
    """
    limit_cpu(cpu_s)
    try:
        file_format.check(path)
        for place, kernels in enumerate(_kernels(file_format, all_kernels=all_kernels)):
            runner = file_format.open(path, 1) if kernels is None else open_path(path, kernels)
            limit_cpu((cpu_s + runner.batch) * (_SLOWNESS if place else 1))
            runner.invoke(_ramp(runner.input))
    except MbexportError as error:
        return str(error)
    except MemoryError:
        return f"{path} takes more than {MAX_MEMORY_BYTES >> 30} GiB of memory"
    except Exception as error:  # whatever a file that anybody may have made trips over
        return f"{path} cannot be opened: {type(error).__name__}: {error}"
    return None


def _kernels(file_format: FileFormat, *, all_kernels: bool) -> tuple[str | None, ...]:
    if file_format.load is None:
        return ()
    return file_format.kernel_paths if all_kernels else (None,)


def _ramp(source: "TensorSpec") -> "NDArray[Any]":
    """An input of all bytes in turn; random numbers would cost an import."""
    import numpy as np

    return np.resize(np.arange(256, dtype=np.uint8), source.shape).astype(source.dtype)


def main(lines: TextIO, answers: TextIO) -> None:
    """Answer each line."""
    for line in lines:
        question = json.loads(line)
        file_format = _FORMATS[question["format"]]
        if question["path"] is None:
            loaded_runtime(file_format)
            continue
        os.chdir(question["cwd"])  # the user's may have changed since the last file
        limits = {name: question[name] for name in ("cpu_s", "all_kernels")}
        error = try_file(Path(question["path"]), file_format, **limits)
        answers.write(json.dumps({"error": error}) + "\n")
        answers.flush()


def limit_memory() -> None:
    """Bound what this process may allocate, where the system can; no crash leaves a core file behind."""
    try:
        import resource  # Unix alone has it
    except ImportError:
        return
    # Not the address space (RLIMIT_AS): runtimes reserve far more of it than they use.
    for limit, most in ((resource.RLIMIT_DATA, MAX_MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def limit_cpu(seconds: int) -> None:
    """Let the kernel end this process after so much more processor time, even if nobody waits any more."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def silenced_output() -> int:
    """Lead the standard output and error to nowhere, and give a descriptor of what the output was."""
    own = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what runtimes print is not for the user
        os.dup2(nowhere, stream)
    return own


if __name__ == "__main__":
    out = os.fdopen(silenced_output(), "w", encoding="utf-8")
    limit_memory()
    main(sys.stdin, out)
    out.flush()
    os._exit(0)  # a runtime's threads need not be waited for
