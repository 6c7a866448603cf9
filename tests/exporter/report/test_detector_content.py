"""What a detector's report says of its anchors, and of boxes that cannot be used."""

import json

import jsonschema
import numpy as np
import pytest
from example_detectors import of_detector
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.data.boxes.problems import MOST_LISTED, BoxProblem, BoxProblems, Fault, ProblemTally
from mbexport.models.data.splits import Part
from mbexport.models.detection.boxes import Boxes
from mbexport.models.detection.detector import Detector
from mbexport.models.detection.settings import PostProcess
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.anchor_choice import choose_anchors
from mbexport.models.ssd.spec import SsdSpec
from mbexport.report.detector_content import anchors_json, boxes_json
from mbexport.report.schema import detection_schema

SPEC = SsdSpec(alpha=0.25, resolution=Resolution.square(192), classes=1)


@pytest.fixture(scope="module")
def choice():
    """The choice for ten boxes of a seventh of the side, which no anchor of TensorFlow's stride has beneath it."""
    middles = np.linspace(0.1, 0.9, 10)
    corners = np.stack([middles - 0.07, middles - 0.07, middles + 0.07, middles + 0.07], axis=1)
    return choose_anchors([Boxes.of(corners.astype(np.float32), [0] * 10)], SPEC)


def detector_of(choice) -> Detector:
    spec = choice.chosen.spec
    return Detector(table=choice.chosen.table, maps=spec.maps, resolution=spec.resolution, settings=PostProcess())


def problems(*faults: Fault) -> BoxProblems:
    tally = ProblemTally()
    tally.checked = 10
    for number, fault in enumerate(faults, start=1):
        tally.add(BoxProblem(fault=fault, file="labels/a.txt", what=f"line {number} must have an area", got="0 0 0 0"))
    return tally.problems()


def test_anchors_are_told_with_what_they_were_chosen_among(choice):
    told = anchors_json(detector_of(choice), choice)
    assert told["count"] == choice.chosen.spec.anchor_count
    assert told["scales"] == (0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
    assert (told["ratios"], told["lowest_scale"]) == ((1.0, 2.0, 0.5, 3.0, 1 / 3), 0.1)
    assert (told["code_scales"], told["boxes"]) == ((10.0, 10.0, 5.0, 5.0), 10)
    assert [each["feature_stride"] for each in told["candidates"]] == [16, 16, 16, 8, 8, 8]
    assert [each["is_chosen"] for each in told["candidates"]].count(True) == 1
    assert [each["verdict"] for each in told["candidates"]] == list(choice.verdicts)


def test_of_anchors_that_nobody_chose_no_choice_is_told(choice):
    told = anchors_json(detector_of(choice), None)
    assert (told["boxes"], told["candidates"]) == (None, [])
    assert told["count"] == choice.chosen.spec.anchor_count


def test_boxes_are_counted_by_part_and_kind():
    found = {
        Part.TRAIN: problems(Fault.NO_AREA, Fault.NO_AREA, Fault.OUTSIDE),
        Part.TEST: problems(),
    }
    told = boxes_json(found)
    assert (told["checked"], told["left_out"]) == (20, 3)
    assert told["parts"] == [
        {"part": "train", "checked": 10, "left_out": {"without an area": 2, "outside the image": 1}},
        {"part": "test", "checked": 10, "left_out": {}},
    ]
    assert told["listed"][0] == {
        "part": "train",
        "file": "labels/a.txt",
        "fault": "without an area",
        "problem": "line 1 must have an area, got 0 0 0 0",
        "boxes": 1,
    }


def test_both_follow_the_schema(choice):
    found = {Part.WHOLE: problems(*Fault)}
    own = {"anchors": anchors_json(detector_of(choice), choice), "boxes": boxes_json(found)}
    report = json.loads(json.dumps({**of_detector(), **own}))
    jsonschema.validate(report, detection_schema())


@given(st.lists(st.lists(st.sampled_from(Fault), max_size=4), min_size=1, max_size=3))
def test_what_is_left_out_is_the_sum_of_the_parts(faults):
    told = boxes_json({part: problems(*each) for part, each in zip(Part, faults, strict=False)})
    assert told["left_out"] == len(told["listed"]) == sum(sum(part["left_out"].values()) for part in told["parts"])


def test_of_a_part_the_first_thousand_are_listed():
    told = boxes_json({Part.TRAIN: problems(*[Fault.OUTSIDE] * (MOST_LISTED + 5)), Part.TEST: problems(Fault.NO_AREA)})
    assert len(told["listed"]) == MOST_LISTED + 1
    assert told["left_out"] == MOST_LISTED + 6
