"""Java programs of tests, compiled and running: they call the wrapper as it lies in a bundle."""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from wrapper_classes import compiled

_HERE = Path(__file__).parent / "exporter/bundles/android"
PROGRAMS, DOUBLES = _HERE / "jvm", _HERE / "doubles"

needs_java = pytest.mark.skipif(not (shutil.which("javac") and shutil.which("java")), reason="no JDK is installed")


def written(files: dict[str, bytes], folder: Path) -> Path:
    """The folder, with the files written into it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def program(*names: str, classes: Path) -> dict[str, bytes]:
    """The class files of a program in `jvm/`, of these files, that calls those in the folder `classes`."""
    return compiled({name: (PROGRAMS / name).read_bytes() for name in names}, class_path=(classes,))


def classes_of_app(name: str, classes: Path) -> dict[str, bytes]:
    """The class files of the app of that name in `jvm/`."""
    return program(f"{name}.java", "Screen.java", classes=classes)


class Replies:
    """A running program of `Questions.java`, which answers through its pipes."""

    def __init__(self, classes: Path, name: str = "Replies") -> None:
        command = ["java", "-Xshare:auto", "-cp", str(classes), f"org.mbexport.wrapper.{name}"]
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


class Phone:
    """A run of `Phone.java` or another: an app in a JVM, whose LiteRT is Python's at the other end of its pipes.

    `told` holds what the app tells, by kind; `options` are those that the model was loaded with.
    """

    def __init__(
        self,
        classes: Path,
        *,
        assets: Path,
        photo: Path,
        width: int,
        is_compressed: bool = False,
        name: str = "Phone",
    ) -> None:
        app = [f"com.acme.app.{name}", assets, str(is_compressed).lower(), photo, width]
        command = ["java", "-Xshare:auto", "-cp", *map(str, [classes, *app])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.options = ""
        while question := self._text():
            if question.startswith("model "):
                self.options = question.removeprefix("model ")
                self._load()
            else:
                self._run()
        _, told = self._process.communicate()
        self.told: dict[str, list[str]] = {}
        for line in told.decode().splitlines():
            kind, _, value = line.partition("\t")
            self.told.setdefault(kind, []).append(value)

    def _load(self) -> None:
        self._model = Interpreter(model_content=self._bytes())
        self._model.allocate_tensors()
        (self._input,), self._outputs = self._model.get_input_details(), self._model.get_output_details()
        self._say_tensor(self._input)
        self._say(struct.pack(">i", len(self._outputs)))
        for output in self._outputs:
            self._say_tensor(output)

    def _say_tensor(self, entry: dict[str, Any]) -> None:
        dtype, shape = np.dtype(entry["dtype"]), entry["shape"]
        for name in (entry["name"].encode(), dtype.name.upper().encode()):
            self._say(struct.pack(">H", len(name)) + name)
        size = int(np.prod(shape)) * dtype.itemsize
        self._say(struct.pack(f">i{len(shape)}ii", len(shape), *map(int, shape), size))

    def _run(self) -> None:
        fed = np.frombuffer(self._bytes(), self._input["dtype"]).reshape(self._input["shape"])
        self._model.set_tensor(self._input["index"], fed)
        self._model.invoke()
        for output in self._outputs:
            self._say(self._model.get_tensor(output["index"]).tobytes())

    def _say(self, content: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(content)
        self._process.stdin.flush()

    def _text(self) -> str:
        assert self._process.stdout
        size = self._process.stdout.read(2)
        return self._process.stdout.read(*struct.unpack(">H", size)).decode() if size else ""

    def _bytes(self) -> bytes:
        assert self._process.stdout
        return self._process.stdout.read(*struct.unpack(">i", self._process.stdout.read(4)))


def doubles() -> dict[str, bytes]:
    """The class files of the doubles of Android and LiteRT."""
    files = {each.relative_to(DOUBLES).as_posix(): each.read_bytes() for each in DOUBLES.rglob("*.java")}
    return compiled(files)
