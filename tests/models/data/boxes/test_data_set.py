"""Images with boxes as a data set like any other."""

import pytest
from boxes_by_hand import Photo, write_voc, write_yolo

from mbexport.errors import DataError
from mbexport.models.data.boxes.data_set import holds_boxes, open_boxed_data

PHOTOS = [
    Photo(name="a", boxes=[("cat", 0, 0, 20, 10)], part="train"),
    Photo(name="b", boxes=[("dog", 4, 4, 8, 8), ("cat", 0, 0, 9, 9)], part="train"),
    Photo(name="c", boxes=[("cat", 0, 0, 40, 20)], part="val"),
    Photo(name="d", boxes=[("dog", 0, 0, 10, 10)], part="test"),
]


def test_objects_are_found_by_the_names_of_images(tmp_path):
    data = open_boxed_data(str(write_voc(tmp_path / "cells", PHOTOS)))
    train, test = data.split(0)
    assert data.class_names == ("cat", "dog")
    assert [each.classes.tolist() for each in data.objects(train.names)] == [[0], [1, 0]]
    assert [each.classes.tolist() for each in data.objects(test.names)] == [[1]]
    assert data.objects(tuple(reversed(train.names)))[1].corners.tolist() == [[0, 0, 0.5, 0.5]]
    assert (data.has_validation, data.is_photos) == (True, True)
    assert [each.classes.tolist() for each in data.objects(data.validation().names)] == [[0]]
    assert data.evaluation(0).names == test.names


def test_without_a_part_to_choose_on_there_is_none(tmp_path):
    data = open_boxed_data(str(write_voc(tmp_path / "cells", [each for each in PHOTOS if each.part != "val"])))
    assert (data.has_validation, data.validation) == (False, None)


def test_too_many_bad_boxes_are_refused(tmp_path):
    photos = [*PHOTOS, Photo(name="e", boxes=[("cat", 5, 5, 5, 9)], part="train")]
    folder = str(write_voc(tmp_path / "cells", photos))
    with pytest.raises(DataError, match=r"1 of 6 boxes \(16\.67%\) cannot be used, at most 1\.00% may be"):
        open_boxed_data(folder, max_bad=0.01)
    assert len(open_boxed_data(folder, max_bad=0.2).split(0)[0]) == 3


def test_a_folder_with_boxes_is_known(tmp_path):
    assert holds_boxes(str(write_voc(tmp_path / "voc", PHOTOS)))
    assert holds_boxes(str(write_yolo(tmp_path / "yolo", PHOTOS, ["cat", "dog"])))
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    assert not holds_boxes(str(tmp_path / "photos"))
    assert not holds_boxes("digits")
    assert not holds_boxes(str(tmp_path / "missing"))
