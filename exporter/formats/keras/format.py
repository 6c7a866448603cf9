"""The row of Keras in the registry of formats: models that artifacts are compared with, and that no app runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.formats.file_format import FileFormat, Marker

if TYPE_CHECKING:
    from mbexport.formats.kernels import Kernels
    from mbexport.formats.runner import Runner


def _open(path: Path, threads: int, kernel_path: str | None) -> "Runner":
    from mbexport.formats.keras.runner import KerasRunner

    del kernel_path  # there are none to choose from
    return KerasRunner(path, threads=threads)


def _kernels(runner: "Runner") -> "Kernels":
    from mbexport.formats.kernels import Kernels

    del runner  # TensorFlow does not tell
    return Kernels(rows=())


def _labels(runner: "Runner") -> tuple[str, ...]:
    del runner  # no Keras file holds any
    return ()


KERAS: Final = FileFormat(
    name="keras",
    title="Keras",
    endings=(".keras", ".h5", ".hdf5"),
    marker=Marker(chart="D", path="M6 0l6 6-6 6-6-6z"),
    open=_open,
    kernels=_kernels,
    labels=_labels,
)
