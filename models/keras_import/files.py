"""Read the configuration and the HDF5 groups of a stored Keras model, of any file form, without running code in it."""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import h5py

from mbexport.errors import DataError
from mbexport.files import open_regular

Kind = Literal["hdf5", "zip", "folder", "pickle"]
Config = dict[str, Any]  # what Keras writes as JSON: {"class_name": ..., "config": {...}}

MAX_CONFIG_BYTES: Final = 64 * 2**20  # MobileNet v1 needs 60 kB
MAX_WEIGHT_BYTES: Final = 2**30  # MobileNet v1 with its optimizer's moments needs 51 MB
SUPPORTED: Final = "it must be a Keras .h5, a .keras or a SavedModel folder"
_WEIGHTS: Final = "model.weights.h5"  # in a .keras
_KERAS_2: Final = 2
_HDF5_MAGIC: Final = b"\x89HDF\r\n\x1a\n"  # HDF5 file format specification, section II.A
_ZIP_MAGIC: Final = b"PK\x03\x04"
_TFLITE_IDENTIFIER: Final = b"TFL3"  # behind the offset of the root table, tensorflow/lite/schema/schema.fbs
_PICKLE_MAGIC: Final = b"\x80"  # the opcode PROTO, with which pickles of protocol 2 and later begin
_PICKLE_SUFFIXES: Final = frozenset({".joblib", ".pickle", ".pkl"})
# What h5py, zipfile and json raise on damaged files, and what walking through a strange configuration raises.
_DAMAGE: Final = (
    OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError, EOFError, MemoryError,
    SystemError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@contextmanager
def report_damage(path: Path) -> Iterator[None]:
    """Raise `DataError` for whatever readers raise on a damaged or foreign file."""
    try:
        yield
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"the model {path} cannot be read ({reason}): {SUPPORTED}") from None


def storage_kind(path: Path) -> Kind:
    """The form of a stored model, by its content. Raises `DataError` for any other file."""
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "folder"
        raise DataError(f"the folder {path} holds no saved_model.pb: {SUPPORTED}")
    with report_damage(path), open_regular(path, follow_links=True) as file:
        head = file.read(len(_HDF5_MAGIC))
    if head == _HDF5_MAGIC:
        return "hdf5"
    if head.startswith(_PICKLE_MAGIC) or path.suffix.lower() in _PICKLE_SUFFIXES:
        return "pickle"
    if head.startswith(_ZIP_MAGIC):
        return "zip"
    if head[4:8] == _TFLITE_IDENTIFIER:
        raise DataError(f"{path} is a .tflite, which is exported already: `mbexport verify` takes it")
    if path.suffix.lower() == ".onnx":
        raise DataError(f"{path} is an .onnx, which is exported already: `mbexport verify` takes it")
    raise DataError(f"the model {path} begins with {head[:4]!r}: {SUPPORTED}")


def require_model(path: Path, *, trust: bool) -> Kind:
    """The form of a stored model, found without loading TensorFlow.

    Raises `DataError` for a file that is damaged, holds weights alone, or is a pickle, unless `trust` allows to run
    the code in it.
    """
    kind = storage_kind(path)
    if kind == "pickle" and not trust:
        raise DataError(
            f"{path} is a pickle, which runs code from the file when it is loaded: pass --trust if you trust it"
        )
    if kind in ("hdf5", "zip") and model_config(path) is None:
        raise DataError(f"{path} holds weights without a network: pass it as --weights")
    return kind


def model_config(path: Path) -> Config | None:
    """The architecture as Keras wrote it; None if the file holds weights only. Raises `DataError` if damaged."""
    with report_damage(path):
        if storage_kind(path) == "zip":
            text = _member(path, "config.json", most_bytes=MAX_CONFIG_BYTES).decode("utf-8")
        else:
            with open_plain_hdf5(path) as file:
                stored = file.attrs.get("model_config")
            if stored is None:
                return None
            text = stored.decode("utf-8") if isinstance(stored, bytes) else str(stored)
        if len(text) > MAX_CONFIG_BYTES:
            raise DataError(
                f"the configuration in {path} must have at most {MAX_CONFIG_BYTES} characters, got {len(text)}"
            )
        config = json.loads(text)
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise DataError(f"the model {path} describes no layers: {SUPPORTED}")
    return config


def keras_version(path: Path) -> int:
    """The first number of the version of Keras that wrote the file; 2 where it says none."""
    with report_damage(path):
        if storage_kind(path) == "zip":
            found = json.loads(_member(path, "metadata.json", most_bytes=MAX_CONFIG_BYTES)).get("keras_version")
        else:
            with open_plain_hdf5(path) as file:
                found = file.attrs.get("keras_version")
        text = found.decode("utf-8") if isinstance(found, bytes) else str(found)
    first = text.partition(".")[0]
    return int(first) if first.isdigit() else _KERAS_2


def weights_member(path: Path) -> bytes | None:
    """The HDF5 file in a .keras; None for a file that is one itself."""
    return _member(path, _WEIGHTS, most_bytes=MAX_WEIGHT_BYTES) if storage_kind(path) == "zip" else None


@contextmanager
def open_plain_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open the HDF5 file, or the one inside a .keras, which must not lead to any other file.

    Raises `DataError` for links, for data kept elsewhere, and for more than `MAX_WEIGHT_BYTES` of it.
    """
    source: Path | io.BytesIO = path
    if storage_kind(path) == "zip":
        source = io.BytesIO(_member(path, _WEIGHTS, most_bytes=MAX_WEIGHT_BYTES))
    with report_damage(path), h5py.File(source, "r") as file:
        _require_plain(path, file)
        yield file


def _require_plain(path: Path, file: h5py.File) -> None:
    # The visits end at the first value that is returned: an error cannot pass through h5py's callbacks.
    link = file.visititems_links(lambda name, link: None if isinstance(link, h5py.HardLink) else name)
    if link is not None:
        raise DataError(f"the model {path} holds a link ({link}) to other data: it must hold plain datasets only")
    elsewhere = file.visititems(lambda name, value: name if _is_elsewhere(value) else None)
    if elsewhere is not None:
        raise DataError(f"the model {path} keeps {elsewhere} in another file: it must hold plain datasets only")
    sizes_bytes: list[int] = []
    file.visititems(lambda _, value: sizes_bytes.append(value.nbytes) if isinstance(value, h5py.Dataset) else None)
    if sum(sizes_bytes) > MAX_WEIGHT_BYTES:
        raise DataError(f"the weights in {path} must take at most {MAX_WEIGHT_BYTES} bytes, got {sum(sizes_bytes)}")


def _is_elsewhere(value: h5py.Group | h5py.Dataset) -> bool:
    return isinstance(value, h5py.Dataset) and bool(value.external or value.is_virtual)


def _member(path: Path, name: str, *, most_bytes: int) -> bytes:
    with report_damage(path), zipfile.ZipFile(path) as archive:
        if name not in archive.namelist():
            raise DataError(f"the archive {path} holds no {name}: {SUPPORTED}")
        with archive.open(name) as member:
            content = member.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise DataError(f"{name} in {path} must unpack to at most {most_bytes} bytes")
    return content


def snake_case(class_name: str) -> str:
    """Keras' spelling of a class in .weights.h5: Conv2D is conv2d (keras.src.utils.naming.to_snake_case)."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
