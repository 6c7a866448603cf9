"""An app in a JVM whose LiteRT 2 is Python's at the other end of its pipes: what refuses here refuses there."""

import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel, HardwareAccelerator
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray


class Computed:
    """A model as LiteRT's CompiledModel computes it on this machine."""

    def __init__(self, content: bytes, accelerators: list[str]) -> None:
        wanted = HardwareAccelerator(0)
        for each in accelerators:
            wanted |= HardwareAccelerator[each]
        self._model = CompiledModel.from_buffer(content, hardware_accel=wanted)

    def size(self, kind: str, signature: str, name: str) -> tuple[int, int]:
        """The elements and the bytes of an input or output."""
        details = self._model.get_input_tensor_details if kind == "input" else self._model.get_output_tensor_details
        return _size(details(signature)[name])

    def compute(self, signature: str, name: str, fed: bytes, wanted: list[str]) -> list[bytes]:
        """The bytes of the outputs that are wanted."""
        source = self._model.create_input_buffer_by_name(signature, name)
        details = self._model.get_output_tensor_details(signature)
        targets = {each: self._model.create_output_buffer_by_name(signature, each) for each in wanted}
        _, dtype = _elements(self._model.get_input_tensor_details(signature)[name])
        source.write(np.frombuffer(fed, dtype).copy())
        self._model.run_by_name(signature, {name: source}, targets)
        return [targets[each].read(*_elements(details[each])).tobytes() for each in wanted]


class StandIn:
    """An accelerator that this machine has not: it computes a file as the CPU does, and adds `offset` to each code."""

    def __init__(self, content: bytes, *, offset: int = 0, is_broken: bool = False) -> None:
        self._model = Interpreter(model_content=content)
        self._offset, self._is_broken = offset, is_broken
        self._computed = 0

    def size(self, kind: str, signature: str, name: str) -> tuple[int, int]:
        """The elements and the bytes of an input or output."""
        runner = self._model.get_signature_runner(signature)
        details = runner.get_input_details() if kind == "input" else runner.get_output_details()
        return _size(details[name])

    def compute(self, signature: str, name: str, fed: bytes, wanted: list[str]) -> list[bytes]:
        """The bytes of the outputs that are wanted. One that `is_broken` computes once, and then no more."""
        if self._is_broken and self._computed:
            raise RuntimeError("the device was lost")
        self._computed += 1
        runner = self._model.get_signature_runner(signature)
        detail = runner.get_input_details()[name]
        found = runner(**{name: np.frombuffer(fed, detail["dtype"]).reshape(detail["shape"])})
        return [_shifted(found[each], self._offset).tobytes() for each in wanted]


class AcceleratedPhone:
    """A run of `AcceleratedPhone.java`.

    `order` are the accelerators that the app asks for, `npu_file` the file that it names; `soc` and `sdk` are those of
    the device. It has those in `devices`, and for the others what LiteRT has here. `told` holds what the app tells, by
    kind, `asked` what LiteRT was asked for.
    """

    def __init__(
        self,
        classes: Path,
        *,
        assets: Path,
        photo: Path,
        width: int,
        order: str = "",
        npu_file: Path | None = None,
        soc: str = "SM8650",
        sdk: int = 34,
        devices: Mapping[str, StandIn] | None = None,
        name: str = "AcceleratedPhone",
    ) -> None:
        told = {"order": order, "npu": npu_file or "", "soc": soc, "sdk": sdk}
        options = [f"-Dtest.{key}={value}" for key, value in told.items()]
        command = ["java", "-Xshare:auto", *options, "-cp", classes, f"com.acme.app.{name}", assets, "false"]
        self._process = subprocess.Popen(
            [*map(str, command), str(photo), str(width)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._devices = devices or {}
        self._models: list[Any] = []
        self.asked: list[str] = []
        while question := self._text():
            self._answer(question, [self._bytes() for _ in range(self._number())])
        _, said = self._process.communicate()
        self.told: dict[str, list[str]] = {}
        for line in said.decode().splitlines():
            kind, _, value = line.partition("\t")
            self.told.setdefault(kind, []).append(value)

    def _answer(self, question: str, given: list[bytes]) -> None:
        try:
            parts, is_well = self._reply(question, given), True
        except (RuntimeError, ValueError) as error:
            parts, is_well = [str(error).encode()], False
        whole = b"".join(struct.pack(">i", len(each)) + each for each in parts)
        assert self._process.stdin
        self._process.stdin.write(struct.pack(">?i", is_well, len(parts)) + whole)
        self._process.stdin.flush()

    def _reply(self, question: str, given: list[bytes]) -> list[bytes]:
        kind, _, rest = question.partition(" ")
        if kind == "compile":
            self.asked.append(rest)
            accelerators = rest.partition(" ")[0].split(",")
            self._models.append(self._devices.get(accelerators[0]) or Computed(given[0], accelerators))
            return [struct.pack(">i", len(self._models) - 1)]
        number, *words = rest.split("\t")
        model = self._models[int(number)]
        if kind == "buffer":
            return [struct.pack(">ii", *model.size(*words))]
        signature, name, *wanted = words
        return list(model.compute(signature, name, given[0], wanted))

    def _text(self) -> str:
        assert self._process.stdout
        size = self._process.stdout.read(2)
        return self._process.stdout.read(*struct.unpack(">H", size)).decode() if size else ""

    def _number(self) -> int:
        assert self._process.stdout
        return int(struct.unpack(">i", self._process.stdout.read(4))[0])

    def _bytes(self) -> bytes:
        size = self._number()
        assert self._process.stdout
        return self._process.stdout.read(size)


def _shifted(codes: NDArray[Any], offset: int) -> NDArray[Any]:
    """The codes, each as far off as can be without leaving their type."""
    limits = np.iinfo(codes.dtype)
    return np.clip(codes.astype(np.int64) + offset, limits.min, limits.max).astype(codes.dtype)


def _elements(detail: Mapping[str, Any]) -> tuple[int, np.dtype[Any]]:
    return int(np.prod(detail["shape"])), np.dtype(detail["dtype"])


def _size(detail: Mapping[str, Any]) -> tuple[int, int]:
    elements, dtype = _elements(detail)
    return elements, elements * dtype.itemsize
