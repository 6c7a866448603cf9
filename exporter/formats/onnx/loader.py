"""Load .onnx files into onnxruntime as an app does, for timing."""

from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.loader import Bare, Loader, for_batch, with_batch
from mbexport.formats.onnx.runner import session_options
from mbexport.formats.runner import first_line

_TYPES: Final = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


def onnxruntime_loader(threads: int) -> Loader:
    """Load onnxruntime, and give what loads files into it with that many threads."""
    import onnxruntime

    options = session_options(threads)

    def load(path: Path, *, batch: int | None = None) -> Bare:
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            (source,) = session.get_inputs()
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise DataError(f"{path} cannot be loaded{for_batch(batch)}: {first_line(error)}") from None
        own = source.shape[0] if source.shape else None
        if batch is not None and isinstance(own, int) and own != batch:
            raise DataError(f"{path} takes {own} image(s) at a time, not {batch}")
        sizes = [size if isinstance(size, int) else 1 for size in source.shape]

        def invoke(feed: NDArray[Any]) -> tuple[NDArray[Any], ...]:
            return tuple(session.run(None, {source.name: feed}))

        kind = _TYPES.get(source.type, source.type.removeprefix("tensor(").removesuffix(")"))
        return Bare(name=path.name, shape=with_batch(sizes, batch), dtype=kind, invoke=invoke)

    return load
