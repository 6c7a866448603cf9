"""What each delegate takes of a file: what is measured, what its maker's list says, and where the two differ."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mbexport.errors import DataError, OptionError
from mbexport.formats.chosen_paths import usable_paths
from mbexport.formats.delegates.op import Op
from mbexport.formats.delegates.rows import DELEGATES, Delegate
from mbexport.formats.kernel_path import Share, share_json
from mbexport.formats.registry import FORMATS, format_of

Json = dict[str, Any]


def require_delegates(file: Path) -> None:
    """Raise `OptionError` for a file of a format that no delegate executes."""
    own = format_of(file)
    if own.ops is None:
        legal = " or ".join(f".{each.name}" for each in FORMATS if each.ops is not None)
        raise OptionError(f"--delegates takes a {legal} file, got {file}, a {own.title} model")


def delegates_of(file: Path) -> Json:
    """The table of a .tflite or .onnx file; delegates of the other format are in it, too, with nothing known.

    Raises `DataError` for a file that cannot be read.
    """
    own = format_of(file)
    assert own.ops is not None, "require_delegates() comes first"
    ops = own.ops(file)
    rows = [_entry(row, file, ops) if row.format == own.name else _entry(row, None, ()) for row in DELEGATES]
    return {"file": file.name, "format": own.name, "ops": len(ops), "delegates": rows}


def _entry(row: Delegate, file: Path | None, ops: Sequence[Op]) -> Json:
    """What is known of one delegate; nothing without a file of its format."""
    entry: Json = {"name": row.name, "title": row.title, "format": row.format, "path": row.path}
    entry |= {"measured": None, "not_measured": None, "published": None, "differences": []}
    if file is None:
        return entry
    if row.published is not None:
        entry["published"] = row.published.fitness(ops)
    if row.path is None:
        return entry
    try:
        (name,) = usable_paths([row.path])
        share = _measured(file, name)
    except (OptionError, DataError) as error:
        return entry | {"not_measured": str(error)}
    differences = differing(share, entry["published"], ops) if entry["published"] else []
    return entry | {"measured": share_json(name, share), "differences": differences}


def _measured(file: Path, name: str) -> Share:
    from mbexport.formats.path_runner import PathProcess

    with closing(PathProcess(file, name)) as process:
        return process.share


def differing(share: Share, published: Json, ops: Sequence[Op]) -> list[Json]:
    """The ops of the file that the measurement leaves and the list does not, or the other way round, by name.

    None of them where the runtime does not say which ones it leaves.
    """
    if share.taken is None:
        return []
    left = {name for name, _ in share.left}
    refused = {row["op"] for row in published["refused"]}
    names = dict.fromkeys(op.name for op in ops)
    return [{"op": name, "measured": name not in left} for name in names if (name in left) != (name in refused)]
