"""Fronts of intervals: small ones by hand, and what holds whatever the intervals are."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mbexport.latency.intervals import Interval
from mbexport.sweep.front import (
    Candidate,
    Status,
    could_dominate,
    dominates_by_value,
    exact,
    standings,
    surely_dominates,
)


def between(low: float, high: float) -> Interval:
    return Interval(value=(low + high) / 2, low=low, high=high)


def file(name: str, accuracy: Interval, cost: Interval) -> Candidate:
    return Candidate(name=name, accuracy=accuracy, cost=cost)


def statuses(*candidates: Candidate) -> list[str]:
    found = standings(candidates)
    return [found[each.name].status.value for each in candidates]


def test_a_front_of_exact_values_by_hand():
    small, large = file("small", exact(0.6), exact(1)), file("large", exact(0.9), exact(4))
    poor = file("poor", exact(0.5), exact(2))
    found = standings([small, large, poor])
    assert statuses(small, large, poor) == ["on", "on", "dominated"]
    assert found["poor"].dominated_by == ("small",)
    assert [found[name].is_estimated for name in ("small", "large", "poor")] == [True, True, False]


def test_intervals_that_overlap_decide_nothing():
    cheap, dear = file("cheap", between(0.78, 0.84), exact(1)), file("dear", between(0.80, 0.86), exact(2))
    assert not surely_dominates(cheap, dear)
    assert could_dominate(cheap, dear)
    assert not could_dominate(dear, cheap)
    assert statuses(cheap, dear) == ["on", "undecided"]
    assert standings([cheap, dear])["dear"].is_estimated  # its value is the higher one


def test_a_latency_that_overlaps_is_undecided_too():
    a, b = file("a", between(0.90, 0.92), between(4.9, 5.1)), file("b", between(0.80, 0.82), between(5.0, 5.2))
    assert statuses(a, b) == ["on", "undecided"]
    apart = file("b", between(0.80, 0.82), between(5.2, 5.3))
    assert statuses(a, apart) == ["on", "dominated"]


def test_the_same_cost_leaves_accuracy_to_decide():
    fp32, int8 = file("fp32", between(0.79, 0.85), exact(7)), file("int8", between(0.78, 0.84), exact(7))
    assert statuses(fp32, int8) == ["undecided", "undecided"]
    broken = file("broken", between(0.1, 0.2), exact(7))
    assert statuses(fp32, int8, broken) == ["undecided", "undecided", "dominated"]


def test_two_that_are_exactly_equal_are_both_on_the_front():
    assert statuses(file("a", exact(0.5), exact(1)), file("b", exact(0.5), exact(1))) == ["on", "on"]


def test_ends_that_touch_are_not_apart():
    a, b = file("a", between(0.8, 0.9), exact(1)), file("b", between(0.7, 0.8), exact(2))
    assert statuses(a, b) == ["on", "undecided"]


def test_who_dominates_is_not_dominated():
    best, middle, worst = (file(name, exact(top1), exact(1)) for name, top1 in (("a", 0.9), ("b", 0.8), ("c", 0.7)))
    found = standings([worst, middle, best])
    assert found["c"].dominated_by == found["b"].dominated_by == ("a",)


VALUES = st.integers(0, 6).map(float)  # few, so that many are equal


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    low, value, high = sorted(draw(st.tuples(VALUES, VALUES, VALUES)))
    return Interval(value=value, low=low, high=high)


def files(values: st.SearchStrategy[Interval]) -> st.SearchStrategy[list[Candidate]]:
    pairs = st.lists(st.tuples(values, values), max_size=9)
    return pairs.map(lambda found: [file(f"f{place}", *pair) for place, pair in enumerate(found)])


ANY = files(intervals() | VALUES.map(exact))
EXACT = files(VALUES.map(exact))


def of(candidates: Sequence[Candidate], status: Status) -> list[Candidate]:
    found = standings(candidates)
    return [each for each in candidates if found[each.name].status is status]


@given(ANY)
def test_sure_domination_is_an_order(candidates):
    for a in candidates:
        assert not surely_dominates(a, a)
        for b in candidates:
            assert not (surely_dominates(a, b) and surely_dominates(b, a))
            assert could_dominate(a, b) or not surely_dominates(a, b)
            for c in candidates:
                assert surely_dominates(a, c) or not (surely_dominates(a, b) and surely_dominates(b, c))


@given(EXACT)
def test_exact_values_leave_nothing_undecided(candidates):
    assert of(candidates, Status.UNDECIDED) == []
    found = standings(candidates)
    assert all(each.is_estimated is (each.status is Status.ON) for each in found.values())


@given(ANY)
def test_the_estimated_front_is_that_of_the_values(candidates):
    found = standings(candidates)
    front = [each for each in candidates if found[each.name].is_estimated]
    assert bool(front) is bool(candidates)
    assert not any(dominates_by_value(other, each) for other in candidates for each in front)


@given(ANY)
def test_what_is_dominated_is_so_by_one_that_is_not(candidates):
    found = standings(candidates)
    for each in found.values():
        assert bool(each.dominated_by) is (each.status is Status.DOMINATED)
        assert all(found[name].status is not Status.DOMINATED for name in each.dominated_by)
    assert bool(candidates) is any(each.status is not Status.DOMINATED for each in found.values())


@given(ANY.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_does_not_matter(both):
    given_, shuffled = both
    assert standings(given_) == standings(shuffled)


@given(ANY, st.tuples(intervals(), intervals()))
def test_one_that_is_surely_dominated_takes_nobody_off_the_front(candidates, pair):
    added = file("added", *pair)
    if any(surely_dominates(each, added) for each in candidates):
        before, after = of(candidates, Status.ON), of([*candidates, added], Status.ON)
        assert before == after


@given(ANY)
def test_narrower_intervals_never_contradict_wider_ones(candidates):
    narrow = [file(each.name, exact(each.accuracy.value), exact(each.cost.value)) for each in candidates]
    wide, sharp = standings(candidates), standings(narrow)
    for name, standing in wide.items():
        if standing.status is not Status.UNDECIDED:
            assert sharp[name].status is standing.status
