"""Compare a node of a cluster with this machine, before it makes files that must be those of one machine.

A node answers from a process like that of a job: `python -P -m mbexport.sweep.handshake` reads a question as JSON and
writes `Facts` as JSON, so that the package, the environment and the secret are those that a job there would have.
"""

import json
import os
import platform
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from mbexport.documents import parse_json
from mbexport.errors import MbexportError, OptionError, OutputError
from mbexport.files import Folder

_PURPOSE: Final = "sweep handshake"
_NONCE: Final = ".handshake-"
_NONCE_BYTES: Final = 32
_SHOWN: Final = 12  # digits of a hash, in an error
# They change the order in which libraries add numbers up, or the kernels that they choose. Jobs are given the number of
# TensorFlow's threads.
_VARIABLES: Final = (
    "OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS", "TF_XLA_FLAGS", "XLA_FLAGS",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What every node must see as this machine does: the output folder, and the data as its options name it.

    Paths are absolute, that in `data` too; without `data`, none is compared.
    """

    out: Path
    data: str | None = None
    classes_file: Path | None = None
    follow_links: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What decides whether a machine makes the bytes of another one, and what describes its processor.

    `data` and `nonce` are empty where nothing was asked or found; those that could not be read say why, behind "none:".
    `secret` is the seal of the nonce: equal where the secrets are, and of no use to anybody else.
    """

    version: str
    code: str
    python: str
    libraries: Mapping[str, str]
    user: int
    nonce: str
    data: str
    secret: str
    cpu: str
    flags: list[str]
    variables: Mapping[str, str]


@contextmanager
def question(shared: Shared) -> Iterator[str]:
    """A question for nodes, as JSON; the file under `out` that it names lies there until the context is left.

    Raises `OutputError` if the file cannot be written.
    """
    name = _NONCE + secrets.token_hex(8)
    try:
        shared.out.mkdir(parents=True, exist_ok=True)
        Folder(shared.out).write_new(name, secrets.token_hex(_NONCE_BYTES).encode(), mode=0o600)
    except OSError as error:
        raise OutputError(
            f"output folder {shared.out} must be a folder that can be written to, got: {error.strerror}"
        ) from None
    try:
        yield json.dumps({**asdict(shared), "nonce": name}, default=str)
    finally:
        with suppress(OSError):
            Folder(shared.out).remove(name)


def answer(asked: str) -> Facts:
    """The facts of this machine, as a process sees them that is started as jobs are."""
    from mbexport import __version__
    from mbexport.fingerprint import library_versions, tool_fingerprint
    from mbexport.latency.machine import machine_json

    fields = parse_json(asked.encode(), holds_paths=True)
    machine = machine_json()
    nonce = _nonce(Path(fields["out"]), fields["nonce"])
    return Facts(
        version=__version__,
        code=tool_fingerprint(),
        python=platform.python_version(),
        libraries=library_versions(),
        user=os.geteuid(),
        nonce=nonce,
        data=_data(fields),
        secret=_seal(nonce),
        cpu=machine["cpu"],
        flags=machine["flags"],
        variables={name: os.environ[name] for name in _VARIABLES if name in os.environ},
    )


def facts_of(text: str) -> Facts:
    """The facts in what a node's process wrote. Raises `ValueError` for anything else."""
    try:
        return Facts(**parse_json(text.encode(), holds_paths=True))
    except TypeError as error:
        raise ValueError(f"no facts: {error}") from None


def require_alike(node: str, got: Facts, expected: Facts, shared: Shared) -> None:
    """Raise `OptionError` for the first difference that would change files, or let the node see other ones."""
    different = next(_differences(got, expected, shared), None)
    if different is not None:
        raise OptionError(f"--address: node {node} {different}")


def warnings(node: str, got: Facts, expected: Facts) -> list[str]:
    """What may change the last bits of sums, a sentence each: another processor, or variables that libraries read."""
    found = []
    if got.cpu != expected.cpu:
        found.append(f"node {node} has another processor, {got.cpu} instead of {expected.cpu}")
    if set(got.flags) != set(expected.flags):
        found.append(f"node {node} has processor features {_listed(got.flags)}, here {_listed(expected.flags)}")
    for name in _VARIABLES:
        here, there = expected.variables.get(name, "unset"), got.variables.get(name, "unset")
        if here != there:
            found.append(f"node {node} has {name} {there}, here it is {here}")
    return [f"{each}: its files may differ in last bits" for each in found]


def _differences(got: Facts, expected: Facts, shared: Shared) -> Iterator[str]:
    if got.python != expected.python:
        yield f"runs Python {got.python}, expected {expected.python}"
    if got.code != expected.code:
        there, here = (f"{each.version} with code {each.code[:_SHOWN]}" for each in (got, expected))
        yield f"has another mbexport, {there}, expected {here}; install the same one on all nodes"
    for name, version in expected.libraries.items():
        if got.libraries.get(name) != version:
            yield f"has {name} {got.libraries.get(name)}, expected {version}; install the same versions on all nodes"
    if got.user != expected.user:
        yield f"runs as user id {got.user}, expected {expected.user}; start Ray as the same user everywhere"
    if got.nonce != expected.nonce:
        yield (
            f"must see the files of --out, got {got.nonce or 'no file'} where this machine has just written one; "
            f"{shared.out} must be storage that all nodes share"
        )
    if got.data != expected.data:
        yield f"sees other data, {got.data[:200]}, expected {expected.data}; --data must be the same files everywhere"
    if got.secret != expected.secret:
        found = got.secret if got.secret.startswith("none:") else "another one"
        yield (
            f"must have this machine's cache secret, got {found}; start Ray with the same MBEXPORT_CACHE_SECRET, or "
            "share the home folder"
        )


def _nonce(out: Path, name: str) -> str:
    try:
        return Folder(out).read(name, limit_bytes=2 * _NONCE_BYTES).decode("ascii")
    except (OSError, ValueError) as error:
        return "" if isinstance(error, FileNotFoundError) else f"none: {error}"


def _data(fields: Mapping[str, str | None]) -> str:
    from mbexport.models.data.open import open_data

    name, classes_file = fields["data"], fields["classes_file"]
    if name is None:
        return ""
    try:
        classes = None if classes_file is None else Path(classes_file)
        return open_data(name, classes_file=classes, follow_links=bool(fields["follow_links"])).fingerprint
    except MbexportError as error:
        return f"none: {error}"


def _seal(nonce: str) -> str:
    from mbexport.seal import seal

    try:
        return seal(_PURPOSE, nonce.encode()).hex()
    except OptionError as error:
        return f"none: {error}"


def _listed(flags: list[str]) -> str:
    return " ".join(sorted(flags)) or "unknown"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(answer(sys.stdin.read()))))
