"""Which detections two detectors share: by hand, and laws."""

import numpy as np
import pytest
from detection_scenes import scenes
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.detection.boxes import Detections
from mbexport.verification.detection.pairing import NONE, are_alike, pair_counts, partners

SEEDS = st.integers(0, 10_000)
BOX = [0.2, 0.2, 0.6, 0.6]
NEAR = [0.2, 0.2, 0.6, 0.59]  # 0.975 of it
NEARER = [0.2, 0.2, 0.6, 0.598]
OFF = [0.2, 0.2, 0.6, 0.55]  # 0.875 of it


def found(*rows) -> Detections:
    """Detections of (box, class, score) each."""
    return Detections.of(*zip(*rows, strict=True)) if rows else Detections.of([], [], [])


@pytest.mark.parametrize(
    ("a", "b", "of_a", "of_b"),
    [
        ([(BOX, 0, 0.9)], [(NEAR, 0, 0.8)], [0], [0]),
        ([(BOX, 0, 0.9)], [(OFF, 0, 0.9)], [NONE], [NONE]),
        ([(BOX, 0, 0.9)], [(BOX, 1, 0.9)], [NONE], [NONE]),
        ([(BOX, 0, 0.9)], [], [NONE], []),
        ([], [(BOX, 0, 0.9)], [], [NONE]),
        # Each is the partner of one: that which overlaps most, whatever the scores.
        ([(BOX, 0, 0.9)], [(NEAR, 0, 0.9), (NEARER, 0, 0.1)], [1], [NONE, 0]),
        ([(NEAR, 0, 0.9), (BOX, 0, 0.8)], [(NEARER, 0, 0.9), (NEAR, 0, 0.2)], [1, 0], [1, 0]),
    ],
)
def test_partners_by_hand(a, b, of_a, of_b):
    assert [each.tolist() for each in partners(found(*a), found(*b))] == [of_a, of_b]


def test_counts_by_hand():
    reference = [found((BOX, 0, 0.9), (OFF, 1, 0.5), (NEAR, 2, 0.29)), found(), found((BOX, 0, 0.3))]
    artifact = [found((NEAR, 0, 0.7), (BOX, 2, 0.4)), found((BOX, 0, 0.8)), found((BOX, 0, 0.01))]
    counts = pair_counts(reference, artifact)
    # A partner need not be certain: what the reference saw with 0.29 backs the artifact's 0.4.
    assert counts.certain.tolist() == [[2, 2], [0, 1], [1, 0]]
    assert counts.paired.tolist() == [[1, 2], [0, 0], [1, 0]]
    assert counts.unpaired.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert counts.score_error == pytest.approx([0.2, 0, 0.29])


def test_alike_are_the_same_detections_in_the_same_order():
    one = found((BOX, 0, 0.9), (OFF, 1, 0.5))
    rounded = Detections.of(one.corners + np.float32(5e-6), one.classes, one.scores - np.float32(5e-6))
    others = [one, rounded, one.take(np.array([1, 0])), one.take(np.array([0])), found(), found((NEAR, 0, 0.9))]
    assert are_alike([one] * 6, others).tolist() == [True, True, False, False, False, False]
    assert are_alike([found()], [found()]).tolist() == [True]
    nothing = found((BOX, 0, np.nan))
    assert are_alike([nothing], [nothing]).tolist() == [False]


@given(SEEDS)
def test_every_detection_is_its_own_partner(seed):
    drawn = scenes(seed).detections
    counts = pair_counts(drawn, drawn)
    assert not counts.unpaired.any()
    assert not counts.score_error.any()
    assert are_alike(drawn, drawn).all()


@given(SEEDS, SEEDS)
def test_partners_are_mutual_and_counts_turn_round(seed, other):
    one, two = scenes(seed, is_coarse=True).detections, scenes(other, is_coarse=True).detections
    for a, b in zip(one, two, strict=True):
        of_a, of_b = partners(a, b, overlap=0.5)
        pairs = {(row, column) for row, column in enumerate(of_a.tolist()) if column != NONE}
        assert pairs == {(row, column) for column, row in enumerate(of_b.tolist()) if row != NONE}
        assert all(a.classes[row] == b.classes[column] for row, column in pairs)
    there, back = pair_counts(one, two, overlap=0.5), pair_counts(two, one, overlap=0.5)
    assert np.array_equal(there.certain, back.certain[:, ::-1])
    assert (there.paired <= there.certain).all()
