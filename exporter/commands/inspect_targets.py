"""`mbexport inspect --target`: what a file needs on a microcontroller, as facts and as lines."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mbexport.formats.mcu.targets import Target

_AREAS: Final = {
    "sram_bytes": "SRAM",
    "dram_bytes": "DRAM",
    "on_chip_flash_bytes": "on-chip flash",
    "off_chip_flash_bytes": "off-chip flash",
}
_ESTIMATED: Final = "An estimate of the compiler for these settings, no measurement: other settings, other figures."
_NPU_ALONE: Final = "Of the NPU alone: what the CPU takes for its ops is not in the cycles and the time."


def target_facts(file: Path, targets: "Iterable[Target]") -> dict[str, Any]:
    """What is said of the file on each target.

    Raises `OptionError` for a file whose precision a target does not take, `DataError` where nothing can be said.
    """
    from mbexport.formats.mcu.targets import require_integers
    from mbexport.formats.registry import open_runner

    targets, precision = tuple(targets), open_runner(file).precision.value
    for target in targets:
        require_integers(target, file, precision)
    facts = (_arena(file, target) if target.npu is None else _estimate(file, target) for target in targets)
    return {"file": file.name, "precision": precision, "targets": list(facts)}


def _estimate(file: Path, target: "Target") -> dict[str, Any]:
    from mbexport.formats.mcu.targets import vela_version
    from mbexport.formats.mcu.vela import ask_vela

    assert target.npu is not None
    placement, estimate = ask_vela(file, target)
    return {
        "target": target.name,
        "title": target.title,
        "by": vela_version(),
        "system_config": target.npu.system_config,
        "memory_mode": target.npu.memory_mode,
        "npu_ops": placement.npu_ops,
        "cpu_ops": [asdict(op) for op in placement.left],
        **asdict(estimate),
    }


def _arena(file: Path, target: "Target") -> dict[str, Any]:
    from mbexport.formats.path_runner import PathProcess

    with closing(PathProcess(file, target.name)) as process:
        share = process.share
    return {
        "target": target.name,
        "title": target.title,
        "cpu_ops": share.total,
        "arena_bytes": share.arena_bytes,
        "file_bytes": file.stat().st_size,
    }


def target_lines(facts: dict[str, Any]) -> list[str]:
    """Some lines on each target, an empty one between two."""
    lines: list[str] = []
    for entry in facts["targets"]:
        lines += [""] if lines else []
        lines.append(f"{facts['file']} on {entry['target']}: {entry['title']}")
        lines += _arena_lines(entry) if "arena_bytes" in entry else _estimate_lines(entry)
    return lines


def _arena_lines(entry: dict[str, Any]) -> list[str]:
    return [
        _row("ops", f"{entry['cpu_ops']}, all on the CPU"),
        _row("RAM", f"an arena of {entry['arena_bytes']:,} bytes, found by trying, to the next KiB"),
        _row("flash", f"{entry['file_bytes']:,} bytes for the file, and the runtime's code"),
    ]


def _estimate_lines(entry: dict[str, Any]) -> list[str]:
    left = entry["cpu_ops"]
    return [
        _row("estimated by", entry["by"]),
        _row("system configuration", f"{entry['system_config']}, at {entry['clock_hz'] / 1e6:g} MHz"),
        _row("memory mode", entry["memory_mode"]),
        _row("ops, as rewritten", f"{entry['npu_ops']} on the NPU, {len(left)} on the CPU"),
        *map(_left, left),
        *(_row(title, f"{entry[area] / 1024:,.1f} KiB") for area, title in _AREAS.items() if entry[area]),
        _row("cycles", f"{entry['cycles']:,}, of which the NPU computes in {entry['npu_cycles']:,}"),
        _row("time", f"{entry['seconds'] * 1e3:.3g} ms, {entry['per_second']:.4g} inferences/s"),
        _ESTIMATED,
        *([_NPU_ALONE] if left else []),
    ]


def _left(op: dict[str, Any]) -> str:
    return f"  CPU: {op['kind'] or 'op'} {op['output']}: {op['reason'] or 'Vela does not say why'}"


def _row(name: str, value: str) -> str:
    return f"{name:<22}{value}"
