"""Turns the work of a stage into finished files, or finds that an earlier run did it."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mbexport.fingerprint import code_fingerprint, library_versions
from mbexport.progress import Progress
from mbexport.session import TrainingSession
from mbexport.workdir import StageRecord, Workdir, stage_key


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
        shared = {"code": code_fingerprint(), "libraries": library_versions()}
        key = stage_key(stage, {**options, **shared}, tuple(record.key for record in upstream))
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
