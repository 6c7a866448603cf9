"""Run one file through one kernel path, in a process that may crash or hang in the place of the user's.

`python -m mbexport.formats.path_process FILE NAME` answers with frames: a length in 8 bytes, and so many bytes. The
first one is JSON, {"error": null, "share": {...}} or why the file cannot be opened. Then each frame that comes in is a
batch, as numpy saves an array, and each that goes out the outputs, as it saves several, or JSON with an error. It ends
when its input does.
"""

import io
import json
import os
import struct
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from mbexport.errors import MbexportError
from mbexport.formats.registry import open_path, share_of
from mbexport.formats.trial_process import MAX_CPU_S, limit_cpu, limit_memory, silenced_output

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mbexport.formats.runner import Runner

_LENGTH: Final = struct.Struct("<q")
_SLOWNESS: Final = 60  # of an emulation, beside what phones run
JSON_START: Final = b"{"


def send(stream: IO[bytes], content: bytes) -> None:
    """Write a frame."""
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """The next frame; None where the other side has gone."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    content = stream.read(length)
    return content if len(content) == length else None


def arrays_to_bytes(arrays: "Sequence[NDArray[Any]]") -> bytes:
    """Several arrays in one frame."""
    import numpy as np

    stream = io.BytesIO()
    np.savez(stream, *arrays)
    return stream.getvalue()


def arrays_from_bytes(content: bytes) -> "list[NDArray[Any]]":
    """The arrays of a frame, in their order. Raises `ValueError` for what holds none."""
    import numpy as np

    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return [found[f"arr_{place}"] for place in range(len(found.files))]


def main(file: Path, name: str, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Open the file, and answer each batch."""
    limit_cpu(MAX_CPU_S * _SLOWNESS)
    opened: list[Runner] = []

    def hello() -> bytes:
        opened.append(open_path(file, name))
        return json.dumps({"error": None, "share": asdict(share_of(opened[0], name))}).encode()

    send(answers, _answer(hello))
    while opened and (request := receive(requests)) is not None:
        limit_cpu(MAX_CPU_S * _SLOWNESS * opened[0].batch)
        (feed,) = arrays_from_bytes(request)
        send(answers, _answer(lambda feed=feed: arrays_to_bytes(opened[0].invoke(feed))))


def _answer(work: Any) -> bytes:
    """What the work gives, or JSON that says why it gives nothing."""
    try:
        content: bytes = work()
    except MbexportError as error:
        return json.dumps({"error": str(error)}).encode()
    except Exception as error:  # whatever a plug-in that others wrote trips over
        return json.dumps({"error": f"{type(error).__name__}: {error}"}).encode()
    return content


if __name__ == "__main__":
    out = os.fdopen(silenced_output(), "wb")
    limit_memory()
    main(Path(sys.argv[1]), sys.argv[2], sys.stdin.buffer, out)
    os._exit(0)  # a runtime's threads need not be waited for, and what it says at its end is not for the user
