"""Run an artifact on images: what all runtimes have in common, whatever the artifact answers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Layout, Precision, TensorSpec
from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.models.channels import CHANNELS, MAX_CHANNELS
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.models.resolution import Resolution

_BYTE_OFFSET: Final = 128  # an int8 code is the byte minus this
_CODES: Final = {"uint8": (0, 255), "int8": (-128, 127)}
FLOAT: Final = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvLayer:
    """A convolution of the network, with the number of channels that it gives."""

    channels: int
    is_depthwise: bool


class Runner(ABC):
    """One loaded artifact with one input, which takes `batch` images, and any number of outputs of any shape.

    `name` is the file's name, or what tells it from another of that name, `runtime` the library that executes it.
    `precision` is what the file stores, whatever its kernels then compute with. `rescaling` is what the network's own
    first step multiplies by and adds, which the caller has to do in its place. What a task needs of the outputs is
    checked by that task: see `Classifier`.

    Raises `DataError` for an input that is no image of 1 to 4 channels.
    """

    runtime: str
    precision: Precision
    rescaling: tuple[tuple[float, ...], tuple[float, ...]] = ((1.0,), (0.0,))

    def __init__(self, path: Path, source: TensorSpec, *targets: TensorSpec) -> None:
        self.path, self.name = path, path.name
        self.input, self.outputs = source, targets
        if len(source.shape) == 4 and -1 in source.shape[1:]:
            raise DataError(
                f"{path}: the input must have one size, got the open one {source.shape}: convert the model anew with a "
                "fixed size"
            )
        is_image = len(source.shape) == 4 and min(source.shape) >= 1
        if not is_image or self.channels not in CHANNELS:
            raise DataError(
                f"{path}: the input must have shape (n, height, width, channels) or (n, channels, height, width) "
                f"with 1 to {MAX_CHANNELS} channels, got {source.shape}"
            )

    @property
    def batch(self) -> int:
        """The images of one inference; 1 for a file that takes any number."""
        return self.input.shape[0]

    @property
    def layout(self) -> Layout:
        """Where the input has its channels: last, if that can be; a map of 1 to 4 pixels a side is taken for square."""
        _, first, second, last = self.input.shape
        is_last, is_first = last in CHANNELS, first in CHANNELS
        if is_last and is_first and second == last != first:
            return Layout.NCHW
        return Layout.NHWC if is_last else Layout.NCHW

    @property
    def resolution(self) -> Resolution:
        """The height and the width of the input."""
        height_px, width_px = self.input.shape[1:3] if self.layout is Layout.NHWC else self.input.shape[2:4]
        return Resolution(height_px=height_px, width_px=width_px)

    @property
    def channels(self) -> int:
        """The channels of the input, as `models.channels` names them."""
        return self.input.shape[3 if self.layout is Layout.NHWC else 1]

    @abstractmethod
    def metadata(self) -> dict[str, str]:
        """What the file says of itself in words, by name."""

    def ending(self) -> str:
        """The op that makes the first output, as the file's format names it; empty where that is not known.

        Ops behind it that only move, convert or quantize are passed over.
        """
        return ""

    def conv_layers(self) -> tuple[ConvLayer, ...]:
        """The convolutions, in the order of the network; empty where they are not known."""
        return ()

    def prove(self) -> None:
        """Raise `DataError` if this runs the file otherwise than the library that wrote it.

        Only where the runtime is not the file's own: a Keras file is imported.
        """
        return

    def invoke(self, feed: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The raw outputs, in the order of the file, for the prepared inputs of a batch.

        Raises `DataError` for an artifact that loads but cannot be run.
        """
        try:
            return tuple(self._invoke(feed))
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise DataError(f"{self.path} loads, but fails when it runs: {first_line(error)}") from None

    @abstractmethod
    def _invoke(self, feed: NDArray[Any]) -> Sequence[NDArray[Any]]:
        """The same, with the runtime's own exceptions."""

    def prepare(self, pixels: Pixels, preprocess: Preprocess, *, takes_bytes: bool = True) -> NDArray[Any]:
        """The input tensors for uint8 images (n, h, w, channels): the bytes, or what a float input expects.

        In the order of the file: (n, channels, h, w) for one with the channels first.
        A float input that the file quantizes first thing gets the numbers its codes stand for, so that every
        integer artifact computes from exactly the same bytes. Without `takes_bytes`, both get the numbers that
        `preprocess` makes of a byte, an 8-bit input as the nearest codes.
        """
        prepared = self._prepared(pixels, preprocess, takes_bytes=takes_bytes)
        return prepared if self.layout is Layout.NHWC else np.ascontiguousarray(prepared.transpose(0, 3, 1, 2))

    def _prepared(self, pixels: Pixels, preprocess: Preprocess, *, takes_bytes: bool) -> NDArray[Any]:
        kind, affine = self.input.dtype, self.input.affine
        if kind == FLOAT:
            return affine.dequantize(pixels) if affine and takes_bytes else preprocess.normalize(pixels)
        if kind not in _CODES:
            raise DataError(f"{self.path}: the input must be uint8, int8 or float32, got {kind}")
        if takes_bytes:
            return pixels if kind == "uint8" else (pixels.astype(np.int16) - _BYTE_OFFSET).astype(np.int8)
        low, high = _CODES[kind]
        affine = affine or Affine(scale=(1.0,), zero_point=(low,))
        return affine.quantize(preprocess.normalize(pixels), low=low, high=high).astype(kind)


def give_distinct_names(runners: Sequence[Runner]) -> None:
    """Rename artifacts of one file name by as many of their folders as tell them apart: results are kept by name.

    Raises `DataError` for a file that is given twice.
    """
    for runner, name in zip(runners, distinct_names([runner.path for runner in runners]), strict=True):
        runner.name = name


def distinct_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """A name for each file: its own or, where several have that, with the fewest folders that tell them apart.

    Raises `DataError` for a file that is given twice.
    """
    whole = [path.absolute().parts for path in paths]
    for path, parts in zip(paths, whole, strict=True):
        if whole.count(parts) > 1:
            raise DataError(f"each artifact must be given once, got {path} twice")
    return tuple(_shortest(parts, whole) for parts in whole)


def _shortest(parts: tuple[str, ...], whole: Sequence[tuple[str, ...]]) -> str:
    """The fewest of the last parts of a path that no other path ends in."""
    for count in range(1, len(parts) + 1):
        if sum(other[-count:] == parts[-count:] for other in whole) == 1:
            return "/".join(parts[-count:])
    return "/".join(parts)


def first_line(error: Exception) -> str:
    """The first line of the error's message, its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
