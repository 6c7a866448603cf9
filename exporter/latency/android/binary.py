"""Tell from an ELF file's header which Android devices may run it."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.files import ForeignError, open_regular

_HEADER_BYTES: Final = 20
# The ELF specification's e_ident[EI_CLASS] and e_machine, and the names of Android's ABIs (NDK guide).
_ABIS: Final = {
    (2, 183): "arm64-v8a",
    (1, 40): "armeabi-v7a",
    (2, 62): "x86_64",
    (1, 3): "x86",
    (2, 243): "riscv64",
}


def abi_of(file: Path) -> str:
    """The ABI that the program `file` is built for. Raises `DataError` for what is no program of Android's."""
    try:
        with open_regular(file, follow_links=True) as content:
            head = content.read(_HEADER_BYTES)
    except ForeignError as error:
        raise DataError(f"--benchmark-model must be a file, got {error.strerror}: {file}") from None
    except FileNotFoundError:
        raise DataError(f"no such file or folder: {file} (--benchmark-model)") from None
    except OSError as error:
        raise DataError(f"--benchmark-model {file} cannot be read: {error.strerror}") from None
    if len(head) < _HEADER_BYTES or head[:4] != b"\x7fELF":
        raise DataError(f"--benchmark-model must be an ELF program for Android, got {file}")
    (machine,) = struct.unpack("<H", head[18:20])
    abi = _ABIS.get((head[4], machine))
    if abi is None:
        raise DataError(f"--benchmark-model must be built for Android's processors, got ELF machine {machine}: {file}")
    return abi


def require_runnable(file: Path, abis: Sequence[str]) -> None:
    """Raise `DataError` unless `file` is a program for one of the ABIs of a device, as `abi_of` does."""
    abi = abi_of(file)
    if abi not in abis:
        raise DataError(f"--benchmark-model must be built for {' or '.join(abis)}, got one for {abi}: {file}")
