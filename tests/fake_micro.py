"""A package `tflite_micro` for tests where the real one is not installed: LiteRT's own kernels behind its interface.

What it does is decided by its constants: from how large an arena on it loads a file, and what happens at an invocation.
"""

from pathlib import Path
from typing import Final

ARENA_BYTES: Final = 5000
_RUNTIME: Final = """
import os

from ai_edge_litert.interpreter import Interpreter as LiteRt, OpResolverType


class Interpreter:
    def __init__(self, content):
        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._litert = LiteRt(model_content=content, experimental_op_resolver_type=kernels)
        self._litert.allocate_tensors()

    @classmethod
    def from_bytes(cls, content, arena_size):
        if arena_size < {arena}:
            raise RuntimeError("TFLM failed to allocate tensors")
        return cls(content)

    def set_input(self, feed, place):
        self._litert.set_tensor(self._litert.get_input_details()[place]["index"], feed)

    def invoke(self):
        {invoke}

    def get_output(self, place):
        return self._litert.get_tensor(self._litert.get_output_details()[place]["index"])
"""


def write_package(folder: Path, *, invoke: str = "self._litert.invoke()", arena: int = ARENA_BYTES) -> Path:
    """Write the package into a folder, and give that."""
    package = folder / "tflite_micro"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "runtime.py").write_text(_RUNTIME.format(invoke=invoke, arena=arena))
    return folder
