"""What a kernel path is: one way in which a runtime may execute a file, and the part of the graph that it takes.

A format lists its paths as rows. Those that need nothing but our requirements are the usual ones; others run what a
phone's NPU or GPU, or a microcontroller, would run, and need a package or a driver. Rows hold functions whose heavy
imports lie inside.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbexport.formats.installable import Installable

if TYPE_CHECKING:
    from mbexport.formats.runner import Runner

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The part of a graph that a path executes itself.

    `taken` of `total` ops lie in `partitions` pieces; the others, `left`, are executed by `executor`. Where a runtime
    only says that it did not take all of them, `taken` is None. `device` is what executes, where that is not this
    machine's processor; `arena_bytes` is the memory that a microcontroller has to set aside.
    """

    taken: int | None
    total: int
    partitions: int = 1
    left: tuple[tuple[str, int], ...] = ()
    executor: str = "the CPU"
    device: str | None = None
    arena_bytes: int | None = None


def share_json(path: str, share: Share) -> Json:
    """The entry of a path in report.json."""
    return {
        "path": path,
        "taken": share.taken,
        "total": share.total,
        "partitions": share.partitions,
        "left": dict(share.left),
        "executor": share.executor,
        "device": share.device,
        "arena_bytes": share.arena_bytes,
    }


def counted(ops: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Each name with how often it occurs, by name."""
    return tuple(sorted(Counter(ops).items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPath(Installable):
    """One row: how files of a format are executed.

    `name` is that of `--path`, of report.json and of errors; one with `variants` is called `name:variant`, the first
    where none is given. `open` takes the file, the number of threads and the variant, empty where there is none.
    `share` is None for a path whose own kernels execute every op that `inspect --kernels` counts. Where a path is slow,
    `images` is how many it is given unless the user says otherwise; elsewhere the size of the file decides.
    """

    name: str
    title: str
    open: "Callable[[Path, int, str], Runner]"
    share: "Callable[[Runner], Share] | None" = None
    is_usual: bool = False
    images: int | None = None
    variants: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What it is called in a report, in each of its variants."""
        return tuple(f"{self.name}:{variant}" for variant in self.variants) or (self.name,)

    @property
    def spelling(self) -> str:
        """Its name with the variants that may be given, as errors list it."""
        return f"{self.name}[:{'|'.join(self.variants)}]" if self.variants else self.name
