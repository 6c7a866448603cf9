"""The published figures agree with each other, and the nearest checkpoint is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.mobilenet_v1.published import (
    KERAS_PARAMETERS,
    MISPRINTED,
    PAPER,
    PUBLISHED,
)
from mbexport.models.mobilenet_v1.spec import Convolution
from mbexport.models.published import Published, nearest_quantized
from mbexport.models.resolution import Resolution


def row(alpha: float, px: int) -> Published:
    (found,) = (each for each in PUBLISHED if (each.alpha, each.side_px) == (alpha, px))
    return found


def test_there_is_one_checkpoint_for_each_alpha_and_resolution() -> None:
    expected = {(alpha, px) for alpha in (0.25, 0.5, 0.75, 1.0) for px in (128, 160, 192, 224)}
    assert {(each.alpha, each.side_px) for each in PUBLISHED} == expected
    assert len(PUBLISHED) == 16
    assert set(KERAS_PARAMETERS) == {alpha for alpha, _ in expected}


def test_accuracies_are_fractions_and_quantization_costs_some() -> None:
    for each in PUBLISHED:
        assert 0.3 < each.top1_int8 < each.top1_float < 0.8


@pytest.mark.parametrize(("alpha", "px", "drop"), [(1.0, 224, 0.012), (0.75, 224, 0.005), (0.75, 128, 0.023)])
def test_the_drop_is_float_minus_int8(alpha: float, px: int, drop: float) -> None:
    assert row(alpha, px).int8_drop == pytest.approx(drop)


def test_accuracy_rises_with_alpha_and_with_resolution() -> None:
    for px in (128, 160, 192, 224):
        accuracies = [row(alpha, px).top1_float for alpha in (0.25, 0.5, 0.75, 1.0)]
        assert accuracies == sorted(accuracies)
    for alpha in (0.25, 0.5, 0.75, 1.0):
        accuracies = [row(alpha, px).top1_float for px in (128, 160, 192, 224)]
        assert accuracies == sorted(accuracies)


def test_only_the_misprint_breaks_the_law_that_cost_goes_with_rho_squared() -> None:
    broken = [
        (each.alpha, each.side_px)
        for each in PUBLISHED
        if abs(each.mult_adds_m - row(each.alpha, 224).mult_adds_m * (each.side_px / 224) ** 2) > 1
    ]
    assert broken == [MISPRINTED]


def test_the_papers_comparisons_are_of_one_change_each() -> None:
    full_convolution, mobilenet, narrow, shallow = PAPER
    assert [row.table for row in PAPER] == [4, 4, 5, 5]
    assert {row.spec.resolution for row in PAPER} == {Resolution.square(224)}
    assert [row.spec.conv is Convolution.STANDARD for row in PAPER] == [True, False, False, False]
    assert [row.spec.shallow for row in PAPER] == [False, False, False, True]
    assert [row.spec.alpha for row in PAPER] == [1, 1, 0.75, 1]
    # Section 4.1: full convolutions gain 1.1 points of top-1, and thinner beats shallower by 3.1.
    assert full_convolution.top1 - mobilenet.top1 == pytest.approx(0.011)
    assert narrow.top1 - shallow.top1 == pytest.approx(0.031)


@pytest.mark.parametrize("each", PUBLISHED, ids=lambda each: f"{each.alpha}_{each.side_px:g}")
def test_a_published_network_is_its_own_nearest(each: Published) -> None:
    assert nearest_quantized(PUBLISHED, alpha=each.alpha, resolution=each.spec.resolution) is each


@pytest.mark.parametrize(
    ("alpha", "px", "nearest"),
    [
        (0.35, 96, (0.25, 128)),
        (0.05, 32, (0.25, 128)),
        (0.9, 1024, (1.0, 224)),
        (0.5, 170, (0.5, 160)),
        (0.74, 128, (0.75, 128)),
    ],
)
def test_nearest_quantized(alpha: float, px: int, nearest: tuple[float, int]) -> None:
    found = nearest_quantized(PUBLISHED, alpha=alpha, resolution=Resolution.square(px))
    assert (found.alpha, found.side_px) == nearest


@given(st.floats(min_value=0.001, max_value=1), st.integers(1, 32).map(lambda k: 32 * k))
def test_no_published_alpha_is_closer_than_the_nearest(alpha: float, px: int) -> None:
    found = nearest_quantized(PUBLISHED, alpha=alpha, resolution=Resolution.square(px))
    assert abs(found.alpha - alpha) <= 0.25
    assert all(abs(each.alpha - alpha) >= abs(found.alpha - alpha) for each in PUBLISHED)
