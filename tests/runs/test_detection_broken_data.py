"""Photos whose boxes are broken as somebody once labelled them: each is refused in one line, or fails the gate it must.

Good boxes are those of the shared small detector's photos. The table of docs/detection.md says the same in words.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boxes_by_hand import text, yolo_lines
from small_shapes import SIDE, photos_of

pytestmark = pytest.mark.run
Harm = Callable[[Path], None]


@pytest.fixture
def photos(small_shapes, tmp_path) -> Path:
    """A copy of the photos, to be broken."""
    return shutil.copytree(small_shapes.photos, tmp_path / "photos")


@pytest.fixture
def verified(cli, small_shapes, photos) -> Callable[..., Any]:
    """Verifies a good file on the photos, beside labels alone."""
    words = ("verify", small_shapes.file("fp32.onnx"), "--data", photos, "--no-latency")
    return lambda *options: cli(*words, *options)


@pytest.fixture
def built(cli, photos, tmp_path) -> Callable[..., Any]:
    """Looks at what a build of the photos would do; nothing is written."""
    network = ("--alpha", "0.25", "--resolution", SIDE)
    words = ("build", "--task", "detect", "--data", photos, *network, "--dry-run", "--out", tmp_path / "out")
    return lambda *options: cli(*words, *options)


def annotations(root: Path, part: str = "") -> list[Path]:
    return sorted((root / "Annotations").glob(f"{part}*.xml"))


def rewritten(root: Path, change: Callable[[str], str], *, part: str = "", count: int | None = None) -> None:
    """Change the text of the first annotations of a part."""
    for path in annotations(root, part)[:count]:
        before = path.read_text()
        path.write_text(change(before))
        assert path.read_text() != before


_BOX = re.compile(r"<xmin>(\d+)</xmin>\s*<ymin>(\d+)</ymin>\s*<xmax>(\d+)</xmax>\s*<ymax>(\d+)</ymax>")


def box_changed(change: Callable[..., tuple[int, ...]]) -> Callable[[str], str]:
    """Every box of an annotation with other numbers, made of its left, top, right and bottom."""

    def written(match: re.Match[str]) -> str:
        left, top, right, bottom = change(*map(int, match.groups()))
        return f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"

    return lambda content: _BOX.sub(written, content)


def no_boxes(root: Path) -> None:
    rewritten(root, lambda content: re.sub(r"<object>.*</object>", "", content, flags=re.DOTALL), part="test")


def outside(root: Path) -> None:
    rewritten(root, box_changed(lambda *edges: tuple(edge + SIDE for edge in edges)), part="test", count=1)


def corners_swapped(root: Path) -> None:
    rewritten(root, box_changed(lambda left, top, right, bottom: (right, bottom, left, top)), part="test", count=1)


def no_area(root: Path) -> None:
    rewritten(root, box_changed(lambda left, top, *_: (left, top, left, top)), part="test", count=1)


def another_size(root: Path) -> None:
    rewritten(root, lambda content: content.replace(f"<width>{SIDE}<", f"<width>{2 * SIDE}<"), part="test", count=1)


def in_train_and_test(root: Path) -> None:
    lists = root / "ImageSets" / "Main"
    lists.joinpath("train.txt").write_text(lists.joinpath("train.txt").read_text() + "test_0\n")


def cut_short(root: Path) -> None:
    rewritten(root, lambda content: content[: len(content) // 2], part="test", count=1)


def as_yolo(first: int) -> Harm:
    """The same photos and boxes in folders of YOLO, whose first class has that number."""

    def write(root: Path) -> None:
        for photo in photos_of("test"):
            lines = yolo_lines(photo, [*(f"unused {number}" for number in range(first)), "blue", "red"])
            text(root / "labels" / f"{photo.name}.txt", lines)
            (root / "images").mkdir(exist_ok=True)
            (root / "JPEGImages" / f"{photo.name}.png").rename(root / "images" / f"{photo.name}.png")
        for folder in ("Annotations", "JPEGImages", "ImageSets"):
            shutil.rmtree(root / folder)
        text(root / "data.yaml", "names: [blue, red]\n")

    return write


REFUSED = [
    (no_boxes, "the part test of {root} must hold a box that can be used, got none in 32 images"),
    (outside, "cannot be used, at most 0.00% may be (--max-bad); first: Annotations/test_0.xml: box 1 must lie in the"),
    (corners_swapped, "first: Annotations/test_0.xml: box 1 must have its left before its right and its top above its"),
    (no_area, "first: Annotations/test_0.xml: box 1 must have an area"),
    (another_size, "first: Annotations/test_0.xml: the size that it states must be its image's, 96 x 96, got 192 x 96"),
    (in_train_and_test, "train.txt must list other images, got test_0 in both"),
    (cut_short, "test_0.xml is not an annotation of Pascal VOC"),
    (
        as_yolo(1),
        "boxes must have classes from 0 to 1, as {root}/data.yaml names 2, got 1 to 2: write them anew from 0",
    ),
]


@pytest.mark.parametrize(("harm", "said"), REFUSED, ids=lambda given: getattr(given, "__name__", " "))
def test_broken_boxes_are_refused_in_one_line(verified, built, photos, harm, said):
    harm(photos)
    for command in (verified, built):
        done = command("--max-bad", "0")
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert said.format(root=photos) in done.stderr


def x_for_y(root: Path) -> None:
    rewritten(root, box_changed(lambda left, top, right, bottom: (top, left, bottom, right)))


def classes_exchanged(root: Path) -> None:
    other = {"blue": "red", "red": "blue"}
    rewritten(root, lambda content: re.sub("<name>(blue|red)<", lambda found: f"<name>{other[found[1]]}<", content))


def one_class_of_yolo_off_by_one(root: Path) -> None:
    """Numbers from 1, of which the last does not occur: nothing tells them from numbers from 0."""
    as_yolo(1)(root)
    for path in (root / "labels").iterdir():
        lines = [line for line in path.read_text().splitlines(keepends=True) if line.startswith("1")]
        path.write_text("".join(lines))


def of_another_photo(root: Path) -> None:
    paths = annotations(root, "test")
    texts = [path.read_text() for path in paths]
    for path, content, name in zip(paths, [*texts[5:], *texts[:5]], [path.stem for path in paths], strict=True):
        path.write_text(re.sub("<filename>.*</filename>", f"<filename>{name}.png</filename>", content))


JUDGED = [
    (x_for_y, {"as_labelled"}, "with x and y of the labelled boxes swapped AP50 would be 0.9"),
    (classes_exchanged, {"as_labelled"}, "with the labelled classes one "),
    (
        one_class_of_yolo_off_by_one,
        {"as_labelled"},
        "with the labelled classes one lower AP50 would be",
    ),
    (of_another_photo, {"above_chance"}, None),
]


@pytest.mark.parametrize(("harm", "gates", "reason"), JUDGED)
def test_boxes_that_are_possible_and_wrong_fail_their_gate(verified, photos, harm, gates, reason):
    """The good file is judged by them."""
    harm(photos)
    done = verified("--json")
    assert done.returncode == 1, done.stderr
    found = {gate["name"]: gate for gate in json.loads(done.stdout)["gates"]}
    assert gates <= {name for name, gate in found.items() if gate["verdict"] == "fail"}
    assert reason is None or reason in found["as_labelled"]["reason"]


def test_copies_of_a_picture_count_once(verified, photos):
    """A test set of one picture under many names proves nothing."""
    first = (photos / "JPEGImages" / "test_0.png").read_bytes()
    for path in (photos / "JPEGImages").glob("test_*.png"):
        path.write_bytes(first)
    done = verified("--json")
    report = json.loads(done.stdout)
    gates = {gate["name"]: gate for gate in report["gates"]}
    assert (done.returncode, gates["samples"]["verdict"], gates["samples"]["value"]) == (1, "fail", 1)
    assert report["data"]["copies"]["count"] == 31
