"""Real data in Pascal VOC's format, whole: photos of blood cells (BCCD, MIT licence)."""

from pathlib import Path

import numpy as np
import pytest

from mbexport.errors import DataError
from mbexport.models.data.boxes.open import BoxedData, open_boxed, require_few_bad


@pytest.fixture(scope="module")
def bccd(shared_data: Path) -> BoxedData:
    folder = shared_data / "detect" / "bccd"
    if not folder.is_dir():
        pytest.skip("the photos of blood cells are missing: set MBEXPORT_SHARED_DATA to a folder with detect/bccd")
    return open_boxed(folder)


def test_bccd_whole(bccd: BoxedData) -> None:
    train, test = bccd.split(0)
    aside = bccd.validation()
    assert aside is not None
    assert (len(train), len(aside), len(test)) == (205, 87, 72)
    assert bccd.class_names == ("Platelets", "RBC", "WBC")
    boxes = [each for part in (train, aside, test) for each in part.boxes]
    counts = np.bincount(np.concatenate([each.classes for each in boxes]))
    assert bccd.problems.checked == 4888
    assert counts.tolist() == [361, 4155 - 2, 372]
    corners = np.concatenate([each.corners for each in boxes])
    assert corners.min() == 0
    assert corners.max() == 1
    assert not bccd.left_out


def test_bccd_has_two_boxes_without_an_area(bccd: BoxedData) -> None:
    assert str(bccd.problems) == "2 boxes without an area"
    assert sorted(map(str, bccd.problems.listed)) == [
        "Annotations/BloodImage_00338.xml: box 13 must have an area, got 504 337 504 337",
        "Annotations/BloodImage_00343.xml: box 4 must have an area, got 181 329 181 329",
    ]
    require_few_bad(bccd.problems, 0.01)
    with pytest.raises(DataError, match=r"2 of 4888 boxes \(0\.04%\) cannot be used, at most 0\.00% may be"):
        require_few_bad(bccd.problems, 0)


def test_bccd_by_hand(bccd: BoxedData) -> None:
    """The first object of BloodImage_00001.xml: RBC, 68 315 286 480 in an image of 640 x 480."""
    train, _ = bccd.split(0)
    assert train.images.names[0] == "JPEGImages/BloodImage_00001.jpg"
    assert np.allclose(train.boxes[0].corners[0], [314 / 480, 67 / 640, 480 / 480, 286 / 640])
    assert train.images.read(0).size == (640, 480)
