"""Seal what a run leaves for the next one with a secret of the user's, so that what others put there does not count.

The secret is the text in `SECRET_VARIABLE`, which a CI job can take from its server, or 32 random bytes in the user's
state folder, made once. Seals are HMAC-SHA256 (RFC 2104), each over its purpose and the content.
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from mbexport.documents import parse_json
from mbexport.errors import OptionError
from mbexport.files import Folder, user_folder

SECRET_VARIABLE: Final = "MBEXPORT_CACHE_SECRET"
SEAL_BYTES: Final = hashlib.sha256().digest_size
_SECRET_BYTES: Final = 32
_LEAST_LETTERS: Final = 32  # 128 bits, where each is a hexadecimal digit
_FILE: Final = "cache-secret"
_SEAL: Final = "seal"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def seal(purpose: str, content: bytes) -> bytes:
    """The seal of `content`, `SEAL_BYTES` long; for another purpose it is another one.

    Raises `OptionError` if the variable holds a text that is too short for a secret.
    """
    return hmac.digest(_secret(), purpose.encode() + b"\0" + content, "sha256")


def is_sealed(purpose: str, content: bytes, found: bytes) -> bool:
    """Whether `found` is the seal of `content` for that purpose, by this user's secret."""
    return hmac.compare_digest(seal(purpose, content), found)


def sealed_json(purpose: str, fields: Mapping[str, Any]) -> bytes:
    """The fields as JSON, and their seal among them."""
    return json.dumps({**fields, _SEAL: seal(purpose, _canonical(fields)).hex()}, indent=1).encode()


def fields_of(purpose: str, content: bytes) -> dict[str, Any]:
    """The fields in what `sealed_json` gave for the same purpose. Raises `ValueError` for anything else."""
    try:
        fields = parse_json(content, holds_paths=True)
        found = bytes.fromhex(fields.pop(_SEAL))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no sealed fields: {error}") from None
    if not is_sealed(purpose, _canonical(fields), found):
        raise ValueError("another seal")
    return dict(fields)


def require_secret() -> None:
    """Raise `OptionError` for a secret that is too short: before a run, not when its first stage is done."""
    _secret()


def why_not_kept() -> str | None:
    """Why no secret can be kept, so that the next run will not reuse what this one leaves; None if it can."""
    if os.environ.get(SECRET_VARIABLE):
        return None
    return _stored(_state_folder())[1]


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def _secret() -> bytes:
    given = os.environ.get(SECRET_VARIABLE)
    if not given:
        return _stored(_state_folder())[0]
    if len(given) < _LEAST_LETTERS:
        raise OptionError(f"{SECRET_VARIABLE} must have at least {_LEAST_LETTERS} characters, got {len(given)}")
    return os.fsencode(given)


def _state_folder() -> Path | None:
    """The user's folder for what lasts; None where the user has no home."""
    return user_folder("XDG_STATE_HOME", ".local", "state")


@cache
def _stored(folder: Path | None) -> tuple[bytes, str | None]:
    """The secret in `folder`, made if there is none, or else one of this process alone, and why."""
    try:
        if folder is None:
            raise OSError(0, "the user has no home")
        return _kept(folder), None
    except OSError as error:
        return secrets.token_bytes(_SECRET_BYTES), f"{folder or 'a secret'} cannot be used: {error.strerror or error}"


def _kept(folder: Path) -> bytes:
    """The secret in `folder`. Raises `OSError` if it cannot be kept there, or others may write there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.stat()
    if state.st_uid != os.geteuid() or state.st_mode & _OTHERS_WRITE:
        raise OSError(0, "others may write there")
    files = Folder(folder)
    with files.open_lock("lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # for the moment in which another process makes one
        found = files.status(_FILE)
        if found is None or found.st_uid != os.geteuid() or found.st_mode & _OTHERS or found.st_size != _SECRET_BYTES:
            files.write_new(f"{_FILE}.new", secrets.token_bytes(_SECRET_BYTES), mode=0o600)
            files.move(f"{_FILE}.new", _FILE)
        return files.read(_FILE, limit_bytes=_SECRET_BYTES)
