"""Where images and boxes of each format may lie, and which part of the data they belong to."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from boxes_by_hand import WRITERS, Photo, coco_json, image, text, voc_xml, write_coco, write_voc, write_yolo, yolo_lines

from mbexport.errors import DataError
from mbexport.models.data.boxes.open import BoxedImages, open_boxed

CAT_AND_DOG = [
    Photo(name="a", boxes=[("dog", 0, 0, 10, 10), ("cat", 20, 5, 40, 20)]),
    Photo(name="b", boxes=[("cat", 4, 2, 8, 4)]),
    Photo(name="c"),
]
SPLIT = [
    Photo(name="a", boxes=[("dog", 0, 0, 10, 10)], part="train"),
    Photo(name="b", boxes=[("cat", 4, 2, 8, 4)], part="train"),
    Photo(name="c", boxes=[("cat", 4, 2, 8, 4)], part="val"),
    Photo(name="d", boxes=[("dog", 4, 2, 8, 4)], part="test"),
]


def whole(root: Path, classes_file: Path | None = None) -> BoxedImages:
    return open_boxed(root, classes_file).evaluation(0)


def stems(images: BoxedImages) -> list[str]:
    return [Path(name).stem for name in images.images.names]


@pytest.fixture(params=WRITERS, ids=str)
def write(request):
    return WRITERS[request.param]


# ---- where files lie


def test_voc_beside_images(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    text(tmp_path / "a.xml", voc_xml(CAT_AND_DOG[0]))
    assert whole(tmp_path).images.names == ("a.png",)


def test_voc_beside_images_in_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        image(tmp_path / part / "a.png")
        text(tmp_path / part / "a.xml", voc_xml(CAT_AND_DOG[0]))
    data = open_boxed(tmp_path)
    assert [part.images.names for part in data.split(0)] == [("train/a.png",), ("test/a.png",)]
    assert data.validation() is None
    assert data.class_roots == (tmp_path / "train", tmp_path / "test")


@pytest.mark.parametrize("folders", [("images", "annotations"), ("data", "labels"), ("", "Annotations")])
def test_voc_in_folders_of_other_names(tmp_path: Path, folders: tuple[str, str]) -> None:
    image(tmp_path / folders[0] / "a.png")
    text(tmp_path / folders[1] / "a.xml", voc_xml(CAT_AND_DOG[0]))
    assert len(whole(tmp_path).boxes[0]) == 2


def test_the_image_has_the_name_of_its_annotation_or_the_one_inside(tmp_path: Path) -> None:
    """Files are renamed together, and the name in the XML is forgotten."""
    for name in ("new", "other"):
        image(tmp_path / "JPEGImages" / f"{name}.png")
    text(tmp_path / "Annotations" / "new.xml", voc_xml(Photo(name="other", boxes=[("x", 0, 0, 10, 10)])))
    assert whole(tmp_path).images.names == ("JPEGImages/new.png",)
    (tmp_path / "JPEGImages" / "new.png").unlink()
    assert whole(tmp_path).images.names == ("JPEGImages/other.png",)


@pytest.mark.parametrize(
    "nested", ["images/{part}/a.png labels/{part}/a.txt", "{part}/images/a.png {part}/labels/a.txt"]
)
def test_yolo_in_either_nesting(tmp_path: Path, nested: str) -> None:
    for part in ("train", "valid", "test"):
        picture, label = nested.format(part=part).split()
        image(tmp_path / picture)
        text(tmp_path / label, yolo_lines(CAT_AND_DOG[0], ["dog", "cat"]))
    text(tmp_path / "data.yaml", "train: ../train/images\nnc: 2\nnames: ['dog', 'cat']\n")
    data = open_boxed(tmp_path)
    train, test = data.split(0)
    aside = data.validation()
    assert aside is not None
    assert [part.images.names[0] for part in (train, aside, test)] == [
        nested.format(part=part).split()[0] for part in ("train", "valid", "test")
    ]
    assert test.boxes[0].classes.tolist() == [0, 1]


def test_yolo_beside_images_with_obj_names(tmp_path: Path) -> None:
    for name in "abcd":
        image(tmp_path / "obj_train_data" / f"{name}.png")
        text(tmp_path / "obj_train_data" / f"{name}.txt", yolo_lines(CAT_AND_DOG[1], ["cat"]))
    text(tmp_path / "obj_train_data" / "notes.txt", "nothing of interest\n")
    text(tmp_path / "obj.names", "cat\n")
    text(tmp_path / "train.txt", "".join(f"data/obj_train_data/{name}.png\n" for name in "abc"))
    found = whole(tmp_path)
    assert stems(found) == ["a", "b", "c"]
    assert found.boxes[0].classes.tolist() == [0]


def test_yolo_with_classes_that_labelimg_writes_beside_boxes(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a.png")
    text(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.2 0.2\n")
    text(tmp_path / "labels" / "classes.txt", "dog\ncat\n")
    data = open_boxed(tmp_path)
    assert data.class_names == ("dog", "cat")
    assert not data.problems


def test_lists_beside_folders_of_yolo_say_the_parts(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, [*CAT_AND_DOG, Photo(name="d", boxes=[("cat", 4, 2, 8, 4)])])
    text(root / "train.txt", "./images/a.png\n./images/d.png\n")
    text(root / "val.txt", "images/b.png\nimages/c.png\n")
    train, test = open_boxed(root).split(0)
    assert (stems(train), stems(test)) == (["a", "d"], ["b", "c"])


def test_coco_beside_images_in_parts(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        image(tmp_path / part / "a.png")
        image(tmp_path / part / "b.png")
        text(tmp_path / part / "_annotations.coco.json", coco_json(CAT_AND_DOG[:2]))
    train, test = open_boxed(tmp_path).split(0)
    assert train.images.names == ("train/a.png", "train/b.png")
    assert test.images.names == ("valid/a.png", "valid/b.png")


@pytest.mark.parametrize(
    ("file", "images", "prefix"),
    [
        ("instances.json", "", ""),
        ("labels.json", "data", ""),
        ("annotations/anything.json", "photos", ""),
        ("coco.json", "", "some/where/"),
        ("annotations/instances_all2017.json", "images", ".\\\\"),
    ],
)
def test_coco_finds_its_images(tmp_path: Path, file: str, images: str, prefix: str) -> None:
    inner = "" if prefix.startswith(".") else prefix
    image(tmp_path / images / f"{inner}a.png")
    text(tmp_path / file, coco_json(CAT_AND_DOG[:1]).replace('"a.png"', f'"{prefix}a.png"'))
    assert len(whole(tmp_path).boxes[0]) == 2


def test_coco_of_2017_has_its_images_in_folders_named_alike(tmp_path: Path) -> None:
    for part in ("train2017", "val2017"):
        image(tmp_path / part / "a.png")
        text(tmp_path / "annotations" / f"instances_{part}.json", coco_json(CAT_AND_DOG[:1]))
        text(tmp_path / "annotations" / f"captions_{part}.json", '{"images": [], "annotations": []}')
    train, test = open_boxed(tmp_path).split(0)
    assert (train.images.names, test.images.names) == (("train2017/a.png",), ("val2017/a.png",))


def test_two_categories_of_one_name_are_one_class_and_unused_ones_are_none(tmp_path: Path) -> None:
    """Tools add a category of the data set's own name that no box has."""
    root = write_coco(tmp_path, CAT_AND_DOG)
    file = root / "annotations" / "instances_all.json"
    document = json.loads(file.read_text())
    document["categories"] += [{"id": 0, "name": "cards"}, {"id": 1, "name": "cat"}]
    document["annotations"][1]["category_id"] = 1
    file.write_text(json.dumps(document))
    data = open_boxed(root)
    assert data.class_names == ("cat", "dog")
    assert [boxes.classes.tolist() for boxes in data.evaluation(0).boxes] == [[1, 0], [0], []]


