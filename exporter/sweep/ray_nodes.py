"""The nodes of a Ray cluster on which jobs may run: those whose handshake showed no difference to this machine."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from mbexport.errors import OptionError
from mbexport.sweep.handshake import Facts, Shared, answer, facts_of, question, require_alike, warnings
from mbexport.sweep.ray_task import ask

_POLL_S: Final = 0.2
_LOOK_S: Final = 5.0  # between two looks at which nodes there are
_ANSWER_S: Final = 660.0  # a little longer than a node has itself


@dataclass(slots=True, kw_only=True)
class Node:
    """A node: Ray's id, what people call it, how many cores Ray gives to tasks there, and what it answered."""

    id: str
    name: str
    cores: int
    facts: Facts | None = None
    busy: int = 0  # cores of those that our own jobs keep busy


@dataclass(slots=True, kw_only=True)
class Nodes:
    """All nodes that have a core for us. `ready` are those that have passed the handshake, by id."""

    ray: Any
    shared: Shared
    ready: dict[str, Node] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    _refused: set[str] = field(default_factory=set)
    _looked: float = 0.0

    def shake_hands(self, tick: Callable[[], None]) -> None:
        """Ask every node. Raises `OptionError` for the first that differs, or where none has a core."""
        for node, problem in self._asked(list(self._alive().values()), tick):
            if problem is not None:
                raise problem
            self.ready[node.id] = node
        if not self.ready:
            raise OptionError("--address: no node of the cluster gives cores to jobs; see `ray start --num-cpus`")
        self._looked = time.monotonic()

    def look(self, tick: Callable[[], None]) -> None:
        """Every few seconds, drop nodes that have gone, and ask those that have joined; one that differs is not used,
        which a warning says."""
        if time.monotonic() - self._looked < _LOOK_S:
            return
        alive = self._alive()
        for gone in self.ready.keys() - alive.keys():
            del self.ready[gone]
        new = [node for id_, node in alive.items() if id_ not in self.ready and id_ not in self._refused]
        for node, problem in self._asked(new, tick):
            if problem is None:
                self.ready[node.id] = node
            else:
                self._refused.add(node.id)
                self.warnings.append(f"not used: {problem}")
        self._looked = time.monotonic()

    def on(self, node: Node) -> Any:
        """The strategy that runs a task on this node or nowhere."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node.id, soft=False)

    def _alive(self) -> dict[str, Node]:
        found = {}
        for each in self.ray.nodes():
            cores = int(each["Resources"].get("CPU", 0)) if each["Alive"] else 0
            if cores:
                name = f"{each['NodeManagerHostname']} ({each['NodeID'][:8]})"
                found[each["NodeID"]] = Node(id=each["NodeID"], name=name, cores=cores)
        return found

    def _asked(self, nodes: list[Node], tick: Callable[[], None]) -> list[tuple[Node, OptionError | None]]:
        """Each node with its answer, and how that differs from this machine's."""
        if not nodes:
            return []
        with question(self.shared) as asked:
            expected = answer(asked)
            # A core of its own is not needed: a node whose cores are busy can answer, too.
            remote = self.ray.remote(num_cpus=0, max_calls=1, max_retries=2)(ask)
            tasks = {node.id: remote.options(scheduling_strategy=self.on(node)).remote(asked) for node in nodes}
            self._wait(list(tasks.values()), tick)
            found = [(node, self._compared(node, tasks[node.id], expected)) for node in nodes]
        alive = self._alive() if any(problem for _, problem in found) else {}
        return [(node, problem) for node, problem in found if problem is None or node.id in alive]  # one was just lost

    def _wait(self, tasks: list[Any], tick: Callable[[], None]) -> None:
        waiting, end = tasks, time.monotonic() + _ANSWER_S
        try:
            while waiting and time.monotonic() < end:
                _, waiting = self.ray.wait(waiting, num_returns=len(waiting), timeout=_POLL_S)
                tick()
        finally:
            for task in waiting:
                self.ray.cancel(task, force=True)

    def _compared(self, node: Node, task: Any, expected: Facts) -> OptionError | None:
        try:
            text, problem = self.ray.get(task)
            node.facts = None if problem else facts_of(text)
        except (self.ray.exceptions.RayError, ValueError, ImportError) as error:
            problem = str(error)
        if node.facts is None:
            return OptionError(f"--address: node {node.name} {_why_silent(problem)}")
        try:
            require_alike(node.name, node.facts, expected, self.shared)
        except OptionError as error:
            return error
        self.warnings += warnings(node.name, node.facts, expected)
        return None


def _why_silent(problem: str) -> str:
    missing = [line for line in problem.splitlines() if "No module named" in line]
    if missing:
        module = missing[-1].partition("No module named")[2].strip(" '\".)").split("'")[0]
        return f"must have mbexport installed where its Ray is, got no module {module}: pip install 'mbexport[sweep]'"
    lines = problem.strip().splitlines() or ["no reason given"]
    return f"did not answer: {lines[-1]}"
