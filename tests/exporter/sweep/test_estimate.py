"""How long points take, before they are built: larger ones longer, and by what finished ones took."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.dry_run import PlannedStage, Status
from mbexport.pipeline.plan import Trained
from mbexport.sweep import estimate
from mbexport.sweep.estimate import estimate_s, estimated_points_s
from mbexport.sweep.job import Ended
from mbexport.sweep.run import Sweep

EVERY = ("train", "verify")


def point(name: str, mult_adds: int, *, epochs: int = 4, waiting: tuple[str, ...] = EVERY) -> SimpleNamespace:
    own = ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=10)
    stages = [PlannedStage(name=each, status=Status.TO_RUN if each in waiting else Status.REUSED) for each in EVERY]
    planned = SimpleNamespace(
        stages=tuple(stages),
        network=SimpleNamespace(mult_adds=mult_adds),
        plan=SimpleNamespace(origin=Trained(spec=own, epochs=epochs)),
    )
    return SimpleNamespace(name=name, spec=own, planned=planned)


def sweep(*family: SimpleNamespace, cores: int = 1, images: int = 1000) -> Sweep:
    return Sweep(out=Path("nowhere"), folder=Path(), points=family, cores=cores, images=images)


@pytest.fixture
def known(monkeypatch):
    """What an earlier sweep finished, by name: the seconds that it took."""
    found: dict[str, float] = {}

    def finished(_workdir, asked):
        return Ended(name=asked.name, code=0, seconds=found[asked.name]) if asked.name in found else None

    monkeypatch.setattr(estimate, "finished", finished)
    return found


def test_a_training_by_hand(known, monkeypatch):
    monkeypatch.setattr(estimate, "_MULT_ADDS_PER_S", 1e9)
    monkeypatch.setattr(estimate, "_STAGES_S", 10.0)
    monkeypatch.setattr(estimate, "_START_S", 2.0)
    monkeypatch.setattr(estimate, "_COMPILING_S", 3.0)
    # 3 passes of 1e7 mult-adds over 1000 images in 4 epochs: 1.2e11
    assert estimated_points_s(sweep(point("a", 10_000_000))) == [2 + 10 + 3 + 120]
    assert estimated_points_s(sweep(point("a", 10_000_000, waiting=("verify",)))) == [12]
    assert estimated_points_s(sweep(point("a", 10_000_000, waiting=()))) == [2]


def test_finished_points_take_no_time_and_tell_of_the_others(known):
    family = [point("a", 10_000_000), point("b", 10_000_000)]
    plain = estimated_points_s(sweep(*family))
    known["a"] = 3 * plain[0]
    assert estimated_points_s(sweep(*family)) == pytest.approx([0, 3 * plain[1]])


def test_two_at_once_take_as_long_as_the_fuller_one_by_hand(known, monkeypatch):
    monkeypatch.setattr(estimate, "estimated_points_s", lambda _: [3.0, 5.0, 4.0])
    family = [point(name, 1) for name in "abc"]
    assert estimate_s(sweep(*family), jobs=1) == 12
    assert estimate_s(sweep(*family), jobs=2) == 7  # a and then c beside b
    assert estimate_s(sweep(*family), jobs=3) == 5


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=6), st.integers(1, 4))
def test_more_jobs_never_take_longer_nor_less_than_the_longest_point(costs, jobs):
    family = sweep(*(point(f"{number}", cost) for number, cost in enumerate(costs)))
    seconds = estimated_points_s(family)
    total = estimate_s(family, jobs=jobs)
    assert max(seconds) - 1e-9 <= total <= sum(seconds) + 1e-9
    assert total >= sum(seconds) / jobs - 1e-9
