"""A package `ethosu` for tests where the real one is not installed: it prints and writes what it is told to.

The table and the lines have the form of Vela 5.2; the numbers are made up, and fit each other.
"""

from pathlib import Path
from typing import Any, Final

ROW: Final = {
    "experiment": "default",
    "accelerator_configuration": "Ethos_U55_256",
    "system_config": "Ethos_U55_High_End_Embedded",
    "memory_mode": "Shared_Sram",
    "core_clock": 500000000.0,
    "inferences_per_second": 250.0,
    "inference_time": 0.004,
    "sram_memory_used": 982.765625,
    "dram_memory_used": 0.0,
    "on_chip_flash_memory_used": 0.0,
    "off_chip_flash_memory_used": 2356.25,
    "cycles_npu": 1500000,
    "cycles_total": 2000000,
}
PRINTED: Final = """Warning: No configuration file specified. Using a default of ['vela.ini'].

Warning (supported operators) operator: CUSTOM, ofm: 'boxes'
Reason: Unsupported opType

Warning (supported operators) operator: RELU6, ofm: 'conv_4'
Reason: Operation has tensor with unsupported DataType Float32 (conv_4_act)
Feature-map dataTypes must be one of {"INT16", "INT8"}

Network summary for net

CPU operators = 3 (30.0%)
   CPU: Passthrough = conv_4 (outputs [1, 56, 56, 96])
   CPU: Passthrough = boxes (outputs [1, 100, 1, 4])
   CPU: Passthrough = last one (outputs [1, 100, 1, 4])
NPU operators = 7 (70.0%)
   NPU: Conv2D = conv_1 (outputs [1, 112, 112, 32])
"""
_PROGRAM: Final = """
import sys
from pathlib import Path


def main(words):
    source = Path(words[0])
    named = dict(zip(words[1::2], words[2::2]))
    assert named["--accelerator-config"].startswith("ethos-u"), words
    table = source.stem + "_summary_" + named["--system-config"] + ".csv"
    (Path(named["--output-dir"]) / table).write_text({table!r})
    print({printed!r}, end="")
    {end}
"""


def table_of(**changes: Any) -> str:
    """The table of `ROW` with these changes; a column of None is left out."""
    row = {name: value for name, value in {**ROW, **changes}.items() if value is not None}
    return f"{','.join(row)}\n{','.join(map(str, row.values()))}\n"


def write_package(folder: Path, *, table: str | None = None, printed: str = PRINTED, end: str = "return 0") -> Path:
    """Write the package into a folder, and give that. `end` is Python for the last line of its main function."""
    package = folder / "ethosu" / "vela"
    package.mkdir(parents=True)
    for each in (package, package.parent):
        (each / "__init__.py").touch()
    content = table_of() if table is None else table
    (package / "vela.py").write_text(_PROGRAM.format(table=content, printed=printed, end=end))
    return folder
