"""Java programs of tests, compiled and running: they call the wrapper as it lies in a bundle."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from wrapper_classes import compiled

PROGRAMS = Path(__file__).parent / "exporter/bundles/jvm"

needs_java = pytest.mark.skipif(not (shutil.which("javac") and shutil.which("java")), reason="no JDK is installed")


def written(files: dict[str, bytes], folder: Path) -> Path:
    """The folder, with the files written into it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def program(name: str, *, classes: Path) -> dict[str, bytes]:
    """The class files of a program in `jvm/` that calls those in the folder `classes`."""
    return compiled({name: (PROGRAMS / name).read_bytes()}, class_path=(classes,))


class Replies:
    """A running `Replies.java`, which answers questions through its pipes."""

    def __init__(self, classes: Path) -> None:
        command = ["java", "-Xshare:auto", "-cp", str(classes), "org.mbexport.wrapper.Replies"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, question: str, *given: bytes) -> bytes:
        """The reply. Raises `ValueError` with the message of what the wrapper throws."""
        assert self._process.stdin
        assert self._process.stdout
        name = question.encode()
        parts = b"".join(struct.pack(">i", len(each)) + each for each in given)
        self._process.stdin.write(struct.pack(">H", len(name)) + name + struct.pack(">i", len(given)) + parts)
        self._process.stdin.flush()
        is_well, size = struct.unpack(">?i", self._process.stdout.read(5))
        reply = self._process.stdout.read(size)
        if not is_well:
            raise ValueError(reply.decode())
        return reply

    def close(self) -> None:
        """Ends the program."""
        self._process.communicate()
