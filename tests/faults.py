"""Let the n-th operation that changes the disk fail: raise, or end the process there.

What is counted are the functions of `os` that make, fill, move and remove files and folders; all of the product's
files go through them. Nothing of the product knows of this.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_CHANGES = ("mkdir", "unlink", "replace", "rmdir", "fsync")


class Disk:
    """The operations so far; at `fails_at` (from 1) `fail` is called in the place of the operation, or before it.

    `fail` gets the name of the operation and its first argument. If it returns, the operation is done.
    """

    def __init__(self, fails_at: int | None, fail: Callable[[str, Any], None]) -> None:
        self.count = 0
        self._fails_at, self._fail = fails_at, fail

    def before(self, name: str, first: Any) -> None:
        self.count += 1
        if self.count == self._fails_at:
            self._fail(name, first)


@contextmanager
def failing_disk(fails_at: int | None, fail: Callable[[str, Any], None]) -> Iterator[Disk]:
    """Count the operations of the block; without `fails_at` none of them fails.

    Nothing is flushed, for speed: a process that ends loses nothing that it wrote.
    """
    disk = Disk(fails_at, fail)
    originals = {name: getattr(os, name) for name in (*_CHANGES, "open")}

    def counted(name: str) -> Callable[..., Any]:
        def operation(first: Any, *rest: Any, **named: Any) -> Any:
            disk.before(name, first)
            return None if name == "fsync" else originals[name](first, *rest, **named)

        return operation

    def opened(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            disk.before("open", path)
        descriptor: int = originals["open"](path, flags, *rest, **named)
        return descriptor

    for name in _CHANGES:
        setattr(os, name, counted(name))
    os.open = opened
    try:
        yield disk
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def raising(error: BaseException) -> Callable[[str, Any], None]:
    """A failure that raises `error`."""

    def fail(_name: str, _first: Any) -> None:
        raise error

    return fail
