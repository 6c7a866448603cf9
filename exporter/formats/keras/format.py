"""The row of Keras in the registry of formats: models that artifacts are compared with, and that no app runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.formats.file_format import FileFormat, Marker

if TYPE_CHECKING:
    from mbexport.formats.kernels import Kernels
    from mbexport.formats.runner import Runner


_HDF5: Final = b"\x89HDF\r\n\x1a\n"  # HDF5 file format specification, section II.A
_ZIP, _FIRST_ENTRIES = b"PK\x03\x04", (b"metadata.json", b"config.json")  # of a .keras
_ENTRY_NAME: Final = 30  # bytes from the start of a zip to the name of its first entry


def _recognizes(head: bytes) -> bool:
    return head.startswith(_HDF5) or (head.startswith(_ZIP) and head[_ENTRY_NAME:].startswith(_FIRST_ENTRIES))


def _check(path: Path) -> None:
    from mbexport.formats.keras.structure import require_sound

    require_sound(path)


def _open(path: Path, threads: int) -> "Runner":
    from mbexport.formats.keras.runner import KerasRunner

    return KerasRunner(path, threads=threads)


def _kernels(runner: "Runner") -> "Kernels":
    from mbexport.formats.kernels import Kernels

    del runner  # TensorFlow does not tell
    return Kernels(rows=())


KERAS: Final = FileFormat(
    name="keras",
    title="Keras",
    endings=(".keras", ".h5", ".hdf5"),
    recognizes=_recognizes,
    marker=Marker(chart="D", path="M6 0l6 6-6 6-6-6z"),
    runtime="HDF5",
    check=_check,
    open=_open,
    kernels=_kernels,
)
