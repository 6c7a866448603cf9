"""Connect to a Ray cluster, or say in one line why that cannot be done.

Ray's own client waits for many minutes for a cluster that does not answer or refuses its token, and writes to stderr
meanwhile. So a process of its own tries the connection first, and is ended when its time is up.
"""

import importlib.util
import logging
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from mbexport.errors import OptionError

_ADDRESS: Final = re.compile(r"(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):(?P<port>[0-9]{1,5})")
_TRIES: Final = 3
_BETWEEN_S: Final = 2.0
_ANSWER_S: Final = 5.0
_CONNECT_S: Final = 60.0  # some 7 s on a quiet machine with two cores, most of them for `import ray`
_TRY: Final = ("-P", "-m", "mbexport.sweep.ray_connection")
_TOO_LATE: Final = "no connection within {:.0f} s; it must be a Ray cluster, and this machine one of its nodes"
_CONNECTED: Final = "mbexport is connected"
_NO_TOKEN: Final = ("InvalidAuthToken", "AuthenticationError", "Unauthenticated")
_AUTH_MODE: Final = "RAY_AUTH_MODE"
_TOKEN_VARIABLES: Final = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@contextmanager
def connection(address: str) -> Iterator[Any]:
    """The module `ray`, connected to the cluster at `address`, HOST:PORT; left, it is disconnected.

    Raises `OptionError` where Ray is not installed, or the cluster does not answer, refuses, or does not fit.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 1 << 16:
        raise OptionError(f"--address must be HOST:PORT of a Ray cluster, got {address}")
    if importlib.util.find_spec("ray") is None:
        raise OptionError("--address needs ray: pip install 'mbexport[sweep]'")
    _require_listener(address, found["host"].strip("[]"), int(found["port"]))
    kept, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    os.environ.update(_variables())
    try:
        _try(address)
        ray = _connected(address, handler)
        try:
            yield ray
        finally:
            with suppress(Exception):
                ray.shutdown()
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _variables() -> dict[str, str]:
    """What Ray's client reads when it is imported: no usage reports, and a token if there is one.

    A client that is given an address uses no token unless the mode says so.
    """
    variables = {"RAY_USAGE_STATS_ENABLED": "0"}
    if _AUTH_MODE not in os.environ and _has_token():
        variables[_AUTH_MODE] = "token"
    return variables


def _has_token() -> bool:
    with suppress(RuntimeError, OSError):
        if (Path.home() / ".ray" / "auth_token").is_file():
            return True
    return any(os.environ.get(name) for name in _TOKEN_VARIABLES)


def _require_listener(address: str, host: str, port: int) -> None:
    for attempt in range(_TRIES):
        try:
            socket.create_connection((host, port), timeout=_ANSWER_S).close()
            return
        except OSError as error:
            reason = error.strerror or str(error)
        if attempt + 1 < _TRIES:
            time.sleep(_BETWEEN_S / 2)
    raise OptionError(f"--address {address} does not answer: {reason}; `ray start --head` starts a cluster")


def _try(address: str) -> None:
    """Raise `OptionError` unless a process of its own can connect; on a busy machine, Ray may need another try."""
    reason = ""
    for attempt in range(_TRIES):
        reason = _why_not(address)
        if not reason:
            return
        if any(word in reason for word in _NO_TOKEN):
            raise OptionError(
                f"--address {address} refused the token; put that of the cluster into ~/.ray/auth_token, or name its "
                "file in RAY_AUTH_TOKEN_PATH, and set RAY_AUTH_MODE=token"
            )
        if reason == _TOO_LATE:
            raise OptionError(f"--address {address}: {reason.format(_CONNECT_S)}")
        if attempt + 1 < _TRIES:
            time.sleep(_BETWEEN_S)
    raise OptionError(f"--address {address}: Ray cannot be used after {_TRIES} tries: {reason}")


def _why_not(address: str) -> str:
    """Why a process cannot connect, in one line; empty if it can."""
    with subprocess.Popen(
        [sys.executable, *_TRY, address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        try:
            return _reason(process.stdout)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _reason(output: IO[bytes]) -> str:
    text, end = "", time.monotonic() + _CONNECT_S
    with selectors.DefaultSelector() as ready:
        ready.register(output, selectors.EVENT_READ)
        while (left_s := end - time.monotonic()) > 0:
            if not ready.select(left_s):
                continue
            new = os.read(output.fileno(), 1 << 16)
            text += new.decode(errors="replace")
            if _CONNECTED in text:
                return ""
            if not new or any(word in text for word in _NO_TOKEN):
                break
        else:
            return _TOO_LATE
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in said if any(word in line for word in _NO_TOKEN)), said[-1] if said else "it crashed")


def _connected(address: str, handler: Any) -> Any:
    import ray
    import ray._private.worker

    # Ray prints what it knows of lost workers and nodes; the engine says it, once.
    ray._private.worker.print_to_stdstream = lambda *_arguments, **_options: None
    with suppress(Exception):  # whoever has imported Ray before, its client has read other variables
        ray._raylet.Config.initialize("")
        ray._raylet.AuthenticationTokenLoader.instance().reset_cache()
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:
        ray.shutdown()
        raise OptionError(f"--address {address}: {_first_line(error)}") from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray has put its own in its place
    return ray


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _main(address: str) -> None:
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:
        sys.stdout.write(f"{type(error).__name__}: {_first_line(error)}\n")
    else:
        sys.stdout.write(_CONNECTED + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main(sys.argv[1])
