"""Run jobs on a Ray cluster: an engine of Ray's tasks alone, each of which supervises one process.

This side decides on which node a job runs, and runs a lost one again itself: so it knows how often a job was tried, and
where, and gives none to a node that has not passed the handshake.
"""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from mbexport.errors import EXIT_STAGE_FAILED, OptionError
from mbexport.sweep.handshake import Shared
from mbexport.sweep.job import MAX_ATTEMPTS, Ended, Job, is_lost
from mbexport.sweep.ray_connection import connection
from mbexport.sweep.ray_nodes import Node, Nodes
from mbexport.sweep.ray_task import run_job

_POLL_S: Final = 0.1
_GRACE_S: Final = 15.0  # for a cancelled task: its child has 10 s to end
_KILL_S: Final = 5.0
_NO_NODE_S: Final = 120.0  # until a new node has taken the place of the last that was lost


@dataclass(slots=True, kw_only=True)
class _Attempt:
    job: Job
    number: int = 1
    spent_s: float = 0.0
    reason: str = ""  # for which the attempt before was lost
    lost_on: str = ""
    node: Node | None = None
    started: float = 0.0

    def again(self, reason: str) -> "_Attempt":
        assert self.node is not None
        spent_s = self.spent_s + time.monotonic() - self.started
        return _Attempt(job=self.job, number=self.number + 1, spent_s=spent_s, reason=reason, lost_on=self.node.id)

    def ended(self, code: int, seconds: float | None = None, reason: str = "") -> Ended:
        last_s = (time.monotonic() - self.started if self.node else 0.0) if seconds is None else seconds
        return Ended(
            name=self.job.name,
            code=code,
            attempts=self.number,
            seconds=self.spent_s + last_s,
            node=self.node.name if self.node else "",
            reason=reason or self.reason,
        )


class RayCluster:
    """An engine of a Ray cluster. Open it with `RayCluster.open`."""

    def __init__(self, ray: Any, nodes: Nodes, cores: int) -> None:
        self._ray, self._nodes, self._cores = ray, nodes, cores

    @classmethod
    @contextmanager
    def open(
        cls, address: str, shared: Shared, *, cores: int = 1, tick: Callable[[], None] = lambda: None
    ) -> Iterator["RayCluster"]:
        """Connect to the cluster at `address`, HOST:PORT, for jobs of `cores` each, and shake hands with its nodes.

        Raises `OptionError` if the cluster cannot be used, a node differs from this machine, or none is large enough.
        """
        with connection(address) as ray:
            nodes = Nodes(ray=ray, shared=shared)
            nodes.shake_hands(tick)
            most = max(node.cores for node in nodes.ready.values())
            if most < cores:
                raise OptionError(f"--address: a job needs {cores} cores of one node, got {most} at most")
            yield cls(ray, nodes, cores)

    @property
    def nodes(self) -> dict[str, dict[str, object]]:
        """The processor of each node that is used, and the variables there that libraries read, by its name."""
        facts = {node.name: node.facts for node in self._nodes.ready.values() if node.facts is not None}
        return {
            name: {"cpu": each.cpu, "flags": each.flags, "variables": dict(each.variables)}
            for name, each in facts.items()
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may part files of one node from those of another, or keeps a node from being used; grows in a run."""
        return tuple(self._nodes.warnings)

    def run(self, jobs: Sequence[Job], tick: Callable[[], None]) -> Iterator[Ended]:
        """Run all jobs; see `Engine.run`."""
        waiting, active = deque(_Attempt(job=job) for job in jobs), dict[Any, _Attempt]()
        deserted: float | None = None  # since when there has been no node
        try:
            while waiting or active:
                self._nodes.look(tick)
                self._start(waiting, active)
                tick()
                for task in self._finished(list(active)):
                    attempt = active.pop(task)
                    ended, lost = self._result(task, attempt)
                    if is_lost(ended.code) and attempt.number < MAX_ATTEMPTS:
                        waiting.appendleft(attempt.again(lost))
                    else:
                        yield ended
                deserted = None if active or self._nodes.ready else deserted or time.monotonic()
                if deserted and time.monotonic() - deserted > _NO_NODE_S:
                    while waiting:
                        yield waiting.popleft().ended(-signal.SIGKILL, reason="no node of the cluster is left")
        finally:
            self._end(list(active))

    def _start(self, waiting: "deque[_Attempt]", active: dict[Any, _Attempt]) -> None:
        """Start as many as there are places for, on the nodes with the most free cores."""
        for node in self._nodes.ready.values():
            node.busy = sum(each.job.cores for each in active.values() if each.node and each.node.id == node.id)
        while waiting:
            attempt = waiting[0]
            free = [each for each in self._nodes.ready.values() if each.cores - each.busy >= attempt.job.cores]
            if not free:
                return
            node = max(free, key=lambda each: (each.id != attempt.lost_on, each.cores - each.busy))
            waiting.popleft()
            attempt.node, attempt.started = node, time.monotonic()
            node.busy += attempt.job.cores
            # Ray does not try again: of its own attempts, nobody is told.
            remote = self._ray.remote(num_cpus=attempt.job.cores, max_calls=1, max_retries=0)(run_job)
            job = replace(attempt.job, environment=dict(attempt.job.environment))
            active[remote.options(scheduling_strategy=self._nodes.on(node)).remote(job)] = attempt

    def _finished(self, tasks: list[Any]) -> list[Any]:
        if not tasks:
            time.sleep(_POLL_S)
            return []
        finished, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=_POLL_S)
        return list(finished)

    def _result(self, task: Any, attempt: _Attempt) -> tuple[Ended, str]:
        """How an attempt ended, and, if it was lost, the reason for which."""
        errors, node = self._ray.exceptions, attempt.node
        assert node is not None
        try:
            code, seconds = self._ray.get(task)
        except (errors.NodeDiedError, errors.TaskUnschedulableError):
            self._nodes.ready.pop(node.id, None)
            reason = f"node {node.name} was lost"
        except errors.OutOfMemoryError:
            reason = f"node {node.name} had no memory left: Ray killed the worker"
        except (errors.WorkerCrashedError, errors.TaskCancelledError):
            reason = f"the worker on node {node.name} was killed"
        except errors.RayError as error:
            reason = f"node {node.name}: {(str(error).strip().splitlines() or ['unknown'])[-1]}"
            return attempt.ended(EXIT_STAGE_FAILED, reason=reason), reason
        else:
            reason = f"signal {-code} on node {node.name}" if code < 0 else f"exit code {code} on node {node.name}"
            return attempt.ended(code, seconds, reason if is_lost(code) else ""), reason
        return attempt.ended(-signal.SIGKILL, reason=reason), reason

    def _end(self, tasks: list[Any]) -> None:
        """Let each task end its child; kill what does not end, the child with it, also if this is interrupted."""
        if not tasks:
            return
        try:
            self._cancel(tasks, force=False, timeout_s=_GRACE_S)
        finally:
            self._cancel(tasks, force=True, timeout_s=_KILL_S)

    def _cancel(self, tasks: list[Any], *, force: bool, timeout_s: float) -> None:
        with suppress(self._ray.exceptions.RayError, ValueError, RuntimeError):
            _, running = self._ray.wait(tasks, num_returns=len(tasks), timeout=0)
            for task in running:
                self._ray.cancel(task, force=force)
            self._ray.wait(tasks, num_returns=len(tasks), timeout=timeout_s)
