"""Run jobs as processes of this machine."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mbexport.sweep.job import MAX_ATTEMPTS, Ended, Job, is_lost
from mbexport.sweep.process import Running

_POLL_S: Final = 0.1


@dataclass(slots=True, kw_only=True)
class _Attempt:
    running: Running
    number: int
    spent_s: float


class Processes:
    """An engine of up to `jobs` processes at once, started and watched by one thread."""

    nodes: Mapping[str, Mapping[str, object]] = MappingProxyType({})
    warnings: tuple[str, ...] = ()

    def __init__(self, jobs: int) -> None:
        self._places = jobs

    def run(self, jobs: Sequence[Job], tick: Callable[[], None]) -> Iterator[Ended]:
        """Run all jobs; see `Engine.run`."""
        waiting, active = deque((job, 1, 0.0) for job in jobs), list[_Attempt]()
        try:
            while waiting or active:
                while waiting and len(active) < self._places:
                    job, number, spent_s = waiting.popleft()
                    active.append(_Attempt(running=Running(job), number=number, spent_s=spent_s))
                tick()
                for attempt in [each for each in active if each.running.code is not None]:
                    active.remove(attempt)
                    ended = _ended(attempt)
                    if is_lost(ended.code) and attempt.number < MAX_ATTEMPTS:
                        waiting.appendleft((attempt.running.job, attempt.number + 1, ended.seconds))
                    else:
                        yield ended
                time.sleep(_POLL_S)
        finally:
            for attempt in active:
                attempt.running.terminate()
            for attempt in active:
                attempt.running.end()


def _ended(attempt: _Attempt) -> Ended:
    code = attempt.running.code
    assert code is not None
    return Ended(
        name=attempt.running.job.name,
        code=code,
        attempts=attempt.number,
        seconds=attempt.spent_s + time.monotonic() - attempt.running.started,
    )
