"""Run a stage, or find that an earlier run did; keep the checkpoint of one that trains."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from mbexport.fingerprint import code_fingerprint, library_versions
from mbexport.pipeline.context import Context
from mbexport.pipeline.stage import Stage
from mbexport.progress import Progress
from mbexport.seal import SEAL_BYTES, is_sealed, seal
from mbexport.workdir import PRIVATE, StageRecord, Workdir, stage_key

_FOLDER: Final = f"{PRIVATE}/checkpoints"


class TrainingSession:
    """The checkpoint of one stage with one key, as `models.fit` wants it; one of another key or user does not count.

    Decoded images are kept in `cache_dir`; curves for TensorBoard go to `log_dir`, if there is one.
    """

    def __init__(self, workdir: Workdir, *, stage: str, key: str, resume: bool, log_dir: Path | None) -> None:
        self.cache_dir = workdir.temporary
        self.log_dir = log_dir / stage if log_dir else None
        self._workdir, self._resume = workdir, resume
        self._file = f"{_FOLDER}/{stage}-{key[:16]}"
        self._purpose = f"checkpoint {stage} {key}"

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

    def forget(self) -> None:
        """Removes the checkpoint: the stage is done."""
        self._workdir.remove(self._file)


def key_of(stage: str, options: Mapping[str, object], upstream: tuple[StageRecord, ...]) -> str:
    """The key of `stage`: it stays the same while its options, the code, the libraries and its upstream stages do."""
    shared = {"code": code_fingerprint(), "libraries": library_versions()}
    return stage_key(stage, {**options, **shared}, tuple(record.key for record in upstream))


class StageRunner:
    """Runs stages in one output folder; `log` has each stage's name, its seconds, and whether it was reused."""

    def __init__(self, workdir: Workdir, *, resume: bool, progress: Progress, log_dir: Path | None = None) -> None:
        self.workdir, self.progress = workdir, progress
        self.log: list[tuple[str, float, bool]] = []
        self._resume, self._log_dir = resume, log_dir

    def run(
        self,
        stage: str,
        options: Mapping[str, object],
        upstream: tuple[StageRecord, ...],
        work: Callable[[TrainingSession], Mapping[str, bytes]],
    ) -> StageRecord:
        """The finished `stage`: what it made before with the same options, code and upstream stages, or makes now."""
        key = key_of(stage, options, upstream)
        record = self.workdir.finished(stage, key) if self._resume else None
        reused = record is not None
        if record is None:
            session = TrainingSession(self.workdir, stage=stage, key=key, resume=self._resume, log_dir=self._log_dir)
            self.progress.start(stage)
            started = time.monotonic()
            files = work(session)
            record = self.workdir.finish(stage, key, files, seconds=time.monotonic() - started)
            session.forget()
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
        )
        finished = run.after(stage.name, record)
        stage.check(finished)
        return finished
