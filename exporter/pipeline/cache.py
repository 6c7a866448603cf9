"""Run a stage, or find that an earlier run did; keep the checkpoint of one that trains."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.fingerprint import code_fingerprint, library_versions
from mbexport.pipeline.context import Context
from mbexport.pipeline.shared_cache import SharedCache
from mbexport.pipeline.stage import Stage
from mbexport.progress import Progress
from mbexport.seal import SEAL_BYTES, is_sealed, seal
from mbexport.workdir import PRIVATE, StageRecord, Workdir, stage_key

if TYPE_CHECKING:
    from mbexport.models.data.open import ImageSet
    from mbexport.models.preprocess import Preprocess
    from mbexport.models.training.pixel_store import PixelStore

_FOLDER: Final = f"{PRIVATE}/checkpoints"
_PIXELS: Final = "decoded-images"
_PIXELS_FILE: Final = "pixels"


class TrainingSession:
    """The checkpoint of one stage with one key, as `models.fit` wants it; one of another key or user does not count.

    Decoded images lie in a file of the run, or in `cache` where an earlier run has left them there; curves for
    TensorBoard go to `log_dir`, if there is one.
    """

    def __init__(
        self,
        workdir: Workdir,
        *,
        stage: str,
        key: str,
        resume: bool,
        log_dir: Path | None,
        cache: SharedCache | None = None,
    ) -> None:
        self.log_dir = log_dir / stage if log_dir else None
        self._workdir, self._resume, self._cache = workdir, resume, cache
        self._file = f"{_FOLDER}/{stage}-{key[:16]}"
        self._purpose = f"checkpoint {stage} {key}"
        self._filled: dict[str, PixelStore] = {}

    def load(self) -> bytes | None:
        """The last checkpoint, if there is one, and it is whole and this user's."""
        try:
            content = self._workdir.folder.read(self._file) if self._resume else b""
        except OSError:
            return None  # none was made, or it cannot be read: the training starts anew
        found, rest = content[:SEAL_BYTES], content[SEAL_BYTES:]
        return rest if is_sealed(self._purpose, rest, found) else None

    def save(self, content: bytes) -> None:
        """Puts `content` in the place of the last checkpoint, whole or not at all."""
        self._workdir.write(self._file, seal(self._purpose, content) + content)

    def pixels(self, images: "ImageSet", preprocess: "Preprocess") -> "PixelStore | None":
        """A store for the pixels of these images: of an earlier run, if the cache has them all, or an empty one."""
        from mbexport.models.training.pixel_store import PixelStore, open_store

        count, shape = len(images), preprocess.shape
        store = open_store(self._workdir.temporary, count=count, shape=shape)
        if store is None or self._cache is None or not images.source:
            return store
        key = _pixels_key(images, preprocess)
        record = self._cache.recall(_PIXELS, key) if self._resume else None
        file = None if record is None else self._cache.open(record.files[_PIXELS_FILE])
        if file is None:
            self._filled[key] = store
            return store
        with file:
            return PixelStore.filled(os.dup(file.fileno()), count=count, shape=shape)

    def finish(self) -> None:
        """Removes the checkpoint, and keeps what was decoded: the stage is done."""
        self._workdir.remove(self._file)
        for key, store in self._filled.items():
            if self._cache is not None and store.content is not None:
                self._cache.store_file(_PIXELS, key, _PIXELS_FILE, *store.content)
        self._filled.clear()


def _pixels_key(images: "ImageSet", preprocess: "Preprocess") -> str:
    """The key of decoded images: which they are, how they are cut and scaled, and what decodes them."""
    from mbexport.models.data.lazy_names import hash_of_names

    cut = (str(preprocess.resolution), preprocess.crop_fraction, preprocess.channels, preprocess.is_stretched)
    return key_of(_PIXELS, {"source": images.source, "images": hash_of_names(images.names), "cut": cut}, ())


def key_of(stage: str, options: Mapping[str, object], upstream: tuple[StageRecord, ...]) -> str:
    """The key of `stage`: it stays the same while its options, the code, the libraries and its upstream stages do."""
    shared = {"code": code_fingerprint(), "libraries": library_versions()}
    return stage_key(stage, {**options, **shared}, tuple(record.key for record in upstream))


class StageRunner:
    """Runs stages in one output folder; `log` has each stage's name, its seconds, and whether it was reused.

    Without `resume` nothing is reused, neither from the folder nor from the `cache` that it may share with others.
    """

    def __init__(
        self,
        workdir: Workdir,
        *,
        resume: bool,
        progress: Progress,
        log_dir: Path | None = None,
        cache: SharedCache | None = None,
    ) -> None:
        self.workdir, self.progress = workdir, progress
        self.log: list[tuple[str, float, bool]] = []
        self._resume, self._log_dir, self._cache = resume, log_dir, cache

    def run(
        self,
        stage: str,
        options: Mapping[str, object],
        upstream: tuple[StageRecord, ...],
        work: Callable[[TrainingSession], Mapping[str, bytes]],
        *,
        is_shared: bool = False,
    ) -> StageRecord:
        """The finished `stage`: what it made before with the same options, code and upstream stages, or makes now.

        What it made for another output folder counts, too, if it `is_shared` and there is a cache.
        """
        key = key_of(stage, options, upstream)
        cache = self._cache if is_shared else None
        record = self.workdir.finished(stage, key) if self._resume else None
        if record is None and cache is not None and self._resume:
            record = self._copied(cache, stage, key)
        reused = record is not None
        if record is None:
            record = self._made(stage, key, work)
        if cache is not None and not reused:
            files = {name: path.read_bytes() for name, path in record.files.items()}
            cache.store(stage, key, files, seconds=record.seconds)
        self.log.append((stage, record.seconds, reused))
        self.progress.finish(stage, record.seconds, reused=reused)
        return record

    def done(self, stage: Stage, run: Context) -> Context:
        """The run behind `stage`, which an earlier run finished or which works now."""
        record = self.run(
            stage.name,
            stage.options(run),
            run.upstream(stage.upstream),
            lambda session: stage.work(replace(run, active=session)),
            is_shared=stage.is_shared,
        )
        finished = run.after(stage.name, record)
        stage.check(finished)
        return finished

    def _made(self, stage: str, key: str, work: Callable[[TrainingSession], Mapping[str, bytes]]) -> StageRecord:
        """What the stage makes now."""
        session = TrainingSession(
            self.workdir, stage=stage, key=key, resume=self._resume, log_dir=self._log_dir, cache=self._cache
        )
        self.progress.start(stage)
        started = time.monotonic()
        files = work(session)
        record = self.workdir.finish(stage, key, files, seconds=time.monotonic() - started)
        session.finish()
        return record

    def _copied(self, cache: SharedCache, stage: str, key: str) -> StageRecord | None:
        """What the stage made for another output folder, copied into this one."""
        found = cache.recall(stage, key)
        files = None if found is None else cache.read(found)
        if found is None or files is None:
            return None
        return self.workdir.finish(stage, key, files, seconds=float(found.fields["seconds"]))
