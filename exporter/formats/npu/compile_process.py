"""Compile one file for the NPU of one chip, in a process that may crash or hang in the place of the user's.

`python -m mbexport.formats.npu.compile_process FORMAT CHIP SOURCE FOLDER` writes `compiled`, the artifact, and
`emulated`, the same graph for the emulator, into the folder, and answers with one line of JSON: {"error": null}, or
why there are none.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.errors import MbexportError
from mbexport.formats.npu.chips import CHIPS
from mbexport.formats.registry import EXPORTED
from mbexport.formats.trial_process import limit_cpu, limit_memory, silenced_output

if TYPE_CHECKING:
    from mbexport.formats.npu.compiler import NpuCompiler

COMPILED: Final = "compiled"
EMULATED: Final = "emulated"
_MAX_CPU_S: Final = 600  # two seconds are usual


def main(format_name: str, chip_name: str, source: Path, folder: Path) -> str | None:
    """Write the artifact; a line that says why there is none."""
    compiler = _compiler(format_name)
    chip = next(each for each in CHIPS if str(each) == chip_name)
    room = folder / "room"
    room.mkdir()
    try:
        content = compiler.compile(source, chip, room)
        graph = compiler.emulated(content)
    except MbexportError as error:
        return str(error)
    except Exception as error:  # whatever a vendor's compiler trips over
        return f"{type(error).__name__}: {error}"
    (folder / COMPILED).write_bytes(content)
    (folder / EMULATED).write_bytes(graph)
    return None


def _compiler(format_name: str) -> "NpuCompiler":
    compiler = next(each.npu for each in EXPORTED if each.name == format_name)
    assert compiler is not None
    return compiler


if __name__ == "__main__":
    out = os.fdopen(silenced_output(), "w", encoding="utf-8")
    limit_memory()
    limit_cpu(_MAX_CPU_S)
    reason = main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    out.write(json.dumps({"error": reason}) + "\n")
    out.flush()
    os._exit(0)  # a compiler's threads need not be waited for
