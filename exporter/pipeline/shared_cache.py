"""Share finished stages and decoded images between output folders: a cache of bounded size, by content.

A `Record` lies at `records/<kind>/<key>`, sealed with the user's secret, and names the sha256 of each of its files; the
files lie in `blobs/` by that hash, once each. What is read is hashed first: a file that was changed, or a record that
somebody else wrote, does not count. Nothing that fails here ends a run: the work is then done again. Of two processes
that store the same, the last one counts, with the same bytes.
"""

import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from mbexport.files import Folder, is_inside, user_folder
from mbexport.seal import fields_of, sealed_json

CACHE_LIMIT_BYTES: Final = 10 << 30
_BLOBS, _RECORDS, _TMP = "blobs", "records", "tmp"
_OURS: Final = re.compile(r"blobs/([0-9a-f]{2})/\1[0-9a-f]{62}|records/[^/]+/[0-9a-f]{64}|tmp/[0-9a-f]{32}")
_MAX_RECORD_BYTES: Final = 1 << 24
_MODE: Final = 0o600
_PART_BYTES: Final = 1 << 20
_SHARE_OF_FREE_SPACE: Final = 0.5  # artifacts and other programs need some, too
_ABANDONED_S: Final = 24 * 3600  # a file that is being written for longer was left by a process that was killed


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What lies in the cache under one key: `files` are the sha256 of each file by name, `fields` what else is known.

    `size_bytes` are those of the files, which other records may share; `used` is the time of the last use, in seconds
    since 1970.
    """

    kind: str
    key: str
    files: Mapping[str, str]
    fields: Mapping[str, Any]
    size_bytes: int
    used: float


class SharedCache:
    """The cache in the folder `root`, which is made when something is stored; at most `limit_bytes` are kept."""

    def __init__(self, root: Path, *, limit_bytes: int = CACHE_LIMIT_BYTES) -> None:
        self.root, self._limit_bytes = root, limit_bytes
        self._folder = Folder(root)

    def find(self, kind: str, key: str) -> Record | None:
        """The record of that kind and key, if this user stored it and each of its files is as it was stored."""
        record = self.recall(kind, key)
        if record is None or any(self._sha256(sha256) != sha256 for sha256 in record.files.values()):
            return None
        return record

    def recall(self, kind: str, key: str) -> Record | None:
        """The same, for whoever reads or opens its files next: they are hashed then, and not twice."""
        record = self._record(kind, key)
        if record is None:
            return None
        for name in (_record_path(kind, key), *map(_blob_path, record.files.values())):
            with suppress(OSError):
                self._folder.touch(name)
        return record

    def path(self, sha256: str) -> Path:
        """Where the file with that hash lies."""
        return self.root / _blob_path(sha256)

    def read(self, record: Record) -> dict[str, bytes] | None:
        """The files of a record by name, hashed as they were read; None if one has gone or changed meanwhile."""
        files = {}
        for name, sha256 in record.files.items():
            try:
                content = self._folder.read(_blob_path(sha256))
            except OSError:
                return None
            if hashlib.sha256(content).hexdigest() != sha256:
                return None
            files[name] = content
        return files

    def store(self, kind: str, key: str, files: Mapping[str, bytes], **fields: Any) -> bool:
        """Keep files under a key, and the `fields` beside them; whether there was room for them."""
        try:
            if not self._has_room(sum(map(len, files.values()))):
                return False
            hashes = {name: self._keep_blob([content]) for name, content in files.items()}
            self._keep_record(kind, key, hashes, fields)
        except OSError:
            return False
        return True

    def store_file(self, kind: str, key: str, name: str, source: int, size_bytes: int, **fields: Any) -> bool:
        """The same for one file of that size behind the descriptor `source`, which may be larger than the memory."""
        try:
            if not self._has_room(size_bytes):
                return False
            self._keep_record(kind, key, {name: self._keep_blob(_parts(source, size_bytes))}, fields)
        except OSError:
            return False
        return True

    def open(self, sha256: str) -> IO[bytes] | None:
        """The file with that hash, hashed once more as it is opened, so that what is read is what was looked at."""
        try:
            with self._folder.open(_blob_path(sha256)) as content:
                if hashlib.file_digest(content, "sha256").hexdigest() != sha256:
                    return None
                content.seek(0)  # of the copy, too
                return os.fdopen(os.dup(content.fileno()), "rb")
        except OSError:
            return None

    def records(self) -> list[Record]:
        """Every record that counts, the one that was used last first."""
        found = (self._record(*name.split("/")[-2:]) for name, _ in self._files(_RECORDS))
        return sorted((each for each in found if each is not None), key=lambda each: -each.used)

    def size_bytes(self) -> int:
        """The bytes of all files in the cache."""
        return sum(state.st_size for part in (_BLOBS, _RECORDS, _TMP) for _, state in self._files(part))

    def prune(self, limit_bytes: int) -> int:
        """Remove what was not used for the longest time, until at most `limit_bytes` are left; the bytes removed."""
        before = left = self.size_bytes()
        left -= sum(map(self._removed, self._abandoned()))
        blobs = {PurePosixPath(name).name: name for name, _ in self._files(_BLOBS)}
        records = self.records()
        valid = {_record_path(each.kind, each.key) for each in records}
        # Without a record that counts: damaged, or sealed with another secret.
        left -= sum(self._removed(name) for name, _ in self._files(_RECORDS) if name not in valid)
        wanted = [sha256 for each in records for sha256 in each.files.values()]
        left -= sum(self._removed(blobs[name]) for name in blobs.keys() - set(wanted))
        while records and left > limit_bytes:
            oldest = records.pop()
            left -= self._removed(_record_path(oldest.kind, oldest.key))
            kept = {sha256 for each in records for sha256 in each.files.values()}
            gone = set(oldest.files.values()) - kept
            left -= sum(self._removed(blobs[sha256]) for sha256 in gone if sha256 in blobs)
        return before - left

    def _record(self, kind: str, key: str) -> Record | None:
        name = _record_path(kind, key)
        try:
            content = self._folder.read(name, limit_bytes=_MAX_RECORD_BYTES)
            fields = fields_of(_purpose(kind, key), content)
            files = dict(fields.pop("files"))
            if not all(is_inside(each) and _is_sha256(sha256) for each, sha256 in files.items()):
                return None
            status = self._folder.status(name)
            size = sum(self._size(_blob_path(sha256)) for sha256 in files.values())
        except (AttributeError, OSError, ValueError, KeyError, TypeError):
            return None  # none, a damaged one, or somebody else's
        used = status.st_mtime if status else 0.0
        return Record(kind=kind, key=key, files=files, fields=fields, size_bytes=size, used=used)

    def _sha256(self, sha256: str) -> str | None:
        try:
            return self._folder.sha256(_blob_path(sha256))
        except OSError:
            return None

    def _has_room(self, size_bytes: int) -> bool:
        """Whether so much may be stored; what was used least goes first. Makes the folder."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if size_bytes > self._limit_bytes or size_bytes > shutil.disk_usage(self.root).free * _SHARE_OF_FREE_SPACE:
            return False
        if self.size_bytes() + size_bytes > self._limit_bytes:
            self.prune(self._limit_bytes - size_bytes)
        return True

    def _keep_blob(self, parts: Any) -> str:
        """Write a file under the hash of its content, flushed, and return the hash."""
        temporary = f"{_TMP}/{secrets.token_hex(16)}"
        digest = hashlib.sha256()
        self._folder.make_private(_TMP)
        try:
            with self._folder.create(temporary, mode=_MODE) as file:
                for part in parts:
                    digest.update(part)
                    file.write(part)
            self._folder.move(temporary, _blob_path(digest.hexdigest()))
        except BaseException:
            self._folder.remove(temporary)
            raise
        return digest.hexdigest()

    def _keep_record(self, kind: str, key: str, hashes: Mapping[str, str], fields: Mapping[str, Any]) -> None:
        content = sealed_json(_purpose(kind, key), {**fields, "files": dict(hashes)})
        temporary = f"{_TMP}/{secrets.token_hex(16)}"
        self._folder.write_new(temporary, content, mode=_MODE)
        self._folder.move(temporary, _record_path(kind, key))

    def _files(self, part: str) -> list[tuple[str, os.stat_result]]:
        """The regular files below a part of the cache, none where it is a link or is not there yet.

        A folder that is no cache may have one of that name, whose files are the user's: ours are known by their names.
        """
        try:
            found = self._folder.regular_files(part)
        except OSError:
            return []
        return [(name, state) for name, state in found if _OURS.fullmatch(name)]

    def _abandoned(self) -> list[str]:
        oldest = time.time() - _ABANDONED_S
        return [name for name, state in self._files(_TMP) if state.st_mtime < oldest]

    def _size(self, name: str) -> int:
        """The bytes of a file; 0 where none lies there."""
        try:
            state = self._folder.status(name)
        except OSError:
            return 0
        return state.st_size if state is not None and stat.S_ISREG(state.st_mode) else 0

    def _removed(self, name: str) -> int:
        """Remove a file; the bytes that it had."""
        size = self._size(name)
        try:
            self._folder.remove(name)
        except OSError:
            return 0
        return size


def user_cache() -> Path | None:
    """The user's cache folder; None where the user has no home."""
    return user_folder("XDG_CACHE_HOME", ".cache")


def _parts(source: int, size_bytes: int) -> Iterator[bytes]:
    """The content behind a descriptor. Raises `OSError` if it is shorter."""
    offset = 0
    while offset < size_bytes:
        part = os.pread(source, min(_PART_BYTES, size_bytes - offset), offset)
        if not part:
            raise OSError(0, "the file is shorter than was said")
        offset += len(part)
        yield part


def _is_sha256(text: Any) -> bool:
    size = 2 * hashlib.sha256().digest_size
    return isinstance(text, str) and len(text) == size and all(letter in "0123456789abcdef" for letter in text)


def _blob_path(sha256: str) -> str:
    return f"{_BLOBS}/{sha256[:2]}/{sha256}"


def _record_path(kind: str, key: str) -> str:
    return f"{_RECORDS}/{kind}/{key}"


def _purpose(kind: str, key: str) -> str:
    return f"cache {kind} {key}"
