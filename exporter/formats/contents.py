"""Turns an opened artifact into what its contents tell of it: the network's width, the classes' labels, a hash."""

import hashlib
from pathlib import Path
from typing import Final

from mbexport.artifact import Artifact
from mbexport.formats.registry import format_of
from mbexport.formats.runner import Runner
from mbexport.models.mobilenet_v1.spec import BLOCKS, STEM_FILTERS
from mbexport.workdir import sha256_of

_WIDEST: Final = BLOCKS[-1].filters


def alpha_of(runner: Runner) -> float | None:
    """The width multiplier of a MobileNet v1, told by the channels of its convolutions; None for another network."""
    layers = runner.conv_layers()
    pattern = [False, *(is_depthwise for _ in BLOCKS for is_depthwise in (True, False))]
    if [layer.is_depthwise for layer in layers[: len(pattern)]] != pattern:
        return None
    found = [layers[0].channels, *(layer.channels for layer in layers[2 : len(pattern) : 2])]
    for alpha in (round(found[-1] / _WIDEST, 2), found[0] / STEM_FILTERS):
        if found == [int(filters * alpha) for filters in (STEM_FILTERS, *(block.filters for block in BLOCKS))]:
            return alpha
    return None


def labels_of(runner: Runner) -> tuple[str, ...] | None:
    """The labels that the file holds, one for each of its scores, that of a background among them; None if it has none.

    A list of another length, or one that is damaged, tells nothing, and counts as none.
    """
    found = format_of(runner.path).labels(runner)
    return found if len(found) == runner.classes else None


def read_artifact(runner: Runner) -> Artifact:
    """What the file itself says it is, whatever it is called."""
    sha256, size_bytes = identity_of(runner.path)
    return Artifact(
        format=format_of(runner.path).name,
        precision=runner.precision,
        path=runner.path,
        sha256=sha256,
        size_bytes=size_bytes,
    )


def identity_of(path: Path) -> tuple[str, int]:
    """The sha256 of an artifact and its size in bytes; those of all files with their names, if it is a folder."""
    if path.is_file():
        return sha256_of(path), path.stat().st_size
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{sha256_of(file)} {file.relative_to(path).as_posix()}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest(), sum(file.stat().st_size for file in files)
