"""Losses of classes, confusions and disputed images: by hand, and laws for any answers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.facts import Output
from mbexport.verification.classification.classes import ClassCount, Confusion, class_results


def findings(labels, reference, answer):
    return class_results(*(np.array(values, np.int64) for values in (labels, reference, answer)))


def test_losses_and_confusions_by_hand():
    labels = [4, 4, 4, 4, 7, 7, 7, 9, 9]
    reference = [4, 4, 4, 2, 7, 7, 3, 9, 0]
    answer = [2, 2, 4, 2, 3, 7, 3, 9, 9]
    found = findings(labels, reference, answer)
    four = ClassCount(index=4, images=4, reference_right=3, right=1)
    seven = ClassCount(index=7, images=3, reference_right=2, right=1)
    nine = ClassCount(index=9, images=2, reference_right=1, right=2)
    assert found.shown == (four, seven, nine)
    assert [count.lost for count in found.shown] == [2, 1, -1]
    assert found.worst == (four, seven)
    assert found.confusions == (
        Confusion(index=4, answer=2, count=3, reference_count=1),
        Confusion(index=7, answer=3, count=2, reference_count=1),
    )


def test_of_equally_frequent_confusions_new_ones_come_first():
    found = findings([1, 1, 1, 1, 1], [0, 1, 1, 1, 1], [0, 2, 1, 3, 3])
    assert [(one.answer, one.count, one.reference_count) for one in found.confusions] == [
        (3, 2, 0),
        (2, 1, 0),
        (0, 1, 1),
    ]


def test_of_more_than_50_classes_the_ten_that_lost_most_are_shown():
    labels = np.arange(51).repeat(2)
    answer = labels.copy()
    answer[[10, 11, 40, 100]] = 99  # classes 5, 20 and 50 lose 2, 1 and 1
    found = findings(labels, labels, answer)
    assert [count.index for count in found.shown] == [5, 20, 50, 0, 1, 2, 3, 4, 6, 7]
    assert [count.index for count in found.worst] == [5, 20, 50]
    assert len(findings(labels[:100], labels[:100], answer[:100]).shown) == 50


ANSWERS = st.lists(st.tuples(*[st.integers(0, 12)] * 3), max_size=80)


@given(ANSWERS)
def test_classes_add_up(rows):
    labels, reference, answer = np.array(rows, np.int64).reshape(-1, 3).T
    found = findings(labels, reference, answer)
    assert sum(count.images for count in found.shown) == len(rows)
    assert sum(count.right for count in found.shown) == (answer == labels).sum()
    assert sum(count.lost for count in found.shown) == (reference == labels).sum() - (answer == labels).sum()
    lost = [count.lost for count in found.worst]
    assert lost == sorted(lost, reverse=True)
    assert len(lost) <= 10
    assert all(loss > 0 for loss in lost)
    worst = {count.index: count.images - count.right for count in found.worst}
    for index, wrong in worst.items():
        assert sum(one.count for one in found.confusions if one.index == index) <= wrong
    assert all(one.answer != one.index and one.index in worst for one in found.confusions)


def test_disagreements_by_hand(table_runner, verified):
    reference = [[0.9, 0.1, 0.0], [0.5, 0.4, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3]]
    scores = [[0.8, 0.2, 0.0], [0.4, 0.5, 0.1], [0.0, 0.1, 0.9], [0.3, 0.2, 0.5]]
    (accuracy,) = verified([table_runner("a", np.float32(scores))], [0, 1, 2, 1], reference=reference).artifacts
    assert accuracy.disagreement_count == 3
    found = [(one.image, one.label, one.reference, one.artifact) for one in accuracy.disagreements]
    assert found == [("2.png", 2, 0, 2), ("3.png", 1, 1, 2), ("1.png", 1, 0, 1)]
    # Image 2: 0.9 - 0.1 beats 0.6 - 0.0; image 3: 0.5 - 0.2 beats 0.5 - 0.3; image 1: 0.1 both ways.
    np.testing.assert_allclose([one.severity for one in accuracy.disagreements], [0.8, 0.3, 0.1], atol=1e-6)
    worst = accuracy.disagreements[0]
    np.testing.assert_allclose([worst.reference_score, worst.artifact_score], [0.6, 0.9], atol=1e-6)


@given(st.integers(1, 60), st.sampled_from(list(Output)), st.integers(0, 2**32 - 1))
def test_disagreements_are_the_worst_24_in_order(table_runner, verified, count, kind, seed):
    rng = np.random.default_rng(seed)
    scores, reference = rng.random((2, count, 4), dtype=np.float32)
    found = verified([table_runner("a", scores)], [0] * count, reference=reference, kind=kind)
    (accuracy,) = found.artifacts
    severities = [one.severity for one in accuracy.disagreements]
    assert severities == sorted(severities, reverse=True)
    assert len(severities) == min(accuracy.disagreement_count, 24)
    assert all(0 <= severity <= 1 for severity in severities)
    assert all(one.reference != one.artifact for one in accuracy.disagreements)
    np.testing.assert_allclose(accuracy.agreement, 1 - accuracy.disagreement_count / count, atol=1e-12)
