"""Read what a file holds beside its network: labels, a detection tail, the architecture its layers show, its hash."""

import hashlib
from pathlib import Path

from mbexport.artifact import Artifact
from mbexport.errors import DataError, StageError
from mbexport.files import sha256_of
from mbexport.formats.classifier import Classifier
from mbexport.formats.detection_tail import Decoding, DetectionTail
from mbexport.formats.registry import format_of
from mbexport.formats.runner import Runner
from mbexport.models.architectures import ARCHITECTURES
from mbexport.models.spec import NetworkSpec


def recognize(runner: Runner) -> NetworkSpec | None:
    """The architecture, width multiplier and options of the network in a file, from the channels of its convolutions.

    Resolution and classes are not those of the file. None for a network that is of none of the `ARCHITECTURES`.
    """
    layers = [(layer.channels, layer.is_depthwise) for layer in runner.conv_layers()]
    found = (architecture.spec_of_channels(layers) for architecture in ARCHITECTURES)
    return next((spec for spec in found if spec is not None), None)


def holds_labels(runner: Runner) -> bool:
    """Whether files of this format can hold labels at all."""
    return format_of(runner.path).labels is not None


def stored_labels(runner: Runner) -> tuple[str, ...] | None:
    """The labels that the file holds, as many as they are; None if it holds none.

    Raises `DataError`, in a line that names no file, for labels that cannot be read.
    """
    read = format_of(runner.path).labels
    return None if read is None else read(runner)


def labels_of(runner: Runner) -> tuple[str, ...] | None:
    """The labels that the file holds, one for each of its scores, that of a background among them; None if it has none.

    A list of another length, or one that is damaged, tells nothing, and counts as none.
    """
    try:
        found = stored_labels(runner)
    except DataError:
        return None
    return found if found is not None and len(found) == Classifier(runner).classes else None


def detection_tail_of(runner: Runner) -> DetectionTail | None:
    """What our converter appended to a detector's file: anchors, thresholds; None for any other file."""
    read = format_of(runner.path).tail
    return None if read is None else read(runner.path.read_bytes())


def decoding_of(runner: Runner) -> Decoding | None:
    """How apps decode the heads that a detector's file gives them, by its own words; None where it says nothing.

    Raises `DataError`, in a line that names no file, for words that are damaged, or ask for another decoding.
    """
    read = format_of(runner.path).decoding
    return None if read is None else read(runner.path.read_bytes())


def network_alone(runner: Runner) -> bytes:
    """The content of a detector's file without its tail: heads `boxes_i` and `classes_i` in float32, map by map.

    Raises `StageError` for a file that does not end in our tail.
    """
    take_off = format_of(runner.path).core
    if take_off is None:
        raise StageError(f"{runner.path} must end in a detection tail as it is appended here, got another end")
    return take_off(runner.path.read_bytes())


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
