"""Stands for `adb`, as it answers in Android's platform tools, to a device whose files lie in a folder here.

Commands run in the shell of this machine, in which the device's own programs are first on the PATH; `phone.json`, to
which FAKE_PHONE leads, says what is connected and what fails.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

_TMP = "/data/local/tmp"
_HERE = Path(__file__).parent
_PHONE = Path(os.environ["FAKE_PHONE"])
_STATE = json.loads(_PHONE.read_bytes())
_ROOT = _PHONE.parent / "device"


def main(*words: str) -> int:
    """Answer one command line."""
    if words == ("devices",):
        print("List of devices attached")
        for serial, state in _STATE["devices"].items():
            print(f"{serial}\t{state}")
        print()
        return 0
    option, serial, command, *rest = words
    assert option == "-s"
    state = _STATE["devices"].get(serial)
    if state != "device":
        said = f"device '{serial}' not found" if state is None else f"device {state}"
        print(f"error: {said}", file=sys.stderr)
        return 1
    return {"shell": shell, "push": push}[command](*rest)


def shell(*words: str) -> int:
    """Run a command on the device; adb joins its words, and quotes none."""
    if is_gone():
        return 1  # what adb says of a cable that was pulled is nothing at all
    line = " ".join(words).replace(_TMP, str(_ROOT))
    line = re.sub(r"^(\S+/benchmark_model) ", rf"{sys.executable} -S {_HERE / 'benchmark_model.py'} \1 ", line)
    path = f"{_PHONE.parent / 'programs'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(["sh", "-c", line], check=False, env={**os.environ, "PATH": path}).returncode


def push(source: str, target: str) -> int:
    """Copy a file to the device."""
    if _STATE.get("full"):
        said = f"failed to copy '{source}' to '{target}': remote couldn't create file: No space left on device"
        print(f"adb: error: {said}", file=sys.stderr)
        return 1
    place = Path(target.replace(_TMP, str(_ROOT)))
    shutil.copyfile(source, place)
    if _STATE.get("corrupt") == place.name:
        place.write_bytes(place.read_bytes() + b"!")
    print(f"{source}: 1 file pushed, 0 skipped. 36.7 MB/s ({place.stat().st_size} bytes in 0.001s)")
    return 0


def is_gone() -> bool:
    """Whether the device has been unplugged: behind so many runs of the tool."""
    runs = _PHONE.parent / "runs.txt"
    return runs.exists() and len(runs.read_text().splitlines()) >= _STATE.get("unplugged_after", 1 << 30)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
