"""Ask Vela, Arm's compiler for Ethos-U, about a file, in a process beside this one and a folder of its own."""

import tempfile
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.files import read_regular
from mbexport.formats.child import printed_by
from mbexport.formats.mcu.estimate import Estimate, Placement, read_estimate, read_placement
from mbexport.formats.mcu.targets import Npu, Target

# -P: nothing that lies in the user's folder by chance is imported.
_COMMAND: Final = ("-P", "-m", "mbexport.formats.mcu.vela_process")
_STEM: Final = "net"


def ask_vela(file: Path, target: Target) -> tuple[Placement, Estimate]:
    """What Vela says of the int8 .tflite file on the target, which has an NPU.

    Raises `DataError` where it crashes, hangs, or fails, where what it says cannot be read for sure, and where the NPU
    takes no op at all.
    """
    assert target.npu is not None
    try:
        return _answers(read_regular(file), target.npu, target.name)
    except DataError as error:
        raise DataError(f"{file} cannot be estimated for {target.name}: {error}") from None


def _answers(content: bytes, npu: Npu, accelerator: str) -> tuple[Placement, Estimate]:
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / f"{_STEM}.tflite"
        source.write_bytes(content)
        printed = _printed(source, npu, accelerator)
        placement = read_placement(printed)
        if not placement.npu_ops:
            raise DataError(f"the NPU takes none of its {len(placement.left)} ops")
        table = source.with_name(f"{_STEM}_summary_{npu.system_config}.csv")
        if not table.is_file():
            raise DataError(f"Vela wrote no table {table.name}")
        return placement, read_estimate(table.read_text("utf-8", "replace"), npu)


def _printed(source: Path, npu: Npu, accelerator: str) -> str:
    """What Vela prints while it compiles; its files lie beside the source then."""
    words = ["--accelerator-config", accelerator, "--system-config", npu.system_config]
    words += ["--memory-mode", npu.memory_mode, "--output-dir", str(source.parent), "--show-cpu-operations"]
    answer = printed_by([*_COMMAND, str(source), *words], name="Vela")
    return answer.decode("utf-8", "replace").replace("\r\n", "\n")
