"""Turns a file into something that runs and no more: loaded as an app does it, nothing read but by the runtime.

A runtime is loaded first, by itself, so that what its file costs can be told from what the runtime costs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Format, ReadFormat
from mbexport.errors import DataError
from mbexport.runtimes.onnx_session import session_options
from mbexport.runtimes.runner import first_line

_TYPES: Final = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """A loaded file: `name` is the file's, `shape` and `dtype` are its input's; `invoke` runs it on such an array."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    invoke: Callable[[NDArray[Any]], NDArray[Any]]

    def noise(self) -> NDArray[Any]:
        """An input of random numbers: any integers of its type, or floats in 0..1."""
        rng = np.random.default_rng(0)
        if self.dtype.startswith("float"):
            return rng.random(self.shape).astype(self.dtype)
        limits = np.iinfo(self.dtype)
        return rng.integers(limits.min, limits.max, self.shape, np.dtype(self.dtype), endpoint=True)


class Loader(Protocol):
    """What loads files into a runtime that is there already."""

    def __call__(self, path: Path, *, batch: int | None = None) -> Bare:
        """The file, for `batch` images or for as many as it says, one where it leaves that open.

        Raises `DataError` for a file that cannot be loaded, or not for that batch.
        """


def loaded_runtime(file_format: Format | ReadFormat, *, threads: int = 1) -> Loader:
    """Loads the runtime of that format, and says how files are loaded into it.

    Raises `DataError` for a format that no app runs.
    """
    if file_format is ReadFormat.KERAS:
        raise DataError("what is timed must be a .tflite or .onnx file, got a Keras model, which no app runs")
    return _litert(threads) if file_format is Format.TFLITE else _onnxruntime(threads)


def _litert(threads: int) -> Loader:
    from ai_edge_litert.interpreter import Interpreter

    def load(path: Path, *, batch: int | None = None) -> Bare:
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=threads)
            (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
            shape = _with_batch(source["shape"].tolist(), batch)
            if shape[0] != source["shape"][0]:
                interpreter.resize_tensor_input(source["index"], list(shape))
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise DataError(f"{path} cannot be loaded{_for(batch)}: {first_line(error)}") from None

        def invoke(feed: NDArray[Any]) -> NDArray[Any]:
            interpreter.set_tensor(source["index"], feed)
            interpreter.invoke()
            output: NDArray[Any] = interpreter.get_tensor(target["index"])
            return output

        return Bare(name=path.name, shape=shape, dtype=np.dtype(source["dtype"]).name, invoke=invoke)

    return load


def _onnxruntime(threads: int) -> Loader:
    import onnxruntime

    options = session_options(threads)

    def load(path: Path, *, batch: int | None = None) -> Bare:
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            (source,), (target,) = session.get_inputs(), session.get_outputs()
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise DataError(f"{path} cannot be loaded{_for(batch)}: {first_line(error)}") from None
        own = source.shape[0] if source.shape else None
        if batch is not None and isinstance(own, int) and own != batch:
            raise DataError(f"{path} takes {own} image(s) at a time, not {batch}")
        sizes = [size if isinstance(size, int) else 1 for size in source.shape]

        def invoke(feed: NDArray[Any]) -> NDArray[Any]:
            output: NDArray[Any] = session.run([target.name], {source.name: feed})[0]
            return output

        kind = _TYPES.get(source.type, source.type.removeprefix("tensor(").removesuffix(")"))
        return Bare(name=path.name, shape=_with_batch(sizes, batch), dtype=kind, invoke=invoke)

    return load


def _with_batch(shape: list[int], batch: int | None) -> tuple[int, ...]:
    return tuple(shape) if batch is None else (batch, *shape[1:])


def _for(batch: int | None) -> str:
    return "" if batch is None else f" for a batch of {batch}"
