"""Folders of images with boxes in three formats: read alike, split as they say, in the order of classes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from boxes_by_hand import WRITERS, Photo, image, text, write_coco, write_voc, write_yolo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.data.boxes.open import BoxedImages, open_boxed

CAT_AND_DOG = [
    Photo(name="a", boxes=[("dog", 0, 0, 10, 10), ("cat", 20, 5, 40, 20)]),
    Photo(name="b", boxes=[("cat", 4, 2, 8, 4)]),
    Photo(name="c"),
]


def whole(root: Path, classes_file: Path | None = None) -> BoxedImages:
    return open_boxed(root, classes_file).evaluation(0)


def stems(images: BoxedImages) -> list[str]:
    return [Path(name).stem for name in images.images.names]


@pytest.fixture(params=WRITERS, ids=str)
def write(request):
    return WRITERS[request.param]


# ---- what a box is


def test_boxes_are_fractions_of_the_image(tmp_path: Path, write) -> None:
    found = whole(write(tmp_path, CAT_AND_DOG))
    assert stems(found) == ["a", "b", "c"]
    assert np.allclose(found.boxes[0].corners, [[0, 0, 0.5, 0.25], [0.25, 0.5, 1, 1]], atol=1e-6)
    assert found.boxes[0].classes.tolist() == [1, 0]  # in the order of names: cat, dog
    assert not found.boxes[0].is_difficult.any()
    assert found.images.labels.tolist() == [0, 0, 0]
    assert found.images.read(0).size == (40, 20)


def test_an_image_without_an_object_is_kept(tmp_path: Path, write) -> None:
    data = open_boxed(write(tmp_path, CAT_AND_DOG))
    assert len(data.evaluation(0).boxes[2]) == 0
    assert not data.left_out
    assert not data.problems
    assert data.problems.checked == 3


def test_voc_counts_pixels_from_1_and_ends_with_the_last(tmp_path: Path) -> None:
    root = write_voc(tmp_path, [Photo(name="a", boxes=[("x", 0, 0, 10, 10)])])
    assert "<xmin>1</xmin><ymin>1</ymin><xmax>10</xmax>" in (root / "Annotations" / "a.xml").read_text()
    assert whole(root).boxes[0].corners.tolist() == [[0, 0, 0.5, 0.25]]


def test_what_is_marked_as_difficult_or_as_a_crowd_is_difficult(tmp_path: Path) -> None:
    photos = [Photo(name="a", boxes=[("x", 0, 0, 10, 10), ("x", 1, 1, 10, 10)])]
    voc, coco = write_voc(tmp_path / "voc", photos), write_coco(tmp_path / "coco", photos)
    xml = voc / "Annotations" / "a.xml"
    xml.write_text(xml.read_text().replace("<difficult>0", "<difficult>1", 1))
    file = coco / "annotations" / "instances_all.json"
    file.write_text(file.read_text().replace('"iscrowd": 0', '"iscrowd": 1', 1))
    for root in (voc, coco):
        assert whole(root).boxes[0].is_difficult.tolist() == [True, False]


def test_a_part_of_an_object_in_voc_is_no_object(tmp_path: Path) -> None:
    root = write_voc(tmp_path, [Photo(name="a", boxes=[("person", 0, 0, 10, 10)])])
    xml = root / "Annotations" / "a.xml"
    inner = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part>"
    xml.write_text(xml.read_text().replace("</object>", f"{inner}</object>"))
    data = open_boxed(root)
    assert data.class_names == ("person",)
    assert data.evaluation(0).boxes[0].corners.tolist() == [[0, 0, 0.5, 0.25]]


def test_a_file_without_a_size_takes_that_of_the_image(tmp_path: Path) -> None:
    photo = Photo(name="a", boxes=[("x", 0, 0, 10, 10)])
    voc, coco = write_voc(tmp_path / "voc", [photo]), write_coco(tmp_path / "coco", [photo])
    xml, file = voc / "Annotations" / "a.xml", coco / "annotations" / "instances_all.json"
    xml.write_text(xml.read_text().replace("<width>40</width>", "<width>0</width>"))
    document = json.loads(file.read_text())
    del document["images"][0]["width"]
    file.write_text(json.dumps(document))
    for root in (voc, coco):
        assert whole(root).boxes[0].corners.tolist() == [[0, 0, 0.5, 0.25]]


sizes = st.tuples(st.integers(8, 60), st.integers(8, 60))


@st.composite
def photos(draw: st.DrawFn) -> list[Photo]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        width, height = draw(sizes)
        boxes = []
        for _ in range(draw(st.integers(1, 4))):
            left, top = draw(st.integers(0, width - 2)), draw(st.integers(0, height - 2))
            right, bottom = draw(st.integers(left + 2, width)), draw(st.integers(top + 2, height))
            boxes.append((draw(st.sampled_from(["Queen", "king", "ace of & <3"])), left, top, right, bottom))
        found.append(Photo(name=f"{number}.rf.{number}", boxes=boxes, size=(width, height)))
    return found


@given(photos())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_the_same_boxes_are_read_alike_from_every_format(tmp_path: Path, drawn: list[Photo]) -> None:
    shutil.rmtree(tmp_path)
    opened = [open_boxed(write(tmp_path / name, drawn)) for name, write in WRITERS.items()]
    names = tuple(sorted({box[0] for photo in drawn for box in photo.boxes}))
    for data in opened:
        assert data.class_names == names
        found = data.evaluation(0)
        assert stems(found) == [photo.name for photo in drawn]
        for photo, boxes in zip(drawn, found.boxes, strict=True):
            width, height = photo.size
            by_hand = [
                [top / height, left / width, bottom / height, right / width]
                for _, left, top, right, bottom in photo.boxes
            ]
            assert np.allclose(boxes.corners, by_hand, atol=1e-6)
            assert [names[index] for index in boxes.classes] == [box[0] for box in photo.boxes]


# ---- classes


def test_a_classes_file_gives_order_and_labels(tmp_path: Path) -> None:
    file = text(tmp_path / "classes.txt", "dog big dog\ncat\nhen\n")
    for write in (write_voc, write_coco):
        data = open_boxed(write(tmp_path / write.__name__, CAT_AND_DOG), file)
        assert data.class_names == ("big dog", "cat", "hen")
        assert data.evaluation(0).boxes[0].classes.tolist() == [0, 1]


def test_numbers_of_yolo_mean_lines_of_the_classes_file(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", CAT_AND_DOG)
    data = open_boxed(root, text(tmp_path / "classes.txt", "Katze\nHund\nHuhn\n"))
    assert data.class_names == ("Katze", "Hund", "Huhn")
    assert data.evaluation(0).boxes[0].classes.tolist() == [1, 0]


def test_one_class_is_enough(tmp_path: Path, write) -> None:
    root = write(tmp_path / "data", [Photo(name="a", boxes=[("face", 0, 0, 10, 10)])])
    assert open_boxed(root).class_names == ("face",)
    assert open_boxed(root, text(tmp_path / "classes.txt", "face\n")).class_names == ("face",)


def test_yolo_without_names_asks_for_them(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, CAT_AND_DOG)
    (root / "data.yaml").unlink()
    with pytest.raises(DataError, match="boxes whose classes are numbers need names: give --classes FILE"):
        open_boxed(root)


# ---- fingerprint and contents


def test_every_change_changes_the_fingerprint_and_a_copy_has_the_same_contents(tmp_path: Path, write) -> None:
    root = write(tmp_path / "data", CAT_AND_DOG)
    data = open_boxed(root)
    assert open_boxed(root).fingerprint == data.fingerprint
    copy = open_boxed(Path(shutil.copytree(root, tmp_path / "copy")))
    assert copy.fingerprint != data.fingerprint
    contents = data.contents()
    assert copy.contents() == contents
    moved = [Photo(name="a", boxes=[("dog", 0, 0, 11, 10), ("cat", 20, 5, 40, 20)]), *CAT_AND_DOG[1:]]
    other = open_boxed(write(tmp_path / "moved", moved))
    assert other.contents() != contents
    picture = next(root.rglob("b.png"))
    image(picture, colour=7)
    repainted = open_boxed(root)
    assert repainted.fingerprint != data.fingerprint
    assert repainted.contents() != contents


def test_a_box_that_moves_changes_the_fingerprint(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, CAT_AND_DOG)
    before = open_boxed(root).fingerprint
    text(root / "labels" / "b.txt", "1 0.5 0.5 0.1 0.1\n")
    assert open_boxed(root).fingerprint != before


# ---- recognizing


def test_a_folder_without_boxes_is_refused(tmp_path: Path) -> None:
    image(tmp_path / "cats" / "a.png")
    with pytest.raises(DataError) as caught:
        open_boxed(tmp_path)
    legal = (
        "Pascal VOC (Annotations/*.xml, or .xml beside images); COCO (annotations/*.json, or a .json beside images);"
    )
    assert str(caught.value).startswith(
        f"{tmp_path} must hold images and their boxes as {legal} YOLO (labels/*.txt, or"
    )
    with pytest.raises(DataError, match=r"--data must be a folder of images with boxes, got .*missing"):
        open_boxed(tmp_path / "missing")


def test_a_folder_in_two_formats_is_refused(tmp_path: Path) -> None:
    write_voc(write_yolo(tmp_path, CAT_AND_DOG), CAT_AND_DOG)
    with pytest.raises(DataError) as caught:
        open_boxed(tmp_path)
    said = "must hold boxes in one format, got Pascal VOC (Annotations/*.xml) and YOLO (labels/*.txt)"
    assert str(caught.value) == f"{tmp_path} {said}: move one of them out"


def test_the_folder_in_an_archive_is_suggested(tmp_path: Path, write) -> None:
    write(tmp_path / "VOC2007", CAT_AND_DOG)
    with pytest.raises(DataError, match=r"got none of these: is --data .*VOC2007 meant\?"):
        open_boxed(tmp_path)


def test_other_files_of_json_and_text_are_no_boxes(tmp_path: Path) -> None:
    root = write_voc(tmp_path, CAT_AND_DOG)
    text(root / "package.json", '{"name": "cats"}')
    text(root / "JPEGImages" / "readme.txt", "hello")
    assert len(whole(root)) == 3
