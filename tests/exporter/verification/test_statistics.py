"""Intervals and probabilities: closed forms by hand, published examples, laws, and how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from mbexport.verification.statistics import bootstrap_interval, mcnemar_p, score_interval, wilson_interval

Z2 = 1.959963984540054**2


@pytest.mark.parametrize(
    ("successes", "samples", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 10, 0.0, 0.2775),  # z^2 / (10 + z^2)
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_interval_is_the_published_one(successes, samples, low, high):
    assert wilson_interval(successes, samples) == pytest.approx((low, high), abs=5e-5)


COUNTS = st.integers(1, 2000).flatmap(lambda samples: st.tuples(st.integers(0, samples), st.just(samples)))


@given(COUNTS)
def test_wilson_interval_lies_in_0_to_1_and_holds_the_fraction(counts):
    successes, samples = counts
    low, high = wilson_interval(successes, samples)
    assert 0 <= low < high <= 1
    assert low - 1e-12 <= successes / samples <= high + 1e-12


@given(COUNTS, st.integers(2, 5))
def test_wilson_interval_narrows_with_more_samples(counts, times):
    (low, high), (few_low, few_high) = (wilson_interval(counts[0] * k, counts[1] * k) for k in (times, 1))
    assert high - low < few_high - few_low


@given(COUNTS)
def test_wilson_interval_of_failures_mirrors_that_of_successes(counts):
    successes, samples = counts
    low, high = wilson_interval(successes, samples)
    assert wilson_interval(samples - successes, samples) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (1, 0, 1.0),  # 2 / 2
        (5, 0, 0.0625),  # 2 / 32
        (6, 2, 0.2890625),  # 2 (1 + 8 + 28) / 256
        (0, 10, 0.001953125),  # 2 / 1024
    ],
)
def test_mcnemar_by_hand(only_a, only_b, p):
    assert mcnemar_p(only_a, only_b) == pytest.approx(p, abs=1e-12)
    assert mcnemar_p(only_b, only_a) == pytest.approx(p, abs=1e-12)


def test_mcnemar_calls_equal_classifiers_unequal_in_fewer_than_one_of_20_cases():
    rng = np.random.default_rng(0)
    drawn = rng.binomial(30, 0.5, 1000)
    calls = np.mean([mcnemar_p(int(count), 30 - int(count)) < 0.05 for count in drawn])
    assert 0.02 < calls <= 0.05  # exact: 4.3 %


@pytest.mark.parametrize(
    ("only_a", "only_b", "samples", "low", "high"),
    [
        (0, 0, 30, -0.113513, 0.113513),  # z^2 / (30 + z^2) = 3.841459 / 33.841459
        (0, 0, 500, -0.007624, 0.007624),  # 3.841459 / 503.841459
        (10, 0, 10, 0.444934, 1.0),  # (10 - z^2) / (10 + z^2)
        (0, 10, 10, -1.0, -0.444934),
        (0, 0, 0, -1.0, 1.0),
    ],
)
def test_score_interval_by_hand(only_a, only_b, samples, low, high):
    assert score_interval(only_a, only_b, samples) == pytest.approx((low, high), abs=1e-6)


@given(COUNTS)
def test_score_limit_is_wilsons_where_only_one_is_ever_right_alone(counts):
    # With b = 0 the most probable share q is 0 at the upper limit, and the equation becomes Wilson's.
    only_a, samples = counts
    assert score_interval(only_a, 0, samples)[1] == pytest.approx(wilson_interval(only_a, samples)[1], abs=1e-6)


def likeliest_share(only_a: int, only_b: int, samples: int, difference: float) -> float:
    """The q that maximizes a log(q + d) + b log q + rest log(1 - 2 q - d): looked for, not solved for."""

    def unlikelihood(share: float) -> float:
        counts = (only_a, only_b, samples - only_a - only_b)
        chances = (share + difference, share, 1 - 2 * share - difference)
        return -sum(count * np.log(chance) for count, chance in zip(counts, chances, strict=True))

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    return float(minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x)


@pytest.mark.parametrize(("only_a", "only_b", "samples"), [(12, 2, 68), (6, 2, 500), (30, 31, 200), (1, 5, 40)])
def test_score_limits_are_where_the_score_is_z(only_a, only_b, samples):
    for limit in score_interval(only_a, only_b, samples):
        share = likeliest_share(only_a, only_b, samples, limit)
        variance = samples * (2 * share + limit * (1 - limit))
        assert (only_a - only_b - samples * limit) ** 2 / variance == pytest.approx(Z2, rel=1e-4)


DISCORDANT = st.integers(1, 3000).flatmap(
    lambda samples: st.integers(0, samples).flatmap(
        lambda a: st.tuples(st.just(a), st.integers(0, samples - a), st.just(samples))
    )
)
INTERVALS = pytest.mark.parametrize("interval", [score_interval, bootstrap_interval], ids=["score", "bootstrap"])


@given(DISCORDANT)
@example((10, 0, 10))
@example((0, 3000, 3000))
def test_score_interval_holds_the_difference_and_is_antisymmetric(counts):
    only_a, only_b, samples = counts
    low, high = score_interval(only_a, only_b, samples)
    assert -1 <= low < high <= 1
    assert low - 1e-9 <= (only_a - only_b) / samples <= high + 1e-9
    assert score_interval(only_b, only_a, samples) == pytest.approx((-high, -low), abs=1e-12)


@given(DISCORDANT.filter(lambda counts: counts[2] < 300), st.integers(2, 5))
def test_score_interval_narrows_with_more_samples(counts, times):
    (low, high), (few_low, few_high) = (score_interval(*(count * k for count in counts)) for k in (times, 1))
    assert high - low < few_high - few_low


def test_bootstrap_interval_by_hand():
    # 1 of 2 images: the difference is 0, 1/2 or 1 in a quarter, a half, a quarter of the draws.
    assert bootstrap_interval(1, 0, 2) == (0.0, 1.0)
    assert bootstrap_interval(0, 0, 500) == (0.0, 0.0)
    assert bootstrap_interval(20, 0, 20) == (1.0, 1.0)
    # 50 to 30 of 1000: 0.02 +- 1.96 sqrt((80 - 0.4) / 1000^2) = 0.02 +- 0.01749
    assert bootstrap_interval(50, 30, 1000) == pytest.approx((0.0025, 0.0375), abs=0.0015)


@pytest.mark.parametrize(("only_a", "only_b"), [(5, 2), (0, 40), (17, 17)])
def test_bootstrap_interval_is_nearly_antisymmetric_and_the_same_each_time(only_a, only_b):
    low, high = bootstrap_interval(only_a, only_b, 400)
    assert bootstrap_interval(only_b, only_a, 400) == pytest.approx((-high, -low), abs=0.006)
    assert bootstrap_interval(only_a, only_b, 400) == (low, high)


@pytest.mark.parametrize(
    ("interval", "shares", "least"),
    [
        (score_interval, (0.03, 0.02), 0.93),
        (score_interval, (0.004, 0.0), 0.93),
        (score_interval, (0.002, 0.002), 0.93),
        (bootstrap_interval, (0.1, 0.06), 0.92),
    ],
)
def test_intervals_hold_the_truth_in_95_of_100_sets(interval, shares, least):
    samples, rng = 500, np.random.default_rng(1)
    drawn = rng.multinomial(samples, (*shares, 1 - sum(shares)), size=400)
    held = [low - 1e-12 <= shares[0] - shares[1] <= high + 1e-12 for low, high in intervals_of(interval, drawn)]
    assert np.mean(held) >= least


def intervals_of(interval, drawn):
    return [
        interval(int(only_a), int(only_b), int(sum(rest)) + int(only_a + only_b)) for only_a, only_b, *rest in drawn
    ]


def test_bootstrap_of_no_discordant_image_misses_a_real_difference():
    # The reason for the score interval: of a true difference of 0.2 %, 500 images show none every third time.
    assert bootstrap_interval(0, 0, 500)[1] < 0.002 < score_interval(0, 0, 500)[1]


@INTERVALS
@pytest.mark.parametrize("counts", [(-1, 0, 10), (0, -1, 10), (6, 5, 10), (1, 0, 0)])
def test_impossible_counts_are_refused(interval, counts):
    with pytest.raises(ValueError, match="discordant counts must be in"):
        interval(*counts)