def test_what_no_annotation_names_is_left_out(tmp_path: Path) -> None:
    voc, coco = write_voc(tmp_path / "voc", CAT_AND_DOG), write_coco(tmp_path / "coco", CAT_AND_DOG)
    image(voc / "JPEGImages" / "new.png")
    image(coco / "images" / "new.png")
    text(voc / "JPEGImages" / "notes.md", "no image")
    assert [each.name for each in open_boxed(voc).left_out.listed] == ["JPEGImages/new.png", "JPEGImages/notes.md"]
    assert dict(open_boxed(coco).left_out.photos) == {".png": 1}


def test_folders_beside_parts_are_left_out(tmp_path: Path, write) -> None:
    root = write_yolo(tmp_path, SPLIT)
    image(root / "images" / "more" / "x.png")
    assert [each.name for each in open_boxed(root).left_out.listed] == ["images/more"]


# ---- parts


def test_parts_are_those_that_the_data_says(tmp_path: Path, write) -> None:
    data = open_boxed(write(tmp_path, SPLIT))
    train, test = data.split(0)
    aside = data.validation()
    assert aside is not None
    assert [stems(part) for part in (train, aside, test)] == [["a", "b"], ["c"], ["d"]]
    assert stems(data.evaluation(3)) == ["d"]


