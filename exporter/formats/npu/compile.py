"""Compile a file for an NPU in a process beside this one, which a vendor's compiler may end."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.errors import DataError, StageError
from mbexport.escaping.terminal import visible
from mbexport.formats.child import printed_by
from mbexport.formats.npu.chips import Chip
from mbexport.formats.npu.compile_process import COMPILED, EMULATED
from mbexport.formats.trial import death

# -P: nothing that lies in the user's folder by chance is imported.
_COMMAND: Final = ("-P", "-m", "mbexport.formats.npu.compile_process")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """An artifact for an NPU, and the .onnx file by which the emulator runs the same compiled graph."""

    content: bytes
    emulated: bytes


def compile_file(source: Path, format_name: str, chip: Chip) -> Compiled:
    """The file `source`, compiled for the chip, whole.

    Raises `StageError` where the compiler fails, crashes, does not end, leaves an op to the CPU, or gives nothing.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reason = _failure([format_name, str(chip), str(source.resolve()), str(folder)])
        if reason is None:
            files = [folder / COMPILED, folder / EMULATED]
            contents = [file.read_bytes() if file.is_file() else b"" for file in files]
            if all(contents):
                return Compiled(content=contents[0], emulated=contents[1])
            reason = "the compiler gave no file, or an empty one"
    raise StageError(f"{source.name} cannot be compiled for {chip}: {visible(reason)}")


def _failure(words: list[str]) -> str | None:
    """Why the process gave nothing, None if it says that it did."""
    try:
        answer = printed_by([*_COMMAND, *words], name="the compiler")
    except DataError as error:
        return str(error)
    if not answer:
        return f"the compiler {death(0)}, in a process of its own"
    reason: str | None = json.loads(answer)["error"]
    return reason
