"""What is wrong with boxes: each is counted, listed in one line and left out."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from boxes_by_hand import WRITERS, Photo, image, text, write_coco, write_voc, write_yolo
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError, OptionError
from mbexport.models.data.boxes.open import BoxedData, open_boxed, require_few_bad
from mbexport.models.data.boxes.problems import MOST_LISTED, BoxProblem, BoxProblems, Fault, ProblemTally
from mbexport.models.data.splits import Part

GOOD = ("x", 0, 0, 10, 10)


def opened(write: Callable[..., Path], root: Path, *boxes: tuple[str, float, float, float, float]) -> BoxedData:
    """A photo of 40 x 20 px with a good box and others."""
    return open_boxed(write(root, [Photo(name="a", boxes=[GOOD, *boxes])]))


def lines(data: BoxedData) -> list[str]:
    assert len(data.evaluation(0).boxes[0]) == 1
    return [str(problem) for problem in data.problems.listed]


# ---- boxes that are left out


@pytest.mark.parametrize(
    ("box", "said"),
    [
        (("x", 5, 5, 5, 9), "must have an area"),
        (("x", 5, 9, 9, 9), "must have an area"),
        (("x", 9, 5, 5, 9), "must have its left before its right and its top above its bottom"),
        (("x", 5, 9, 9, 5), "must have its left before its right and its top above its bottom"),
        (("x", 5, 5, 43, 9), "must lie in the image"),
        (("x", 5, 5, 9, 23), "must lie in the image"),
        (("x", -3, 5, 9, 9), "must lie in the image"),
        (("x", 40.2, 5, 41.8, 9), "must lie in the image"),
        (("x", 400, 5, 410, 9), "must lie in the image"),
    ],
)
def test_a_box_that_is_none_is_listed_and_left_out(tmp_path: Path, box, said: str) -> None:
    places = {"voc": "Annotations/a.xml: box 2", "yolo": "labels/a.txt: line 2"}
    places["coco"] = "annotations/instances_all.json: annotation 2"
    for name, write in WRITERS.items():
        data = opened(write, tmp_path / name, box)
        (line,) = lines(data)
        assert line.startswith(f"{places[name]} {said}, got ")
        assert (data.problems.checked, data.problems.bad) == (2, 1)


def test_the_line_quotes_what_is_written(tmp_path: Path) -> None:
    assert lines(opened(write_voc, tmp_path / "voc", ("x", 9, 5, 5, 9)))[0].endswith(", got 10 6 5 9")
    assert lines(opened(write_coco, tmp_path / "coco", ("x", 9, 5, 5, 9)))[0].endswith(", got [9, 5, -4, 4]")
    assert lines(opened(write_yolo, tmp_path / "yolo", ("x", 8, 5, 4, 10)))[0].endswith(", got 0 0.15 0.375 -0.1 0.25")


def test_in_voc_one_pixel_is_what_a_click_leaves(tmp_path: Path) -> None:
    """xmin = xmax, ymin = ymax: by the letter a pixel wide and high."""
    (line,) = lines(opened(write_voc, tmp_path, ("x", 4, 4, 5, 5)))
    assert line == "Annotations/a.xml: box 2 must have an area, got 5 5 5 5"


@pytest.mark.parametrize("box", [("x", -1.9, 5, 9, 21.9), ("x", -1, -1, 41.9, 9)])
def test_what_reaches_less_than_two_pixels_beyond_the_image_is_cut_off(tmp_path: Path, box) -> None:
    for name, write in WRITERS.items():
        data = opened(write, tmp_path / name, box)
        assert not data.problems
        corners = data.evaluation(0).boxes[0].corners
        assert corners.min() == 0
        assert corners.max() == 1


def test_of_a_large_image_it_may_be_a_hundredth(tmp_path: Path) -> None:
    big = [Photo(name="a", boxes=[("x", 0, 0, 1009, 10), ("x", 0, 0, 1011, 10)], size=(1000, 20))]
    data = open_boxed(write_coco(tmp_path, big))
    assert data.evaluation(0).boxes[0].corners[:, 3].tolist() == [1]
    assert data.problems.counts == {Fault.OUTSIDE: 1}


@pytest.mark.parametrize("number", ["nan", "inf", "seven", "", "1e999"])
def test_what_is_no_number_is_no_box(tmp_path: Path, number: str) -> None:
    root = write_voc(tmp_path / "voc", [Photo(name="a", boxes=[GOOD, GOOD])])
    xml = root / "Annotations" / "a.xml"
    xml.write_text(xml.read_text()[::-1].replace(">xamx/<01>xamx<", f">xamx/<{number[::-1]}>xamx<", 1)[::-1])
    said = number or "nothing"
    assert lines(open_boxed(root)) == [f"Annotations/a.xml: box 2 must be four numbers, got 1 1 {said} 10"]
    root = write_yolo(tmp_path / "yolo", [Photo(name="a", boxes=[GOOD])])
    with (root / "labels" / "a.txt").open("a") as label:
        label.write(f"\n0 0.5 0.5 {number} 0.5\n")
    said = " ".join(f"0 0.5 0.5 {number} 0.5".split())
    assert lines(open_boxed(root)) == [f"labels/a.txt: line 3 must be four numbers, got {said}"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"bbox": [1, 2, 3]}, "annotation 2 must be four numbers, got [1, 2, 3]"),
        ({"bbox": [1, 2, 3, True]}, "annotation 2 must be four numbers, got [1, 2, 3, True]"),
        ({"bbox": ["1", "2", "3", "4"]}, "annotation 2 must be four numbers, got ['1', '2', '3', '4']"),
        ({"bbox": None}, "annotation 2 must be four numbers, got nothing"),
        ({"category_id": 99}, "annotation 2 must be of one of the 1 classes, got 99"),
        ({"category_id": None}, "annotation 2 must be of one of the 1 classes, got none"),
        ({"image_id": 99}, "image 99 of annotation 2 must be there, got none"),
        ({"bbox": [1, 2, 3, 1e-30]}, "annotation 2 must have an area, got [1, 2, 3, 1e-30]"),
    ],
)
def test_rows_of_coco_that_are_no_boxes(tmp_path: Path, row, said: str) -> None:
    root = write_coco(tmp_path, [Photo(name="a", boxes=[GOOD, GOOD])])
    file = root / "annotations" / "instances_all.json"
    document = json.loads(file.read_text())
    document["annotations"][1] |= row
    file.write_text(json.dumps(document))
    assert lines(open_boxed(root)) == [f"annotations/instances_all.json: {said}"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 0.5 0.5 0.2 0.2", "must be of one of the 1 classes, got 1"),
        ("-1 0.5 0.5 0.2 0.2", "must be of one of the 1 classes, got -1"),
        ("x 0.5 0.5 0.2 0.2", "must be of one of the 1 classes, got x"),
        ("0.5 0.5 0.5 0.2 0.2", "must be of one of the 1 classes, got 0.5"),
        ("0 0.5 0.5 0.2", "must be four numbers, got 0 0.5 0.5 0.2"),
        ("0 0.1 0.1 0.9 0.1 0.9 0.9", "must be four numbers, got 0 0.1 0.1 0.9 0.1 0.9 0.9"),
        ("0 20 10 8 4", "must lie in the image, got 0 20 10 8 4"),
        ("0 inf inf inf inf", "must be four numbers, got 0 inf inf inf inf"),
        ("0 1e308 1e308 1e308 1e308", "must lie in the image, got 0 1e308 1e308 1e308 1e308"),
    ],
)
def test_lines_of_yolo_that_are_no_boxes(tmp_path: Path, line: str, said: str) -> None:
    root = write_yolo(tmp_path, [Photo(name="a", boxes=[GOOD])])
    with (root / "labels" / "a.txt").open("a") as label:
        label.write(line)
    assert lines(open_boxed(root)) == [f"labels/a.txt: line 2 {said}"]


def test_a_class_written_with_a_point_is_a_number(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, [Photo(name="a", boxes=[GOOD])])
    text(root / "labels" / "a.txt", "0.0 0.5 0.5 0.2 0.2\r\n\r\n")
    assert not open_boxed(root).problems


def test_classes_off_by_one_are_refused(tmp_path: Path) -> None:
    """Only the last class would be missed; all others would be taken for their neighbours."""
    root = write_yolo(tmp_path, [Photo(name="a", boxes=[GOOD])], names=["x", "y"])
    text(root / "labels" / "a.txt", "1 0.5 0.5 0.2 0.2\n2 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError) as caught:
        open_boxed(root)
    said = f"boxes must have classes from 0 to 1, as {root / 'data.yaml'} names 2, got 1 to 2: write them anew from 0"
    assert str(caught.value).startswith(said)


def test_classes_that_the_file_does_not_name_are_unknown(tmp_path: Path) -> None:
    photos = [Photo(name="a", boxes=[GOOD, ("y", 0, 0, 5, 5), ("y", 5, 5, 5, 9)])]
    for write in (write_voc, write_coco):
        data = open_boxed(write(tmp_path / write.__name__, photos), text(tmp_path / "classes.txt", "x\nz\n"))
        assert data.class_names == ("x", "z")
        assert data.problems.counts == {Fault.NO_AREA: 1, Fault.UNKNOWN_CLASS: 1}  # none is counted twice
        assert lines(data)[1].endswith(" 2 must be of one of the 2 classes, got y")


# ---- images


def test_a_missing_image_is_listed_with_its_boxes(tmp_path: Path) -> None:
    photos = [Photo(name="a", boxes=[GOOD]), Photo(name="b", boxes=[GOOD, GOOD]), Photo(name="c")]
    for name, write in WRITERS.items():
        root = write(tmp_path / name, photos)
        for gone in "bc":
            next(root.rglob(f"{gone}.png")).unlink()
        data = open_boxed(root)
        assert lines(data)[0].partition(": ")[2] in (
            "image b.png must be there, got none",
            "image b must be there, got none",
        )
        assert data.problems.counts == {Fault.NO_IMAGE: 3}
        assert data.problems.checked == 4  # three boxes, and an image without one
        assert [Path(each).stem for each in data.evaluation(0).images.names] == ["a"]


def test_an_image_that_cannot_be_opened_is_listed(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        root = write(tmp_path / name, [Photo(name="a", boxes=[GOOD]), Photo(name="b", boxes=[GOOD])])
        next(root.rglob("b.png")).write_text("no image")
        line = str(open_boxed(root).problems.listed[0])
        assert line.endswith(" must be readable, got one that is not an image that can be read")


def test_a_stated_size_that_is_not_the_images_is_listed(tmp_path: Path) -> None:
    for write in (write_voc, write_coco):
        root = write(tmp_path / write.__name__, [Photo(name=name, boxes=[GOOD]) for name in "ab"])
        image(next(root.rglob("b.png")), (80, 40))
        data = open_boxed(root)
        said = "the size that it states must be its image's, 80 x 40, got 40 x 20"
        assert [str(each).partition(": ")[2] for each in data.problems.listed] == [said]
        assert data.problems.counts == {Fault.OTHER_SIZE: 1}
        assert len(data.evaluation(0)) == 1  # not an image without objects


def test_a_list_that_names_an_image_without_annotation(tmp_path: Path) -> None:
    root = write_voc(
        tmp_path, [Photo(name=name, boxes=[GOOD], part=part) for name, part in (("a", "train"), ("b", "val"))]
    )
    text(root / "ImageSets" / "Main" / "train.txt", "a\nlost\n")
    (problem,) = open_boxed(root).problems.listed
    assert str(problem) == "ImageSets/Main/train.txt: an annotation of lost must be there, got none"


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a/../../secret.png", "C:\\secret.png"])
def test_names_of_images_do_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    image(tmp_path / "secret.png")
    photos = [Photo(name="a", boxes=[GOOD]), Photo(name="b", boxes=[GOOD])]
    coco_root, voc = write_coco(tmp_path / "coco", photos), write_voc(tmp_path / "voc", photos)
    file, xml = coco_root / "annotations" / "instances_all.json", voc / "Annotations" / "b.xml"
    file.write_text(file.read_text().replace('"b.png"', json.dumps(name)))
    (voc / "JPEGImages" / "b.png").unlink()
    xml.write_text(xml.read_text().replace("b.png", name))
    for root in (coco_root, voc):
        assert [problem.fault for problem in open_boxed(root).problems.listed] == [Fault.NO_IMAGE]


# ---- counting


def test_more_bad_boxes_than_allowed_are_refused(tmp_path: Path) -> None:
    problems = opened(write_voc, tmp_path, ("x", 5, 5, 5, 9), GOOD, GOOD).problems
    assert str(problems) == "1 box without an area"
    require_few_bad(problems, 0.25)
    require_few_bad(BoxProblems(), 0)
    with pytest.raises(DataError) as caught:
        require_few_bad(problems, 0.2)
    said = "1 of 4 boxes (25.00%) cannot be used, at most 20.00% may be (--max-bad); first: "
    assert str(caught.value) == f"{said}Annotations/a.xml: box 2 must have an area, got 6 6 5 9"
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(OptionError, match="--max-bad must be from 0 to 1, got"):
            require_few_bad(problems, wrong)


def test_each_part_has_its_own_problems(tmp_path: Path) -> None:
    photos = [
        Photo(name="a", boxes=[GOOD, ("x", 5, 5, 5, 9), ("y", 0, 0, 5, 5)], part="train"),
        Photo(name="b", boxes=[GOOD], part="val"),
        Photo(name="c", boxes=[GOOD, ("y", 0, 0, 5, 5), ("y", 5, 5, 9, 9), ("x", 5, 5, 43, 9)], part="test"),
    ]
    data = open_boxed(write_voc(tmp_path, photos), text(tmp_path / "classes.txt", "x\n"))
    assert {part.value: (each.checked, dict(each.counts)) for part, each in data.problems_of.items()} == {
        "train": (3, {Fault.NO_AREA: 1, Fault.UNKNOWN_CLASS: 1}),
        "val": (1, {}),
        "test": (4, {Fault.OUTSIDE: 1, Fault.UNKNOWN_CLASS: 2}),
    }
    assert (data.problems.checked, data.problems.bad, len(data.problems.listed)) == (8, 5, 5)
    assert {each.file for each in data.problems_of[Part.TEST].listed} == {"Annotations/c.xml"}


FAULTS = st.lists(st.tuples(st.sampled_from(Fault), st.integers(1, 3)), max_size=5)


@given(st.lists(FAULTS, max_size=4))
def test_what_is_wrong_with_all_parts_is_the_sum_of_what_is_wrong_with_each(parts) -> None:
    tallies = [ProblemTally() for _ in parts]
    for tally, faults in zip(tallies, parts, strict=True):
        for number, (fault, boxes) in enumerate(faults):
            tally.checked += boxes
            tally.add(BoxProblem(fault=fault, file="a", what=f"box {number}", got="b", boxes=boxes))
    every = BoxProblems.joined(tally.problems() for tally in tallies)
    assert every.bad == every.checked == sum(boxes for faults in parts for _, boxes in faults)
    assert [each.fault for each in every.listed] == [fault for faults in parts for fault, _ in faults]
    assert every.counts == {
        fault: count for fault in Fault if (count := sum(n for part in parts for kind, n in part if kind is fault))
    }


def test_a_million_problems_are_counted_and_the_first_listed() -> None:
    tally = ProblemTally()
    for number in range(MOST_LISTED + 5):
        tally.add(BoxProblem(fault=Fault.OUTSIDE, file="a", what=f"box {number}", got="b", boxes=2))
    tally.add(BoxProblem(fault=Fault.NO_NUMBERS, file="a", what="box", got="b"))
    tally.count(Fault.NO_AREA, 0)
    found = tally.problems()
    assert len(found.listed) == MOST_LISTED
    assert found.bad == 2 * MOST_LISTED + 11
    assert str(found) == "1 box without four numbers, 2010 boxes outside the image"
    assert str(BoxProblems()) == "nothing"


def test_text_of_others_is_shown_in_one_short_line(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, [Photo(name="a", boxes=[GOOD])])
    with (root / "labels" / "a.txt").open("a") as label:
        label.write("\x1b[2J" + "9" * 500 + "\n")
    (line,) = lines(open_boxed(root))
    assert "\x1b" not in line
    assert len(line) < 120
