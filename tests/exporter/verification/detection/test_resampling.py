"""Intervals of samples of images: by hand, laws, and how often they hold the truth."""

import math

import numpy as np
import pytest
from detection_scenes import scenes
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.detection.average_precision import of_matches
from mbexport.models.detection.matches import class_matches
from mbexport.verification.detection.resampling import (
    DIFFERENCE,
    SAMPLES,
    image_samples,
    interval,
    sampled_precision,
    share,
)
from mbexport.verification.statistics import wilson_interval


def test_samples_have_as_many_images_and_are_the_same_each_time():
    samples = image_samples(7)
    assert samples.shape == (SAMPLES, 7)
    assert (samples.sum(axis=1) == 7).all()
    assert np.array_equal(samples, image_samples(7))
    assert not np.array_equal(samples, image_samples(7, seed=1))
    assert image_samples(0).shape == (0, 0)


def test_interval_by_hand():
    values = np.array([0.4, 0.6] * 50)
    # Student's 97.5 % point of 4 degrees of freedom is 2.776; samples scatter by 0.1 as four of five images do.
    half = 2.7764451 * 0.1 * math.sqrt(5 / 4)
    assert interval(0.55, values, images=5) == pytest.approx((0.55 - half, 0.55 + half))
    assert interval(0.9, np.append(values, np.nan), images=5) == pytest.approx((0.9 - half, 1))
    assert interval(-0.9, values, images=5, ends=DIFFERENCE) == pytest.approx((-1, half - 0.9))
    assert interval(0.55, values, images=1) == (0, 1)
    assert interval(0.55, np.full(3, np.nan), images=5) == (0, 1)
    assert all(map(math.isnan, interval(math.nan, values, images=5)))


def test_a_share_without_a_miss_is_as_sure_as_there_are_things():
    few = share(np.array([2, 3]), np.array([2, 3]), image_samples(2))
    assert (few.value, few.count, few.ci95) == (1.0, 5, wilson_interval(5, 5))


def test_a_share_is_less_sure_where_things_of_an_image_go_together():
    # Half of 40 images have lost all of their 25 things.
    of = np.full(40, 25)
    together, apart = share(of * (np.arange(40) % 2), of, image_samples(40)), share(of // 2, of, image_samples(40))
    assert together.ci95 == pytest.approx((0.35, 0.65), abs=0.03)  # as of 40 things, not of 1000
    assert apart.ci95 == wilson_interval(40 * 12, 1000)


def test_a_share_of_nothing_is_none():
    nothing = share(np.zeros(3, int), np.zeros(3, int), image_samples(3))
    assert math.isnan(nothing.value)
    assert nothing.count == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_an_interval_holds_the_share(counts):
    hits, misses = np.array(counts).T
    found = share(hits, hits + misses, image_samples(len(hits), samples=50))
    assert found.count == 0 or 0 <= found.ci95[0] <= found.value <= found.ci95[1] <= 1


@given(st.integers(0, 10_000))
def test_an_interval_holds_the_precision(seed):
    drawn = scenes(seed)
    matches = class_matches(drawn.detections, drawn.truth, 3)
    precision = of_matches(matches).ap
    low, high = interval(precision, sampled_precision(matches, image_samples(12, samples=60)).mean(axis=1), images=12)
    assert math.isnan(precision) or 0 <= low <= precision <= high <= 1


def test_intervals_of_precision_hold_that_of_many_images_in_most_sets():
    many = scenes(1, images=1500)
    truth = of_matches(class_matches(many.detections, many.truth, 3)).ap
    held = []
    for first in range(0, 1500, 60):
        chosen = slice(first, first + 60)
        matches = class_matches(many.detections[chosen], many.truth[chosen], 3)
        samples = sampled_precision(matches, image_samples(60, samples=200)).mean(axis=1)
        low, high = interval(of_matches(matches).ap, samples, images=60)
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.85  # of 25
