"""A fake Android device behind a fake `adb`, in a folder of the test's."""

import json
import shlex
import struct
import sys
from pathlib import Path
from typing import Any

_FAKES = Path(__file__).parent / "fake_android"
_PROPERTIES = {
    "ro.product.manufacturer": "Fairphone",
    "ro.product.model": "FP5",
    "ro.soc.manufacturer": "QTI",
    "ro.soc.model": "QCM6490",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a,armeabi",
}
_BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  status: 2
  level: 84
  scale: 100
  voltage: 4063
  temperature: 326
  technology: Li-ion
"""


def elf(machine: int = 183, bits: int = 64) -> bytes:
    """The header of an ELF program for a processor, arm64 if nothing else is said."""
    return b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9) + struct.pack("<HH", 3, machine) + bytes(44)


class FakePhone:
    """What is connected, and how it behaves; `state` is written to where the fake adb reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, {"devices": {"FP5-1": "device"}}
        for name in ("bin", "device", "programs"):
            (folder / name).mkdir(parents=True)
        self.tool = folder / "benchmark_model"
        self.tool.write_bytes(elf())
        words = shlex.join([sys.executable, "-S", str(_FAKES / "adb.py")])
        self._program("bin/adb", f'FAKE_PHONE={shlex.quote(str(folder / "phone.json"))} exec {words} "$@"')
        self.properties()
        self.dumps(thermal="Thermal Status: 0\nHAL Ready: true\n", battery=_BATTERY)
        self._program("programs/nproc", "echo 8")
        self._program("programs/settings", "echo 0")
        self._program("programs/pkill", f'echo "$@" >> {shlex.quote(str(folder / "killed.txt"))}')
        self.says()

    def says(self, **state: Any) -> "FakePhone":
        """Change what the device does, by the names that the fakes read."""
        self.state.update(state)
        (self.folder / "phone.json").write_text(json.dumps(self.state))
        return self

    def properties(self, **changed: str) -> None:
        """Change properties of the device, whose names have dots for underscores."""
        known = _PROPERTIES | {name.replace("_", "."): value for name, value in changed.items()}
        lines = "".join(f"[{name}]: [{value}]\n" for name, value in known.items())
        self._program("programs/getprop", f"printf %s {shlex.quote(lines)}")

    def dumps(self, **services: str) -> None:
        """Change what `dumpsys` prints of the thermal service and of the battery."""
        for name, text in services.items():
            (self.folder / f"{name}.txt").write_text(text)
        folder = shlex.quote(str(self.folder))
        self._program(
            "programs/dumpsys", f"case $1 in thermal*) cat {folder}/thermal.txt;; *) cat {folder}/battery.txt;; esac"
        )

    def program(self, name: str, script: str) -> None:
        """Put another program on the device."""
        self._program(f"programs/{name}", script)

    @property
    def path(self) -> str:
        """The folder that holds the fake adb, for PATH."""
        return str(self.folder / "bin")

    @property
    def runs(self) -> list[dict[str, str]]:
        """The options of each run of the tool."""
        log = self.folder / "runs.txt"
        lines = log.read_text().splitlines() if log.exists() else []
        return [dict(word.removeprefix("--").split("=", 1) for word in line.split()[1:]) for line in lines]

    @property
    def left(self) -> list[str]:
        """What lies on the device where the shell may write."""
        return sorted(each.name for each in (self.folder / "device").iterdir())

    def _program(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
