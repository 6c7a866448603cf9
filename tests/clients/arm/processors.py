"""ARM processors that qemu emulates, what a model answers on them and here, and by which instructions."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from clients.environments import run
from numpy.typing import NDArray

PYTHON: Final = "python3.11"  # of the emulated system
_ANSWERS: Final = Path(__file__).with_name("answers.py")
_CPUINFO: Final = """\
processor\t: 0
BogoMIPS\t: 62.50
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x{variant:x}
CPU part\t: 0x{part:x}
CPU revision\t: {revision}

"""
# One instruction in the log of qemu: where it lies, and its 32 bits.
_INSTRUCTION: Final = re.compile(r"^(0x[0-9a-f]+):\s+([0-9a-f]{8})\s")
# Arm's manual of the A-profile architecture (DDI 0487), SDOT and UDOT by vector and by element: mask, and bits.
_DOT_PRODUCTS: Final = (
    *((0xBFE0FC00, 0x0E809400), (0xBFE0FC00, 0x2E809400)),
    *((0xBFC0F400, 0x0F80E000), (0xBFC0F400, 0x2F80E000)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """A processor as qemu emulates it, and what Linux would say of it in /proc/cpuinfo.

    onnxruntime dies where that file is of another architecture. Kernels are chosen by what qemu says of the processor.
    """

    name: str
    part: int
    variant: int
    revision: int
    features: str
    has_dotprod: bool

    @property
    def cpuinfo(self) -> str:
        """The text of /proc/cpuinfo with one core."""
        return _CPUINFO.format(features=self.features, variant=self.variant, part=self.part, revision=self.revision)


_COMMON: Final = "fp asimd evtstrm aes pmull sha1 sha2 crc32"
A53: Final = Processor(
    name="cortex-a53", part=0xD03, variant=0, revision=4, features=f"{_COMMON} cpuid", has_dotprod=False
)
N1: Final = Processor(
    name="neoverse-n1",
    part=0xD0C,
    variant=4,
    revision=1,
    features=f"{_COMMON} atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    has_dotprod=True,
)
PROCESSORS: Final = (A53, N1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The raw outputs (n, classes) of a model, what answered, and by how many dot products.

    `dot_products` counts the places in memory from which SDOT or UDOT was run; None beside ARM.
    """

    outputs: NDArray[Any]
    said: dict[str, Any]
    dot_products: int | None


def answer_here(model: Path, feeds: NDArray[Any], folder: Path) -> Answered:
    """The answers of this machine's processor, by the runtimes that are installed. `folder` takes the arrays."""
    return _answer([sys.executable], model, feeds, folder)


def answer_on(processor: Processor, model: Path, feeds: NDArray[Any], folder: Path, *, root: Path) -> Answered:
    """The answers of an emulated processor in the folder `root` that `sysroot` made. `folder` takes the arrays."""
    log, system = folder / "instructions.log", root / processor.name
    emulator = [root / "qemu", "-L", system, "-cpu", processor.name, "-d", "in_asm", "-D", log]
    python = [*emulator, "-E", f"PYTHONPATH={root / 'site'}", system / "usr" / "bin" / PYTHON]
    answered = _answer(python, model, feeds, folder)
    places = {place for place, word in _instructions(log) if is_dot_product(word)}
    log.unlink()  # tens of MB
    return replace(answered, dot_products=len(places))


def is_dot_product(word: int) -> bool:
    """Whether a 32-bit instruction of AArch64 is SDOT or UDOT, with a vector or with an element."""
    return any(word & mask == bits for mask, bits in _DOT_PRODUCTS)


def _answer(python: list[Any], model: Path, feeds: NDArray[Any], folder: Path) -> Answered:
    source, target = folder / "feeds.npy", folder / "outputs.npy"
    np.save(source, feeds)
    said = run([*python, _ANSWERS, model, source, target], is_ours=False)
    return Answered(outputs=np.load(target), said=json.loads(said), dot_products=None)


def _instructions(log: Path) -> Iterator[tuple[str, int]]:
    """The address and bits of every instruction that qemu translated, which it does before the first run."""
    with log.open() as lines:
        for line in lines:
            if found := _INSTRUCTION.match(line):
                yield found[1], int(found[2], 16)
