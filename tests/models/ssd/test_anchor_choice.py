"""The choice of stride and anchors: by hand on drawn boxes, and on real ones."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from mbexport.models.detection.anchors import AnchorTable
from mbexport.models.detection.boxes import Boxes, to_corners
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.anchor_choice import TABLES, choose_anchors, network_anchors
from mbexport.models.ssd.spec import SsdSpec

SPEC = SsdSpec(alpha=0.25, resolution=Resolution.square(192), classes=3)
CELLS = ("RBC", "WBC", "Platelets")


def squares(side: float, count: int = 200, number: int = 0) -> Boxes:
    """Square boxes of one size, anywhere."""
    middles = np.random.default_rng(0).uniform(side / 2, 1 - side / 2, (count, 2))
    return Boxes.of(to_corners(np.hstack([middles, np.full((count, 2), side)]).astype(np.float32)), [number] * count)


def read_cells(root: Path, split: str) -> list[Boxes]:
    """The boxes of each photo, but for those without an area."""
    found = []
    for name in (root / "ImageSets" / "Main" / f"{split}.txt").read_text().split():
        tree = ET.parse(root / "Annotations" / f"{name}.xml").getroot()
        height, width = (float(tree.findtext(f"size/{side}", "")) for side in ("height", "width"))
        rows = [
            [float(each.findtext(f"bndbox/{end}", "")) for end in ("ymin", "xmin", "ymax", "xmax")]
            for each in tree.iter("object")
        ]
        classes = [CELLS.index(each.findtext("name", "")) for each in tree.iter("object")]
        corners = np.array(rows) / [height, width, height, width]
        boxes = Boxes.of(corners, classes)
        found.append(boxes.take((corners[:, 2:] > corners[:, :2]).all(axis=1)))
    return found


def test_the_first_table_is_tensorflows() -> None:
    assert next(iter(TABLES.values())) == AnchorTable()
    assert TABLES["0.1-0.95"].scales == (0.1, 0.27, 0.44, 0.61, 0.78, 0.95)
    assert TABLES["0.1-0.95"].lowest_scale == 0.05


def test_large_objects_need_neither_finer_maps_nor_smaller_anchors() -> None:
    found = choose_anchors([squares(0.4), squares(0.6)], SPEC)
    assert (found.chosen.spec.feature_stride, found.chosen.table) == (16, AnchorTable())
    assert len(found.candidates) == len(found.reasons) == 6
    assert found.chosen.uncovered < 0.06
    assert found.reasons[0].startswith(f"stride 16, scales 0.2-0.95: {found.chosen.class_mean:.1%} of the boxes")
    assert all(reason.endswith("points better") for reason in found.reasons[1:])
    assert len(found.anchors) == SPEC.anchor_count


def test_small_objects_get_finer_maps_and_smaller_anchors() -> None:
    found = choose_anchors([squares(0.05)], SPEC)
    assert (found.chosen.spec.feature_stride, found.chosen.table_name) == (8, "0.1-0.95")
    assert len(found.anchors) == 2892
    # TensorFlow's smallest anchor has four times the area: IoU 1/4 at most.
    assert found.candidates[0].uncovered == 1
    assert found.reasons[-1].endswith("chosen, at least 10 points less")
    assert found.reasons[3].endswith("not chosen, less than 10 points better")  # the same anchors on finer maps


def test_what_was_chosen_only_at_first_is_told_so() -> None:
    """Smaller anchors leave less uncovered, and finer maps still less."""
    found = choose_anchors([squares(0.07)], SPEC)
    shares = [each.class_mean for each in found.candidates]
    assert shares[1] < shares[0] - 0.1
    assert shares[4] < shares[1] - 0.1
    assert found.verdicts[1] == "chosen at first, at least 10 points less"
    assert [verdict for verdict in found.verdicts if verdict.startswith("chosen,")] == [found.verdicts[4]]


def test_what_the_user_says_is_not_said_to_be_tensorflows() -> None:
    assert choose_anchors([squares(0.4)], SPEC, strides=(8,), tables=("0.2-0.95",)).verdicts == ("chosen by the user",)
    assert choose_anchors([squares(0.4)], SPEC, strides=(8,)).verdicts[0] == "the cheapest that the user allows"
    assert choose_anchors([squares(0.4)], SPEC).verdicts[0] == "what TensorFlow's detectors have"


def test_says_how_many_boxes_it_was_chosen_by() -> None:
    assert choose_anchors([squares(0.4), squares(0.6, count=7)], SPEC).boxes == 207
    assert choose_anchors([squares(0.13, count=9000)], SPEC).boxes == 4000


def test_a_stride_that_is_given_is_not_changed() -> None:
    found = choose_anchors([squares(0.05)], SPEC, strides=(16,))
    assert {each.spec.feature_stride for each in found.candidates} == {16}
    assert len(found.candidates) == len(TABLES)


def test_a_table_that_is_given_is_not_changed() -> None:
    found = choose_anchors([squares(0.4)], SPEC, tables=("0.1-0.95",))
    assert [(each.spec.feature_stride, each.table_name) for each in found.candidates] == [
        (16, "0.1-0.95"),
        (8, "0.1-0.95"),
    ]
    assert found.chosen.table == TABLES["0.1-0.95"]


def test_rare_classes_count_as_much_as_others() -> None:
    many, few = squares(0.4, count=396), squares(0.05, count=4, number=2)
    (candidate, *_) = choose_anchors([many, few], SPEC).candidates
    assert (candidate.by_class[0], candidate.by_class[2]) == (pytest.approx(3 / 396), 1)
    assert candidate.uncovered == pytest.approx((3 + 4) / 400)
    assert candidate.class_mean == pytest.approx((3 / 396 + 1) / 2)


def test_without_boxes_nothing_is_changed() -> None:
    chosen = choose_anchors([], SPEC).chosen
    assert (chosen.spec, chosen.table, chosen.uncovered) == (SPEC, AnchorTable(), 0)


def test_of_many_boxes_some_are_drawn() -> None:
    many = [squares(0.13, count=9000)]
    (first, again, other) = (choose_anchors(many, SPEC, seed=seed).candidates[0] for seed in (0, 0, 1))
    assert first == again != other
    assert first.uncovered == pytest.approx(other.uncovered, abs=0.04)


def test_a_table_of_another_form_is_refused() -> None:
    table = AnchorTable(ratios=(1.0,))
    with pytest.raises(ValueError, match=r"\(3, 6, 6, 6, 6, 6\) anchors a place, got a table of \(3, 2, 2, 2, 2, 2\)"):
        network_anchors(SPEC, table)


def test_blood_cells_as_they_were_measured(shared_data: Path) -> None:
    boxes = read_cells(shared_data / "detect" / "bccd", "train")
    assert sum(map(len, boxes)) == 2804
    found = choose_anchors(boxes, SPEC)
    uncovered = {(each.spec.feature_stride, each.table_name): each.uncovered for each in found.candidates}
    assert uncovered[16, "0.2-0.95"] == pytest.approx(0.29, abs=0.005)
    assert uncovered[8, "0.2-0.95"] == pytest.approx(0.069, abs=0.005)
    assert (found.chosen.spec.feature_stride, found.chosen.table_name) == (8, "0.2-0.95")
    named = {(each.spec.feature_stride, each.table_name): each.class_mean for each in found.candidates}
    # Finer maps are worth it, in the mean over classes; smaller anchors are not.
    assert named[16, "0.2-0.95"] - named[8, "0.2-0.95"] == pytest.approx(0.174, abs=0.005)
    assert named[8, "0.2-0.95"] - named[8, "0.15-0.95"] == pytest.approx(0.064, abs=0.005)
