"""What a stage is: one value that says what it is called, what it reads, what it stands on, and what does its work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mbexport.pipeline.context import Context

Options = Mapping[str, object]
Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of the pipeline.

    `work` makes its files, by name, from a context; what is heavy it imports itself, so that a run whose stages are
    all reused loads no TensorFlow. Its result is reused while `options` (the values that it reads) and the stages
    `upstream` stay the same; of these only the ones that the run has count. A stage that is not `is_wanted` is left
    out. `check` runs behind it, whether it was reused or not, and may raise. What `is_shared` goes into a cache that
    other output folders read: it takes longer than to copy it, and its key alone decides it.
    """

    name: str
    work: Callable[[Context], Files]
    options: Callable[[Context], Options]
    upstream: tuple[str, ...] = ()
    is_wanted: Callable[[Context], bool] = lambda _: True
    check: Callable[[Context], None] = lambda _: None
    is_shared: bool = False
