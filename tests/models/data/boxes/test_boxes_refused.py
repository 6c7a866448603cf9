"""Annotations that cannot be used at all are refused in one line."""

import json
import os
from pathlib import Path

import pytest
from boxes_by_hand import WRITERS, Photo, coco_json, image, text, voc_xml, write_coco, write_voc, write_yolo

from mbexport.errors import DataError
from mbexport.models.data.boxes import coco, stated
from mbexport.models.data.boxes.open import open_boxed

GOOD = ("x", 0, 0, 10, 10)


def refused(root: Path, classes_file: Path | None = None) -> str:
    with pytest.raises(DataError) as caught:
        open_boxed(root, classes_file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_empty_annotations_are_refused(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        root = write(tmp_path / name, [Photo(name="a"), Photo(name="b")])
        if name == "yolo":
            text(root / "data.yaml", "names: [x]")
        assert refused(root) == f"{root} must hold a box that can be used, got none in 2 images"


def test_a_part_without_boxes_is_refused(tmp_path: Path) -> None:
    photos = [Photo(name="a", boxes=[GOOD], part="train"), Photo(name="b", boxes=[("x", 5, 5, 5, 9)], part="val")]
    for name, write in WRITERS.items():
        said = refused(write(tmp_path / name, photos))
        assert said.startswith(
            f"the part val of {tmp_path / name} must hold a box that can be used, got none in 1 images; "
        )
        assert "must have an area" in said


def test_a_class_without_a_box_that_can_be_used_is_refused(tmp_path: Path) -> None:
    for write in (write_voc, write_coco):
        said = refused(write(tmp_path / write.__name__, [Photo(name="a", boxes=[GOOD, ("y", 5, 5, 5, 9)])]))
        assert said.startswith("class y must have a box that can be used, got none; first: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<annotation><object>", "no element found"),
        (b"<annotation>\xff</annotation>", "not well-formed"),
        (b"", "no element found"),
        (b"<project/>", "it must be an <annotation>, got <project>"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "unknown encoding"),
        (b'<!DOCTYPE a [<!ENTITY b "ha">]><annotation><filename>&b;</filename></annotation>', "no <!DOCTYPE"),
        ('<?xml version="1.0"?><!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>'.encode("utf-16"), "no <!DOCTYPE"),
        (b"<annotation>&undefined;</annotation>", "undefined entity"),
    ],
    ids=["cut", "bytes", "empty", "other", "encoding", "entities", "external", "undefined"],
)
def test_xml_that_is_no_annotation_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    root = write_voc(tmp_path, [Photo(name="a", boxes=[GOOD])])
    (root / "Annotations" / "a.xml").write_bytes(content)
    said = refused(root)
    assert said.startswith(f"{root / 'Annotations' / 'a.xml'} is not an annotation of Pascal VOC: ")
    assert reason in said


def test_xml_that_is_nested_without_end_ends_no_process(tmp_path: Path) -> None:
    root = write_voc(tmp_path, [Photo(name="a", boxes=[GOOD])])
    deep = 200_000
    xml = root / "Annotations" / "a.xml"
    xml.write_text(xml.read_text().replace("<object>", f"{'<a>' * deep}{'</a>' * deep}<object>"))
    assert len(open_boxed(root).evaluation(0).boxes[0]) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"images": [', "Expecting value"),
        ('{"images": [], "images": []}', "each name must be there once, got images again"),
        ('{"images": [NaN]}', "numbers must be finite, got NaN"),
        ("[]", "it must be an object"),
        ('{"images": {}, "categories": []}', "it must hold a list of objects called images"),
        ('{"images": [1], "categories": []}', "it must hold a list of objects called images"),
        ('{"images": []}', "it must hold a list of objects called categories"),
        ('{"images": [{"id": 1}], "categories": []}', "images[0].file_name must be a text that is not empty, got None"),
        ('{"images": [{"id": [1], "file_name": "a"}], "categories": []}', "images[0].id must be a whole number or a"),
        ('{"images": [], "categories": [], "annotations": [{}]}', "annotations[0].image_id must be a whole number or"),
        (
            '{"images": [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}], "categories": []}',
            "each image must be there once, got 2 (a) again",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}], "categories": []}',
            "each image must be there once, got 1 (b) again",
        ),
        (
            '{"images": [], "categories": [{"id": 1, "name": "x"}, {"id": 1, "name": "y"}]}',
            "each category must have an id of its own, got 1 for x and y",
        ),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_json_that_is_no_coco_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    root = write_coco(tmp_path, [Photo(name="a", boxes=[GOOD])])
    file = text(root / "annotations" / "instances_all.json", content)
    assert refused(root).startswith(f"{file} is not a file of boxes of COCO: {reason}")


def test_json_of_more_values_than_any_data_set_has_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_coco(tmp_path, [Photo(name="a", boxes=[GOOD])])
    file = root / "annotations" / "instances_all.json"
    content = file.read_text()
    for limit, more in (("_MOST_CONTAINERS", "[{}]"), ("_MOST_COMMAS", "[1,2]")):
        of_these = sum(map(content.count, "[{" if limit == "_MOST_CONTAINERS" else ","))
        monkeypatch.setattr(coco, limit, of_these)
        file.write_text(content)
        assert len(open_boxed(root).evaluation(0).boxes[0]) == 1
        file.write_text(f'{content[:-1]},"info":{more}}}')
        monkeypatch.setattr(coco, "parse_json", pytest.fail)
        assert refused(root).startswith(f"{file} is not a file of boxes of COCO: it must hold at most {of_these} ")
        monkeypatch.undo()


