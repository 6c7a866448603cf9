"""The microcontrollers that `inspect --target` names: a row each, and whether they can be asked about here."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from mbexport.errors import OptionError
from mbexport.formats.installable import Installable, missing_package
from mbexport.formats.registry import format_of
from mbexport.formats.tflite.paths import TFLITE_PATHS

_COMPILER: Final = "ethos-u-vela"
MICRO: Final = "tflite-micro"  # the name of the kernel path, too
_FORMAT: Final = "tflite"
VELA: Final = Installable(missing=partial(missing_package, "ethosu", _COMPILER), needs="pip install 'mbexport[mcu]'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Npu:
    """What Vela is told of a target: how it spells the NPU, and the names of its own settings for the chip around it.

    `system_config` holds the clock and the speed of the memories, `memory_mode` what lies in which of them.
    """

    accelerator: str
    system_config: str
    memory_mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One row: a name for `--target`, what it is, and the NPU; without one the CPU does everything in TFLite Micro."""

    name: str
    title: str
    npu: Npu | None = None

    @property
    def by(self) -> Installable:
        """What says something of it: Arm's compiler, or the kernel path of that name."""
        return VELA if self.npu is not None else next(each for each in TFLITE_PATHS if each.name == MICRO)


def vela_version() -> str:
    """Arm's compiler and its version, as reports name it."""
    try:
        return f"Vela {version(_COMPILER)}"
    except PackageNotFoundError:
        return "Vela of no known version"


def _ethos(family: str, macs: int, system_config: str, memory_mode: str) -> Target:
    return Target(
        name=f"ethos-{family.lower()}-{macs}",
        title=f"Arm Ethos-{family}, {macs} multiply-adds a cycle",
        npu=Npu(
            accelerator=f"Ethos_{family}_{macs}",
            system_config=system_config,
            memory_mode=memory_mode,
        ),
    )


# Settings: those that Vela 5.2 takes itself where it is told none.
TARGETS: Final = (
    _ethos("U55", 32, "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    _ethos("U55", 64, "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    _ethos("U55", 128, "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    _ethos("U55", 256, "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    _ethos("U65", 256, "Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
    _ethos("U65", 512, "Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
    _ethos("U85", 128, "Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
    _ethos("U85", 256, "Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
    _ethos("U85", 512, "Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
    _ethos("U85", 1024, "Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
    _ethos("U85", 2048, "Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
    Target(name=MICRO, title="TFLite Micro's reference kernels, on a CPU alone"),
)


def usable_targets(names: Sequence[str], file: Path) -> tuple[Target, ...]:
    """The targets of these names, each once.

    Raises `OptionError` for one that is unknown, that nothing can be said of here, or that does not take files of this
    format, and `DataError` for a file that is of none.
    """
    targets = tuple(dict.fromkeys(map(_usable, names)))
    for target in targets:
        if format_of(file).name != _FORMAT:
            raise OptionError(f"--target {target.name} takes {_taken(target)}, got {file}")
    return targets


def require_integers(target: Target, file: Path, precision: str) -> None:
    """Raise `OptionError` for a file of this precision that Vela would leave to the CPU."""
    if target.npu is not None and precision != "int8":
        raise OptionError(f"--target {target.name} takes {_taken(target)}, got {file}, which is {precision}")


def _taken(target: Target) -> str:
    return f".{_FORMAT} files" if target.npu is None else f"only int8 .{_FORMAT} files"


def _usable(name: str) -> Target:
    target = next((each for each in TARGETS if each.name == name.lower()), None)
    if target is None:
        raise OptionError(f"--target must be one of {', '.join(each.name for each in TARGETS)}, got {name}")
    lack = target.by.lack()
    if lack is not None:
        raise OptionError(f"--target {name} cannot be asked about here: {lack}")
    return target
