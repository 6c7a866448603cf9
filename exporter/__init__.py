"""mbexport: from a Keras MobileNet to verified int8 TFLite and ONNX.

The functions below are the commands of the same names, for Python: see `mbexport.api`.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Result", "__version__", "build", "export", "predict", "verify"]

if TYPE_CHECKING:
    from mbexport.api import Result, build, export, predict, verify


def __getattr__(name: str) -> Any:
    """Import the functions when one is used first: the command line starts without them."""
    if name in __all__:
        return getattr(importlib.import_module("mbexport.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
