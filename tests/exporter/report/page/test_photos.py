"""Photos with boxes: which images are shown, where boxes lie, and that labels leave each other and the photo room."""

import io
from typing import Any

import pytest
from example_detectors import INT8, INT8_ONNX, of_detector
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mbexport.report.page.detection.photos import MOST_PHOTOS, Label, Outline, photos, placed
from mbexport.report.page.svg import WIDTH_PX
from mbexport.report.page.view import numbered_artifacts

LABEL_PX = 15
HEIGHT = 255.0


def jpeg(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height)).save(stream, "JPEG")
    return stream.getvalue()


def shown(report: dict[str, Any], pictures: Any = None) -> Any:
    return photos(numbered_artifacts(report), pictures or {})


def test_an_image_is_shown_once_with_all_that_differ_there():
    found = shown(of_detector())
    assert len(found) == 6
    assert [[one.place for one, _, _ in each.counts] for each in found] == [[3, 4]] * 6
    differing = [sum(each.counts[0][1:]) for each in found]
    assert differing == sorted(differing, reverse=True)


def test_the_file_that_differs_most_is_drawn():
    report = of_detector()
    case = report["artifacts"][INT8_ONNX]["worst_images"][1]
    case["invented"] = 9
    first = shown(report)[0]
    assert (first.image, first.drawn.place) == (case["image"], 1 + INT8_ONNX)
    assert shown(of_detector())[0].drawn.place == 1 + INT8


def test_no_more_are_shown_than_anybody_looks_at():
    report = of_detector()
    worst = report["artifacts"][0]["worst_images"]
    worst += [{**report["artifacts"][INT8]["worst_images"][0], "image": str(at)} for at in range(100)]
    assert len(shown(report)) == MOST_PHOTOS


@pytest.mark.parametrize(("width", "height", "drawn_height"), [(480, 360, 255.0), (200, 400, 680.0)])
def test_boxes_lie_where_they_were_found(width, height, drawn_height):
    report = of_detector()
    name = report["artifacts"][INT8]["worst_images"][3]["image"]
    found = next(each for each in shown(report, {name: jpeg(width, height)}) if each.image == name)
    box = report["artifacts"][INT8]["worst_images"][3]["reference"][3]["box"]  # what was lost
    (lost,) = [each for each in found.outlines if each.side == "reference" and each.is_alone]

    assert (found.width_px, found.height_px, found.height) == (width, height, drawn_height)
    assert (lost.y, lost.x) == pytest.approx((box[0] * drawn_height, box[1] * WIDTH_PX), abs=0.06)
    assert (lost.height, lost.width) == pytest.approx(
        ((box[2] - box[0]) * drawn_height, (box[3] - box[1]) * WIDTH_PX), abs=0.06
    )


def test_what_one_side_has_alone_is_named_with_its_score():
    report = of_detector()
    name = report["artifacts"][INT8]["worst_images"][3]["image"]
    found = next(each for each in shown(report, {name: jpeg(480, 360)}) if each.image == name)
    assert (found.lost, found.new) == ("RBC 0.64", "RBC 0.41")
    assert {"RBC 0.64 lost", "RBC 0.41 new", "WBC 0.94"} <= {label.text for label in found.labels}
    assert [outline.is_alone for outline in found.outlines][-2:] == [True, True]  # drawn over the others


SIDES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
OUTLINES = st.builds(
    lambda across, down: Outline(
        x=across[0] * WIDTH_PX,
        y=down[0] * HEIGHT,
        width=(across[1] - across[0]) * WIDTH_PX,
        height=(down[1] - down[0]) * HEIGHT,
        side="artifact",
        is_alone=True,
    ),
    SIDES,
    SIDES,
)


def is_apart(one: Label, other: Label) -> bool:
    beside = one.x + one.width <= other.x + 0.11 or other.x + other.width <= one.x + 0.11
    return beside or abs(one.y - other.y) >= LABEL_PX - 0.11


@given(st.lists(st.tuples(OUTLINES, st.text("abc 0.9", min_size=1, max_size=30)), max_size=30))
def test_labels_keep_clear_of_each_other_and_of_the_edges(texts):
    found = placed(texts, HEIGHT)

    assert all(is_apart(one, other) for place, one in enumerate(found) for other in found[:place])
    assert all(each.x >= 0 and each.x + each.width <= WIDTH_PX + 0.11 for each in found)
    assert all(0 <= each.y <= HEIGHT - LABEL_PX for each in found)
    assert sum(each.width * LABEL_PX for each in found) <= 0.2 * WIDTH_PX * HEIGHT
    assert not texts or found  # the first always has room
