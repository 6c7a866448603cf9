"""What `mbexport inspect` shows of a Core ML package, which nothing runs here."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any, Final

from mbexport.errors import OptionError
from mbexport.formats.coreml.rows import NOT_RUN, SYSTEMS

_CONSTANT: Final = "const"
_SHOWN: Final = 3  # labels


def package_facts(folder: Path) -> dict[str, Any]:
    """What the package in the folder says and holds. Raises `DataError` for a damaged one, and for no package."""
    from mbexport.formats.coreml.package import files_in, package_of
    from mbexport.formats.coreml.weights import convolutions_in

    files = files_in(folder)
    package = package_of(files, name=str(folder))
    image, stored = package.image, convolutions_in(package)
    quantized = sum(each.unpacking is not None for each in stored)
    ops = Counter(each.kind for each in package.program.operations if each.kind != _CONSTANT)
    return {
        "file": folder.name,
        "format": "mlpackage",
        "precision": _precision(quantized, package.program.operations),
        "size_bytes": sum(map(len, files.values())),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        "runtime": NOT_RUN,
        "specification": package.specification,
        "system": SYSTEMS.get(package.specification, "a system that is not known"),
        "input": None
        if image is None
        else {"name": image.name, "width_px": image.width_px, "height_px": image.height_px, "colour": image.colour},
        "outputs": list(package.outputs),
        "labels": list(package.labels),
        "metadata": dict(package.metadata),
        "convolutions": len(stored),
        "quantized_convolutions": quantized,
        "ops": dict(sorted(ops.items())),
    }


def _precision(quantized: int, operations: Any) -> str:
    """What weights are stored in, and results computed in."""
    floats = [each.outputs[0].dtype for each in operations if each.outputs[0].dtype in ("float16", "float32")]
    arithmetic = max(set(floats), key=floats.count) if floats else "no float"
    return f"8-bit weights, {arithmetic}" if quantized else arithmetic


def package_lines(facts: dict[str, Any]) -> list[str]:
    """The same for a terminal."""
    image, labels = facts["input"], facts["labels"]
    shown = ", ".join(labels[:_SHOWN]) + (", ..." if len(labels) > _SHOWN else "")
    taken = "no image" if image is None else f"{image['name']}, {image['width_px']} x {image['height_px']} px, "
    return [
        f"{facts['file']}: {facts['precision']} {facts['format']}, {facts['size_bytes']:,} bytes",
        *(f"sha256   {digest}  {name}" for name, digest in facts["sha256"].items()),
        f"reads    {facts['system']} and later (specification {facts['specification']})",
        f"input    {taken}{'' if image is None else image['colour']}",
        f"output   {', '.join(facts['outputs'])}",
        f"labels   {len(labels)}{': ' if labels else ''}{shown}",
        "metadata",
        *(f"  {name} = {value}" for name, value in facts["metadata"].items()),
        f"weights  {facts['quantized_convolutions']} of {facts['convolutions']} convolutions in 8 bits",
        f"ops      {facts['runtime']}",
        *(f"  {count:3} x {name}" for name, count in facts["ops"].items()),
    ]


def require_plain(folder: Path, **tables: object) -> None:
    """Raise `OptionError` for an option that shows what a runtime does: none here runs a package."""
    for name, value in tables.items():
        if value:
            raise OptionError(f"--{name} is for files that run here, got the Core ML package {folder}")
