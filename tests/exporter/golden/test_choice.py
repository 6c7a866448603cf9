"""Which images make golden vectors."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mbexport.golden.choice import SAFE_LEAD, Candidates, choose_images

_LEADS = st.one_of(st.floats(0, 10), st.just(float("nan")), st.just(float("inf")))


def candidates(best, lead, *, change=None, truth=None):
    """Images that one artifact answers, or several: a row for each image."""
    rows = np.array(best, np.int64).reshape(len(best), -1)
    return Candidates(
        best=rows,
        lead=np.array(lead, np.float64).reshape(rows.shape),
        change=np.array(change or [0.0] * len(rows)),
        truth=None if truth is None else np.array(truth),
    )


@st.composite
def answers(draw):
    images, artifacts = draw(st.integers(1, 12)), draw(st.integers(1, 3))

    def table(values):
        return draw(st.lists(values, min_size=images * artifacts, max_size=images * artifacts))

    return Candidates(
        best=np.array(table(st.integers(0, 4))).reshape(images, artifacts),
        lead=np.array(table(_LEADS)).reshape(images, artifacts),
        change=np.array(draw(st.lists(st.floats(0, 99), min_size=images, max_size=images))),
        truth=draw(st.none() | st.lists(st.integers(0, 4), min_size=images, max_size=images).map(np.array)),
    )


def test_sure_images_of_different_classes_come_first():
    seen = candidates([5, 5, 6, 7, 8], [9.0, 9.0, 9.0, 2.9, 9.0], change=[1.0, 2.0, 3.0, 9.0, 0.5])
    assert choose_images(seen, most=3) == [2, 1, 4]
    assert choose_images(seen, most=9) == [2, 1, 4, 0]


def test_a_right_answer_goes_before_a_wrong_one_and_this_before_two_different_ones():
    seen = candidates([[1, 1], [1, 1], [1, 2]], [[9.0, 9.0]] * 3, change=[1.0, 2.0, 3.0])
    assert choose_images(seen, most=3) == [1, 0, 2]
    assert choose_images(replace(seen, truth=np.array([1, 0, 1])), most=3) == [0, 1, 2]


def test_the_artifact_that_is_least_sure_decides():
    assert choose_images(candidates([[1, 1], [2, 2]], [[99.0, 2.0], [3.0, 3.0]]), most=3) == [1]


def test_just_sure_is_sure():
    assert len(choose_images(candidates([1, 2], [SAFE_LEAD, SAFE_LEAD]), most=3)) == 2


def test_without_a_sure_image_the_best_one_alone():
    assert choose_images(candidates([1, 2, 3], [1.0, 2.0, float("nan")]), most=3) == [1]


def test_no_image_where_nothing_gives_numbers():
    assert choose_images(candidates([1, 2], [float("nan")] * 2), most=3) == []


@given(answers(), st.integers(1, 8))
def test_never_an_image_twice_nor_one_that_may_flip(seen, most):
    found = choose_images(seen, most=most)
    least = seen.least_lead
    assert len(found) == len(set(found)) <= most
    assert not np.isnan(least[found]).any()
    sure = int((least >= SAFE_LEAD).sum())
    assert len(found) == min(most, sure) if sure else len(found) == int(not np.isnan(least).all())
    if sure:
        assert (least[found] >= SAFE_LEAD).all()


@given(answers(), st.integers(1, 8))
def test_as_many_classes_as_there_are_sure_images_of(seen, most):
    sure = seen.best[seen.least_lead >= SAFE_LEAD, 0]
    if len(sure):
        assert len(set(seen.best[choose_images(seen, most=most), 0])) == min(most, len(set(sure.tolist())))


@given(answers())
def test_no_class_has_a_better_image_than_its_first(seen):
    """Of the images of one class the first chosen is one that no other is right more often than."""
    found = choose_images(seen, most=3)
    sure = np.flatnonzero(seen.least_lead >= SAFE_LEAD)
    for place, image in enumerate(found):
        label = seen.best[image, 0]
        if len(sure) and label not in seen.best[found[:place], 0]:
            alike = [other for other in sure if seen.best[other, 0] == label]
            assert seen.agreement(image) == max(map(seen.agreement, alike))
