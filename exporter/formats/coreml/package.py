"""A Core ML package: a folder of a list of its files, a specification, and the file of weights.

Sources: mlmodel/format/Model.proto and FeatureTypes.proto of apple/coremltools (numbers of fields); MLPackage's
Manifest.json as coremltools writes it.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.files import read_regular
from mbexport.formats.coreml.program import Constant, Program, program_of
from mbexport.formats.coreml.wire import Message

MANIFEST: Final = "Manifest.json"
_DATA: Final = "Data/com.apple.CoreML"
MODEL: Final = f"{_DATA}/model.mlmodel"
WEIGHTS: Final = f"{_DATA}/weights/weight.bin"
FILES: Final = (MANIFEST, MODEL, WEIGHTS)
_COLOURS: Final = {10: "GREY", 20: "RGB", 30: "BGR"}  # FeatureTypes.proto, ImageFeatureType.ColorSpace
_ML_PROGRAM: Final = 502
_AUTHOR: Final = "com.apple.CoreML"

Files = Mapping[str, bytes]  # of a package, by their paths in its folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """The image that a package takes: its size, and its colour as `models.channels` names it."""

    name: str
    height_px: int
    width_px: int
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What a package says and computes.

    `specification` is the number of its version; `outputs` are the names of what it gives, of which `label` is the
    best class and `scores` the score of each; `labels` are the names of the classes. `metadata` is what it says of
    itself in words, by name.
    """

    specification: int
    image: ImageInput | None
    outputs: tuple[str, ...]
    label: str
    scores: str
    labels: tuple[str, ...]
    metadata: Mapping[str, str]
    program: Program


def package_in(folder: Path) -> Package:
    """The package in a folder. Raises `DataError`, which names the folder, for anything else."""
    return package_of(files_in(folder), name=str(folder))


def files_in(folder: Path) -> dict[str, bytes]:
    """The files of the package in a folder. Raises `DataError`, which names the folder, for anything else."""
    if not folder.exists():
        raise DataError(f"no such file: {folder}")
    try:
        return {name: read_regular(folder / name) for name in FILES}
    except OSError as error:
        lacking = next((name for name in FILES if not (folder / name).is_file()), "")
        reason = f"it has no {lacking}" if lacking else f"it cannot be read: {error.strerror}"
        raise DataError(f"{folder} is not an .mlpackage that can be read: {reason}") from None


def package_of(files: Files, *, name: str) -> Package:
    """The package that these files are of; `name` is what errors call it. Raises `DataError` for a damaged one."""
    try:
        return _read(Message.of(files[MODEL]), files[WEIGHTS])
    except DataError as error:
        raise DataError(f"{name} is not an .mlpackage that can be read: {error}") from None


def _read(model: Message, weights: bytes) -> Package:
    if not model.has(_ML_PROGRAM):
        raise DataError("it holds no program, as packages of the kind mlprogram do")
    description, program = model.message(2), program_of(model.message(_ML_PROGRAM), weights)
    return Package(
        specification=model.whole(1),
        image=next((found for each in description.messages(1) if (found := _image(each)) is not None), None),
        outputs=tuple(each.text(1) for each in description.messages(10)),
        label=description.text(11),
        scores=description.text(12),
        labels=_labels(program),
        metadata=_metadata(description.message(100)),
        program=program,
    )


def _image(feature: Message) -> ImageInput | None:
    """The input that a feature describes; None of one that is no image of one size."""
    image = feature.message(3).message(4)
    if not image.has(1):
        return None
    colour = _COLOURS.get(image.whole(3), "unknown")
    return ImageInput(name=feature.text(1), height_px=image.whole(2), width_px=image.whole(1), colour=colour)


def _labels(program: Program) -> tuple[str, ...]:
    for operation in program.operations:
        if operation.kind == "classify":
            classes = operation.read("classes")
            if isinstance(classes, Constant):
                return tuple(map(str, classes.values.reshape(-1)))
    return ()


def _metadata(message: Message) -> dict[str, str]:
    names = {1: "description", 2: "version", 3: "author", 4: "license"}
    said = {name: message.text(number) for number, name in names.items() if message.has(number)}
    own = {each.text(1): each.text(2) for each in message.messages(100)}
    return {**said, **dict(sorted(own.items()))}


def manifest_of(model: bytes) -> bytes:
    """The list of a package's files: identifiers are hashes of the specification, where coremltools draws them."""
    digest = hashlib.sha256(model).hexdigest()
    root, weights = (str(uuid.uuid5(uuid.NAMESPACE_OID, f"{digest} {name}")) for name in ("model", "weights"))
    entries: dict[str, Any] = {
        root: {
            "author": _AUTHOR,
            "description": "CoreML Model Specification",
            "name": "model.mlmodel",
            "path": f"{_AUTHOR}/model.mlmodel",
        },
        weights: {
            "author": _AUTHOR,
            "description": "CoreML Model Weights",
            "name": "weights",
            "path": f"{_AUTHOR}/weights",
        },
    }
    content = {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": root}
    return (json.dumps(content, indent=4, sort_keys=True) + "\n").encode()
