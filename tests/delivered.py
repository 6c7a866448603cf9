"""The files that a run delivered, by its manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbexport.provenance.read_manifest import read_manifest


def repeating(folder: Path) -> dict[str, bytes]:
    """The content of each delivered file whose bytes repeat, by its path."""
    listed = read_manifest(folder / "manifest.json").files
    return {name: (folder / name).read_bytes() for name, facts in listed.items() if facts.repeats}


def beside(files: Mapping[str, Any]) -> dict[str, Any]:
    """The files that lie in no folder."""
    return {name: content for name, content in files.items() if "/" not in name}