@pytest.mark.parametrize("name", ["x" * 5_000, "x/" * 3_000 + "x", "x" * 300 + ".png"])
def test_a_name_that_is_too_long_for_any_file_is_an_image_that_is_not_there(tmp_path: Path, name: str) -> None:
    photos = [Photo(name="a", boxes=[GOOD]), Photo(name="b", boxes=[GOOD])]
    root = write_coco(tmp_path, photos)
    file = root / "annotations" / "instances_all.json"
    file.write_text(file.read_text().replace('"a.png"', json.dumps(name)))
    assert len(open_boxed(root).evaluation(0).boxes) == 1


def test_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, [Photo(name="a", boxes=[GOOD])])
    (root / "labels" / "a.txt").write_bytes(b"\xff\xfe")
    assert refused(root).endswith("a.txt is not a file of boxes of YOLO: it is no text in UTF-8")


def test_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco, "_MOST_BYTES", 1 << 10)
    for name, write in WRITERS.items():
        root = write(tmp_path / name, [Photo(name="a", boxes=[GOOD] * 5)])
        file = next(path for path in root.rglob("*") if path.suffix in (".xml", ".json", ".txt"))
        with file.open("r+b") as content:
            content.truncate(stated.MOST_BYTES + 1)  # it is as long, and takes no room
        limit = 1 << 10 if name == "coco" else stated.MOST_BYTES
        assert refused(root) == f"{file} cannot be read: more than {limit} bytes"


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        root = write(tmp_path / name, [Photo(name="a", boxes=[GOOD]), Photo(name="b", boxes=[GOOD])])
        for ending in (".png", {"voc": ".xml", "coco": ".json", "yolo": ".txt"}[name]):
            file = next(path for path in sorted(root.rglob("*")) if path.suffix == ending)
            target = file.rename(tmp_path / f"{name}{ending}")
            file.symlink_to(target)
            said = refused(root)
            assert said.startswith(f"{file} links to {target}, outside the data folder {root}: pass --follow-links")
            assert len(open_boxed(root, follow_links=True).evaluation(0)) == 2
            file.unlink()
            target.rename(file)


def test_folders_that_are_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        root = write(tmp_path / name, [Photo(name="a", boxes=[GOOD])])
        for folder in (
            next(root.rglob("*.png")).parent,
            *(path for path in root.iterdir() if path.name != "data.yaml"),
        ):
            target = folder.rename(tmp_path / "elsewhere")
            folder.symlink_to(target)
            assert f"{folder} links to {target}, outside the data folder" in refused(root), folder
            assert len(open_boxed(root, follow_links=True).evaluation(0)) == 1
            folder.unlink()
            target.rename(folder)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        root = write(tmp_path / name, [Photo(name="a", boxes=[GOOD])])
        file = next(path for path in root.rglob("*") if path.suffix in (".xml", ".json", ".txt"))
        file.unlink()
        os.mkfifo(file)
        assert refused(root) == f"{file} cannot be read: no regular file"


def test_one_image_has_one_annotation(tmp_path: Path) -> None:
    photo = Photo(name="a", boxes=[GOOD])
    voc, yolo_root = write_voc(tmp_path / "voc", [photo]), write_yolo(tmp_path / "yolo", [photo])
    text(voc / "Annotations" / "old.xml", voc_xml(photo))
    said = "Annotations/old.xml must be the only annotation of image a.png, got a second one"
    assert refused(voc) == said
    image(yolo_root / "images" / "a.jpg")
    label = yolo_root / "labels" / "a.txt"
    assert refused(yolo_root) == f"{label} must hold the boxes of one image, got images/a.jpg and images/a.png"


def test_one_annotation_has_one_image(tmp_path: Path) -> None:
    root = write_voc(tmp_path, [Photo(name="a", boxes=[GOOD])])
    image(root / "JPEGImages" / "a.jpg")
    assert open_boxed(root).evaluation(0).images.names == ("JPEGImages/a.png",)  # which it names
    text(root / "Annotations" / "a.xml", voc_xml(Photo(name="z", boxes=[GOOD])))
    said = "must be the annotation of one image, got JPEGImages/a.jpg and JPEGImages/a.png"
    assert refused(root) == f"{root / 'Annotations' / 'a.xml'} {said}"


def test_an_image_in_two_parts_is_refused(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc", [Photo(name=name, boxes=[GOOD], part=part) for name, part in ("at", "bv")])
    lists = root / "ImageSets" / "Main"
    text(lists / "train.txt", "a\nb\n")
    text(lists / "val.txt", "b\n")
    said = "ImageSets/Main/train.txt and ImageSets/Main/val.txt must list other images, got b in both"
    assert refused(root).endswith(said)
    text(lists / "train.txt", "a\na\n")
    assert refused(root) == f"{lists / 'train.txt'} must list each image once, got a again"
    root = write_coco(tmp_path / "coco", [Photo(name="a", boxes=[GOOD])])
    for part in ("train", "val"):
        text(root / "annotations" / f"instances_{part}.json", coco_json([Photo(name="a", boxes=[GOOD])]))
    (root / "annotations" / "instances_all.json").unlink()
    assert refused(root) == f"{root} must hold other images in val than in train, got images/a.png in both"


def test_two_places_of_one_part_are_refused(tmp_path: Path) -> None:
    root = write_yolo(
        tmp_path, [Photo(name=name, boxes=[GOOD], part=part) for name, part in (("a", "val"), ("b", "valid"))]
    )
    said = "must hold one place for each part of the data, got val and valid: move one of them out"
    assert refused(root) == f"{root / 'images'} {said}"
