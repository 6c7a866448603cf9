"""The frame of a quantizer's script: GIVEN MADE [ARGUMENT...] writes the file MADE, and MADE.json beside it.

GIVEN is the folder that `floats.py` writes. Nothing of mbexport is imported where a peer has an environment of its own.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

Quantize = Callable[[Path, Path, list[str]], None]  # the folder of what is given, the file to make, all that follows


def run(quantize: Quantize, *, package: str) -> None:
    """Quantizes as the command line says; notes the seconds, from loading the model on, and `package`'s version.

    Importing libraries is not counted, for nobody's quantizer.
    """
    given, made, *arguments = sys.argv[1:]
    started = time.perf_counter()
    quantize(Path(given), Path(made), arguments)
    seconds = time.perf_counter() - started
    note = {"seconds": seconds, "version": f"{package} {version(package)}"}
    Path(f"{made}.json").write_text(json.dumps(note), "utf-8")
