"""What Vela, Arm's compiler for Ethos-U, says of a file, read from its table and from what it prints.

What is not whole, or contradicts itself, is refused: an estimate that was read wrong is worse than none.
"""

import csv
import io
import math
import re
from dataclasses import dataclass
from typing import Final

from mbexport.errors import DataError
from mbexport.formats.mcu.targets import Npu

AREAS: Final = ("sram", "dram", "on_chip_flash", "off_chip_flash")
_KIB: Final = 1024
_CLOSE: Final = 1e-6  # relative; the table has its seconds to the cycle
_COUNT: Final = re.compile(r"(CPU|NPU) operators = (\d+) \([\d.]+%\)")
_LEFT: Final = re.compile(r"   CPU: (\S+) = (.*) \(outputs \[[^\]]*\]\)")
_WARNING: Final = re.compile(r"Warning \(supported operators\) operator: (\S+), ofm: '(.*)'")
_REASON: Final = "Reason: "
_UNTOUCHED: Final = "Passthrough"  # how Vela calls an op that it leaves as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOp:
    """An op that the NPU leaves to the CPU: its first output, its kind, and why, where Vela says these."""

    output: str
    kind: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How many ops, of the graph as Vela rewrites it, the NPU takes, and those that it leaves."""

    npu_ops: int
    left: tuple[LeftOp, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Memory in bytes, the clock in Hz, cycles and seconds of one inference on the NPU. What the CPU does is not in."""

    clock_hz: float
    sram_bytes: int
    dram_bytes: int
    on_chip_flash_bytes: int
    off_chip_flash_bytes: int
    cycles: int
    npu_cycles: int
    seconds: float
    per_second: float


def read_estimate(table: str, npu: Npu) -> Estimate:
    """The one row of Vela's table.

    Raises `DataError` for any other, for another NPU's, and for numbers that are none or do not fit each other.
    """
    rows = list(csv.DictReader(io.StringIO(table)))
    if len(rows) != 1:
        raise DataError(f"Vela's table must have one row, got {len(rows)}")
    (row,) = rows
    for column, wanted in (
        ("accelerator_configuration", npu.accelerator),
        ("system_config", npu.system_config),
        ("memory_mode", npu.memory_mode),
    ):
        if row.get(column) != wanted:
            raise DataError(f"Vela's table must be of the {column} {wanted}, got {row.get(column)}")
    clock, seconds = (_number(row, name, least=1e-12) for name in ("core_clock", "inference_time"))
    cycles, npu_cycles = (_whole(row, name) for name in ("cycles_total", "cycles_npu"))
    per_second = _number(row, "inferences_per_second")
    if not (math.isclose(seconds * clock, cycles, rel_tol=_CLOSE) and math.isclose(seconds * per_second, 1)):
        raise DataError(f"Vela's table contradicts itself: {cycles} cycles, {seconds} s, {per_second} inferences/s")
    return Estimate(
        clock_hz=clock,
        **{f"{area}_bytes": _whole(row, f"{area}_memory_used", times=_KIB) for area in AREAS},
        cycles=cycles,
        npu_cycles=npu_cycles,
        seconds=seconds,
        per_second=per_second,
    )


def read_placement(printed: str) -> Placement:
    """Which ops go where, from what Vela prints. Raises `DataError` where its counts are missing or do not fit."""
    lines = printed.split("\n")  # not splitlines: names may hold what that takes for line ends
    counts = [(found[1], int(found[2])) for line in lines if (found := _COUNT.fullmatch(line))]
    left = [(found[1], found[2]) for line in lines if (found := _LEFT.fullmatch(line))]
    if sorted(side for side, _ in counts) != ["CPU", "NPU"]:
        raise DataError(f"Vela must say once how many ops the CPU and the NPU take, got {len(counts)} such lines")
    on = dict(counts)
    if on["CPU"] != len(left):
        raise DataError(f"Vela must name each op of the CPU: it counts {on['CPU']}, and names {len(left)}")
    reasons = _reasons(lines)
    return Placement(npu_ops=on["NPU"], left=tuple(_left_op(kind, output, reasons) for kind, output in left))


def _left_op(kind: str, output: str, reasons: dict[str, tuple[str, str | None]]) -> LeftOp:
    own = None if kind == _UNTOUCHED else kind
    known, reason = reasons.get(output, (own, None))
    return LeftOp(output=output, kind=known, reason=reason)


def _reasons(lines: list[str]) -> dict[str, tuple[str, str | None]]:
    """The kind of each op that Vela warns of, and the sentence behind the warning, by the op's output."""
    found: dict[str, tuple[str, str | None]] = {}
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if warning := _WARNING.fullmatch(line):
            reason = after.removeprefix(_REASON) if after.startswith(_REASON) else None
            found.setdefault(warning[2], (warning[1], reason))
    return found


def _number(row: dict[str, str], name: str, *, least: float = 0.0) -> float:
    text = row.get(name)
    try:
        value = float(text or "")
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= least):
        raise DataError(f"Vela's table must have a number of at least {least:g} as {name}, got {text}")
    return value


def _whole(row: dict[str, str], name: str, *, times: int = 1) -> int:
    value = _number(row, name) * times
    if not value.is_integer():
        raise DataError(f"Vela's table must have a whole number of cycles or bytes as {name}, got {row[name]}")
    return int(value)
