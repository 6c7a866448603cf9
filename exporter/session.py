"""Turns a stage of a run into a place where a training can leave what must survive it."""

import hashlib
from pathlib import Path
from typing import Final

from mbexport.workdir import Workdir

_FOLDER: Final = ".mbexport/checkpoints"
_HASH_BYTES: Final = hashlib.sha256().digest_size


class TrainingSession:
    """The checkpoint of one stage with one key, as `models.fit` wants it; another key's checkpoint does not count.

    Decoded images are kept in `cache_dir`; curves for TensorBoard go to `log_dir`, if there is one.
    """

    def __init__(self, workdir: Workdir, *, stage: str, key: str, resume: bool, log_dir: Path | None) -> None:
        self.cache_dir = workdir.temporary
        self.log_dir = log_dir / stage if log_dir else None
        self._workdir, self._resume = workdir, resume
        self._file = f"{_FOLDER}/{stage}-{key[:16]}"

    def load(self) -> bytes | None:
        """The last checkpoint, if there is one and it is whole."""
        try:
            content = (self._workdir.root / self._file).read_bytes() if self._resume else b""
        except OSError:
            return None  # none was made, or it cannot be read: the training starts anew
        digest, rest = content[:_HASH_BYTES], content[_HASH_BYTES:]
        return rest if digest == hashlib.sha256(rest).digest() else None

    def save(self, content: bytes) -> None:
        """Puts `content` in the place of the last checkpoint, whole or not at all."""
        self._workdir.write(self._file, hashlib.sha256(content).digest() + content)

    def forget(self) -> None:
        """Removes the checkpoint: the stage is done."""
        self._workdir.remove(self._file)
