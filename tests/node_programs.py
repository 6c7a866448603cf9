"""A program of node that answers with the modules of a web bundle."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

_PROGRAM: Final = Path(__file__).parent / "exporter/bundles/web/replies.mjs"

needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")


class Modules:
    """The modules in `src/` of a bundle's `files`, written below `folder`; node runs until `close`."""

    def __init__(self, files: dict[str, bytes], folder: Path) -> None:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        self._process = subprocess.Popen(
            ["node", str(_PROGRAM), str(folder / "src")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, question: str, **given: Any) -> Any:
        """The reply to a question of `replies.mjs`. Raises `ValueError` with the name and message of an error."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"question": question, **given}).encode() + b"\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        if "error" in told:
            raise ValueError(told["error"])
        return told["reply"]

    def close(self) -> None:
        """Ends node."""
        self._process.communicate()


def base64_of(values: NDArray[Any] | bytes) -> str:
    """The bytes of an array, as `replies.mjs` takes them."""
    return base64.b64encode(values if isinstance(values, bytes) else values.tobytes()).decode()


def bytes_of(reply: str) -> bytes:
    """The bytes that `replies.mjs` gives."""
    return base64.b64decode(reply)


def size_of(preprocess: Any) -> dict[str, Any]:
    """What the modules are told of a `Preprocess`, as settings.js has it."""
    return {
        "height": preprocess.resolution.height_px,
        "width": preprocess.resolution.width_px,
        "channels": preprocess.channels,
        "cropFraction": preprocess.crop_fraction,
        "isStretched": preprocess.is_stretched,
    }


def rgba_of(image: Any) -> dict[str, Any]:
    """An image of Pillow as the modules take it."""
    pixels = np.asarray(image.convert("RGBA"), np.uint8)
    return {"rgba": base64_of(pixels), "width": image.width, "height": image.height}
