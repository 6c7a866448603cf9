"""Load .tflite files into LiteRT as an app does, for timing."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.loader import Bare, Loader, for_batch, with_batch
from mbexport.formats.runner import first_line


def litert(threads: int) -> Loader:
    """Load LiteRT, and give what loads files into it with that many threads."""
    from ai_edge_litert.interpreter import Interpreter

    def load(path: Path, *, batch: int | None = None) -> Bare:
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=threads)
            (source,), targets = interpreter.get_input_details(), interpreter.get_output_details()
            shape = with_batch(source["shape"].tolist(), batch)
            if shape[0] != source["shape"][0]:
                interpreter.resize_tensor_input(source["index"], list(shape))
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise DataError(f"{path} cannot be loaded{for_batch(batch)}: {first_line(error)}") from None

        def invoke(feed: NDArray[Any]) -> tuple[NDArray[Any], ...]:
            interpreter.set_tensor(source["index"], feed)
            interpreter.invoke()
            return tuple(interpreter.get_tensor(target["index"]) for target in targets)

        return Bare(name=path.name, shape=shape, dtype=np.dtype(source["dtype"]).name, invoke=invoke)

    return load
