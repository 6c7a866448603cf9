"""Anchors and codes: numbers by hand, and laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.models.detection.anchors import AnchorTable, anchors_of, decode, encode, uncovered
from mbexport.models.detection.boxes import iou, to_centers, to_corners
from mbexport.models.resolution import Resolution

MAPS = tuple(map(Resolution.square, (19, 10, 5, 3, 2, 1)))  # of the published detector, 300 px
ANCHORS = anchors_of(AnchorTable(), MAPS)

sides = st.tuples(*(st.floats(0, 1, width=32) for _ in range(4))).map(
    lambda ends: [min(ends[0], ends[2]), min(ends[1], ends[3]), max(ends[0], ends[2]), max(ends[1], ends[3])]
)
boxes = st.lists(sides.filter(lambda b: min(b[2] - b[0], b[3] - b[1]) > 1e-3), min_size=1, max_size=5).map(
    lambda rows: np.array(rows, np.float32)
)


def test_the_published_detector_has_1917_anchors():
    assert ANCHORS.shape == (19 * 19 * 3 + (100 + 25 + 9 + 4 + 1) * 6, 4) == (1917, 4)
    assert ANCHORS.dtype == np.float32


def test_the_first_and_the_last_place_by_hand():
    # Scales 0.2, 0.35 ... 0.95: a ratio r makes a box of scale / sqrt(r) by scale * sqrt(r).
    middle, wide, narrow = 0.5 / 19, 0.2 * math.sqrt(2), 0.2 / math.sqrt(2)
    lowest = [[middle, middle, *shape] for shape in ((0.1, 0.1), (narrow, wide), (wide, narrow))]
    np.testing.assert_allclose(ANCHORS[:3], lowest, rtol=1e-6)
    widest, between = 0.95 * math.sqrt(3), math.sqrt(0.95 * 1.0)
    shapes = [
        (0.95, 0.95),
        (0.95 / math.sqrt(2), 0.95 * math.sqrt(2)),
        (0.95 * math.sqrt(2), 0.95 / math.sqrt(2)),
        (0.95 / math.sqrt(3), widest),
        (widest, 0.95 / math.sqrt(3)),
        (between, between),
    ]
    np.testing.assert_allclose(ANCHORS[-6:], [[0.5, 0.5, *shape] for shape in shapes], rtol=1e-6)
    second = ANCHORS[19 * 19 * 3 :]
    np.testing.assert_allclose(second[0], [0.05, 0.05, 0.35, 0.35], rtol=1e-6)
    np.testing.assert_allclose(second[5, 2:], math.sqrt(0.35 * 0.5), rtol=1e-6)


def test_places_come_row_by_row_and_column_by_column():
    maps = [Resolution(height_px=2, width_px=3)]
    found = anchors_of(AnchorTable(scales=(0.5,)), maps)[::3, :2]
    np.testing.assert_allclose(found, [[y, x] for y in (0.25, 0.75) for x in (1 / 6, 0.5, 5 / 6)], rtol=1e-6)


def test_a_square_anchor_is_square_in_the_pixels_of_the_input():
    resolution = Resolution(height_px=100, width_px=200)
    (square, wide, _) = anchors_of(AnchorTable(scales=(0.5,)), [Resolution.square(1)], resolution=resolution)
    np.testing.assert_allclose(square[2:] * resolution.sides_px, [10, 10], rtol=1e-6)  # 0.1 of the shorter side
    np.testing.assert_allclose(wide[2:] * resolution.sides_px, [50 / math.sqrt(2), 50 * math.sqrt(2)], rtol=1e-6)


def test_tables_of_other_numbers_of_maps_are_refused():
    with pytest.raises(ValueError, match="a scale for each of 2 maps, got 6"):
        anchors_of(AnchorTable(), MAPS[:2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scales": ()}, "scales of anchors must rise"),
        ({"scales": (0.2, 0.2)}, "scales of anchors must rise"),
        ({"scales": (0.2, 1.1)}, "to at most 1, got (0.2, 1.1)"),
        ({"scales": (math.nan,)}, "scales of anchors must rise"),
        ({"lowest_scale": 0.0}, "lowest scale of anchors must be in (0, 1], got 0"),
        ({"ratios": (1.0, -1.0)}, "ratios and code scales must be positive"),
        ({"code_scales": (10.0, 10.0, 5.0, math.nan)}, "ratios and code scales must be positive"),
    ],
)
def test_tables_without_sense_are_refused(values, message):
    with pytest.raises(OptionError) as error:
        AnchorTable(**values)
    assert message in str(error.value)


def test_codes_by_hand():
    # A box half an anchor's height lower and a quarter of its width to the right, twice as high and as wide as it.
    anchor = np.array([[0.5, 0.5, 0.2, 0.4]], np.float32)
    box = to_corners(np.array([[0.6, 0.6, 0.4, 0.4]], np.float32))
    codes = [[10 * 0.5, 10 * 0.25, 5 * math.log(2), 0]]
    np.testing.assert_allclose(encode(anchor, box), codes, atol=1e-5)
    np.testing.assert_allclose(decode(anchor, np.array(codes, np.float32)), box, atol=1e-6)
    np.testing.assert_allclose(encode(anchor, box, (1, 1, 1, 1)), [[0.5, 0.25, math.log(2), 0]], atol=1e-5)


def test_an_anchor_itself_has_codes_of_zero():
    np.testing.assert_allclose(encode(ANCHORS, to_corners(ANCHORS)), 0, atol=1e-4)
    np.testing.assert_array_equal(decode(ANCHORS, np.zeros_like(ANCHORS)), to_corners(ANCHORS))


def test_a_box_of_no_height_has_finite_codes():
    codes = encode(ANCHORS[:1], np.array([[0.5, 0.2, 0.5, 0.4]], np.float32))
    assert np.isfinite(codes).all()
    assert codes[0, 2] == pytest.approx(5 * math.log(1e-8 / 0.1), rel=1e-5)


@given(boxes, st.integers(0, 1916), st.sampled_from([(10, 10, 5, 5), (1, 2, 3, 4)]))
def test_what_is_coded_is_decoded(corners, first, scales):
    anchors = np.resize(ANCHORS[first:], (len(corners), 4))
    np.testing.assert_allclose(decode(anchors, encode(anchors, corners, scales), scales), corners, atol=2e-6)


@given(boxes)
def test_what_is_decoded_is_coded(corners):
    anchors = ANCHORS[: len(corners)]
    codes = encode(anchors, corners)
    np.testing.assert_allclose(encode(anchors, decode(anchors, codes)), codes, atol=1e-2)


def test_uncovered_boxes_by_hand():
    anchors = to_centers(np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32))
    # The same, half of one, a third of one, and one between both.
    found = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.25], [0, 0, 0.5, 1 / 6], [0.25, 0.25, 0.75, 0.75]], np.float32)
    assert uncovered(anchors, found) == 0.5
    assert uncovered(anchors, found, 0.6) == 0.75
    assert uncovered(anchors, found[:0]) == 0


@given(boxes, st.floats(0.1, 0.9))
def test_the_uncovered_share_is_that_of_the_overlaps(corners, threshold):
    expected = (iou(np.resize(corners, (70, 4)), to_corners(ANCHORS[:200])).max(axis=1) < threshold).mean()
    assert uncovered(ANCHORS[:200], np.resize(corners, (70, 4)), threshold) == pytest.approx(expected)
