"""`mbexport cache`: what runs share in a cache folder, and how much of it is kept."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mbexport.commands import options
from mbexport.commands.config import config
from mbexport.commands.options import Group
from mbexport.errors import DataError, OptionError
from mbexport.escaping.terminal import json_text, visible, visible_lines

if TYPE_CHECKING:
    from mbexport.pipeline.shared_cache import SharedCache

_UNITS: Final = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}

_EXAMPLES = """\b
Examples:
  mbexport cache ls
  mbexport cache prune --size 2GB
"""


@options.command("cache", epilog=_EXAMPLES)
@click.argument("action", type=click.Choice(["ls", "prune"]))
@options.option(
    "--cache",
    group=Group.COMMON,
    type=options.PATH,
    metavar="DIR",
    help="The cache folder; the user's own if absent.",
)
@options.option(
    "--size",
    group=Group.COMMON,
    metavar="SIZE",
    help="With prune: keep at most so much, for example 500MB or 2GB; nothing if absent.",
)
@options.as_json
@config
def command(*, action: str, cache: Path | None, size: str | None, as_json: bool) -> None:
    """List what runs share in a cache folder, or remove what was not used for the longest time.

    build and export keep finished stages and decoded images there for other output folders, 10 GiB at most. All of it
    can be removed at any time: it is made again.
    """
    from mbexport.pipeline.shared_cache import SharedCache, user_cache

    if size is not None and action != "prune":
        raise OptionError(f"--size goes with prune, got {action} --size {size}")
    folder = cache or user_cache()
    if folder is None or (cache is not None and not cache.is_dir()):
        raise DataError(f"--cache must be a cache folder, got {cache or 'none, and the user has no home'}")
    found = SharedCache(folder)
    if action == "ls":
        click.echo(_json(found) if as_json else visible_lines(_lines(found)))
        return
    removed, kept = found.prune(bytes_of(size) if size else 0), found.size_bytes()
    answer = {"folder": str(folder), "removed_bytes": removed, "size_bytes": kept}
    click.echo(json_text(answer) if as_json else visible(f"removed {_text(removed)}, kept {_text(kept)}"))


def bytes_of(text: str) -> int:
    """The number of bytes that a text such as 500MB or 2GiB means. Raises `OptionError` for another form."""
    letters = text.strip().upper()
    number = letters.rstrip("BIGKM")
    unit = letters[len(number) :]
    try:
        value = float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        value = -1.0
    if not 0 <= value < 2**63:
        raise OptionError(f"--size must be a number of bytes such as 500MB or 2GB, got {text}")
    return int(value)


def _json(cache: "SharedCache") -> str:
    rows = [
        {"stage": each.kind, "key": each.key, "size_bytes": each.size_bytes, "used": round(each.used)}
        for each in cache.records()
    ]
    return json_text({"folder": str(cache.root), "size_bytes": cache.size_bytes(), "records": rows})


def _lines(cache: "SharedCache") -> list[str]:
    now, records = time.time(), cache.records()
    lines = [
        f"{each.kind:<16} {each.key[:12]}  {_text(each.size_bytes):>10}  used {_ago(now - each.used)} ago"
        for each in records
    ]
    count = f"{len(records)} result" + ("" if len(records) == 1 else "s")
    return [*lines, f"{count}, {_text(cache.size_bytes())} in {cache.root}"]


def _text(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 10**9 else f"{size_bytes / 1e6:.1f} MB"


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} seconds"
