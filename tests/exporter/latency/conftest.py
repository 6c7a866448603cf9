"""Shared by tests of latency: a clock that only runners move on."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mbexport.latency import interleaved


class Clock:
    """A clock that only runners move on."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.calls: list[str] = []

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(interleaved, "time", SimpleNamespace(perf_counter=fake.perf_counter))
    return fake


@pytest.fixture
def runner(clock, table_runner) -> Callable[..., Any]:
    """Makes a runner whose calls take the given milliseconds, one after the other."""

    class Timed(table_runner):
        def __init__(self, name: str, costs_ms: Iterable[float]) -> None:
            super().__init__(name, np.zeros((1, 2), np.uint8))
            self.costs_ms = iter(costs_ms)

        def _invoke(self, feed):
            clock.calls.append(self.name)
            clock.now_s += next(self.costs_ms) / 1000
            return super()._invoke(feed)

    return Timed