def test_without_a_test_part_the_validation_part_is_tested_on(tmp_path: Path, write) -> None:
    data = open_boxed(write(tmp_path, SPLIT[:3]))
    assert [stems(part) for part in data.split(0)] == [["a", "b"], ["c"]]
    assert data.validation() is None


def test_without_parts_the_seed_splits_three_to_one(tmp_path: Path, write) -> None:
    many = [Photo(name=f"{number:02d}", boxes=[("x", 0, 0, 10, 10)]) for number in range(12)]
    rare = [Photo(name=f"rare{number}", boxes=[("y", 0, 0, 9, 9), ("x", 0, 0, 10, 10)]) for number in range(2)]
    data = open_boxed(write(tmp_path, [*many, *rare]))
    train, test = data.split(0)
    assert (len(train), len(test)) == (10, 4)
    assert sorted(stems(train) + stems(test)) == stems(data.evaluation(0))
    assert stems(data.split(0)[1]) == stems(test)
    assert len({tuple(stems(data.split(seed)[1])) for seed in range(5)}) > 1
    for part in (train, test):  # a class of two images is in both
        assert any(1 in boxes.classes for boxes in part.boxes)
        assert all(
            len(boxes) == (2 if "rare" in name else 1) for name, boxes in zip(stems(part), part.boxes, strict=True)
        )


def test_a_list_of_training_and_validation_together_is_learned_from(tmp_path: Path) -> None:
    root = write_voc(tmp_path, SPLIT)
    lists = root / "ImageSets" / "Main"
    (lists / "train.txt").rename(lists / "trainval.txt")
    assert stems(open_boxed(root).split(0)[0]) == ["a", "b"]
    text(lists / "trainval.txt", "a\nb\nc\n")
    text(lists / "dog_test.txt", "a 1\nb -1\n")  # of a class: no list of a part
    assert stems(open_boxed(root).split(0)[0]) == ["a", "b"]


def test_a_test_part_that_nobody_has_labelled_is_none(tmp_path: Path) -> None:
    voc, coco, yolo = (write(tmp_path / name, SPLIT) for name, write in WRITERS.items())
    (voc / "Annotations" / "d.xml").unlink()
    text(
        coco / "annotations" / "instances_test.json", '{"images": [{"id": 1, "file_name": "d.png"}], "categories": []}'
    )
    shutil.rmtree(yolo / "labels" / "test")
    for root in (voc, coco, yolo):
        data = open_boxed(root)
        assert [stems(part) for part in data.split(0)] == [["a", "b"], ["c"]], root
        assert data.validation() is None


def test_without_a_part_to_learn_from_there_is_no_split(tmp_path: Path, write) -> None:
    data = open_boxed(write(tmp_path, SPLIT[2:]))
    assert stems(data.evaluation(0)) == ["d"]
    with pytest.raises(DataError, match="must hold a part to learn from or to calibrate on, called train, got none"):
        data.split(0)


def test_images_are_taken_by_place(tmp_path: Path, write) -> None:
    found = whole(write(tmp_path, CAT_AND_DOG))
    chosen = found.subset(np.array([2, 0]))
    assert (stems(chosen), [len(boxes) for boxes in chosen.boxes]) == (["c", "a"], [0, 2])
    rest = found.without({1})
    assert (stems(rest), [len(boxes) for boxes in rest.boxes]) == (["a", "c"], [2, 0])
    assert found.without(()) is found
