"""Turns an artifact into something that classifies: what every runtime has in common."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Layout, Precision, TensorSpec
from mbexport.errors import DataError
from mbexport.models.preprocess import Pixels, Preprocess

_BYTE_OFFSET: Final = 128  # an int8 code is the byte minus this
FLOAT: Final = "float32"


class Runner(ABC):
    """One artifact, loaded. Its input takes `batch` images; `name` is the file's name, `runtime` who executes it.

    `precision` is what the file stores, whatever its kernels then compute with.
    """

    runtime: str
    precision: Precision

    def __init__(self, path: Path, source: TensorSpec, target: TensorSpec) -> None:
        self.path, self.name = path, path.name
        self.input, self.output = source, target
        is_image = len(source.shape) == 4 and min(source.shape) >= 1
        sides = source.shape[1:3] if is_image and self.layout is Layout.NHWC else source.shape[2:4]
        if not is_image or self.channels not in (1, 3) or sides[0] != sides[1]:
            raise DataError(
                f"{path}: the input must have shape (n, px, px, channels) or (n, channels, px, px) with 1 or 3 "
                f"channels, got {source.shape}"
            )
        if len(target.shape) != 2 or target.shape[0] != self.batch:
            raise DataError(f"{path}: the output must have shape ({self.batch}, classes), got {target.shape}")

    @property
    def batch(self) -> int:
        """The images of one inference; 1 for a file that takes any number."""
        return self.input.shape[0]

    @property
    def layout(self) -> Layout:
        """Where the input has its channels."""
        return Layout.NHWC if self.input.shape[3] in (1, 3) else Layout.NCHW

    @property
    def resolution_px(self) -> int:
        """The side of the square input."""
        return self.input.shape[2]

    @property
    def channels(self) -> int:
        """3, or 1 for grey images."""
        return self.input.shape[3 if self.layout is Layout.NHWC else 1]

    @property
    def classes(self) -> int:
        """The number of scores."""
        return self.output.shape[1]

    @abstractmethod
    def metadata(self) -> dict[str, str]:
        """What the file says of itself in words, by name."""

    def invoke(self, feed: NDArray[Any]) -> NDArray[Any]:
        """The raw output (batch, classes) for the prepared inputs of a batch.

        Raises `DataError` for an artifact that loads but cannot be run.
        """
        try:
            return self._invoke(feed)
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise DataError(f"{self.path} loads, but fails when it runs: {first_line(error)}") from None

    @abstractmethod
    def _invoke(self, feed: NDArray[Any]) -> NDArray[Any]:
        """The same, with the runtime's own exceptions."""

    def prepare(self, pixels: Pixels, preprocess: Preprocess) -> NDArray[Any]:
        """The input tensors for uint8 images (n, px, px, channels): the bytes, or what a float input expects.

        In the order of the file: (n, channels, px, px) for one with the channels first.
        A float input that the file quantizes first thing gets the numbers its codes stand for, so that every
        integer artifact computes from exactly the same bytes.
        """
        prepared = self._prepared(pixels, preprocess)
        return prepared if self.layout is Layout.NHWC else np.ascontiguousarray(prepared.transpose(0, 3, 1, 2))

    def _prepared(self, pixels: Pixels, preprocess: Preprocess) -> NDArray[Any]:
        if self.input.dtype == "uint8":
            return pixels
        if self.input.dtype == "int8":
            return (pixels.astype(np.int16) - _BYTE_OFFSET).astype(np.int8)
        if self.input.dtype == FLOAT:
            affine = self.input.affine
            return affine.dequantize(pixels) if affine else preprocess.normalize(pixels)
        raise DataError(f"{self.path}: the input must be uint8, int8 or float32, got {self.input.dtype}")

    def scores(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Raw outputs (n, classes) as real numbers."""
        return self.output.affine.dequantize(raw) if self.output.affine else raw.astype(np.float32)


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
