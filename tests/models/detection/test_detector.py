"""What is known of a detector beside its network, and the facts that carry it."""

from dataclasses import replace

import numpy as np
import pytest

from mbexport.errors import DataError
from mbexport.models.detection.anchors import AnchorTable
from mbexport.models.detection.detector import Detector, detector_from_json, detector_to_json
from mbexport.models.detection.settings import PostProcess
from mbexport.models.facts import Facts, Output, facts_from_json, facts_to_json
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.anchor_choice import network_anchors
from mbexport.models.ssd.spec import SsdSpec

SPEC = SsdSpec(alpha=0.25, resolution=Resolution.parse("96x128"), classes=3)
DETECTOR = Detector(
    table=AnchorTable(lowest_scale=0.05),
    maps=SPEC.maps,
    resolution=SPEC.resolution,
    settings=PostProcess(max_detections=7),
)
FACTS = Facts(
    preprocess=Preprocess(resolution=SPEC.resolution, crop_fraction=1.0, is_stretched=True),
    classes=3,
    output=Output.DETECTIONS,
    alpha=0.25,
    mult_adds=1,
    parameters=1,
    architecture="{}",
    detector=DETECTOR,
)


def test_its_anchors_are_those_of_its_network():
    assert np.array_equal(DETECTOR.anchors, network_anchors(SPEC, DETECTOR.table))
    assert len(DETECTOR.anchors) == SPEC.anchor_count


def test_json_and_back():
    assert detector_from_json(detector_to_json(DETECTOR)) == DETECTOR
    assert facts_from_json(facts_to_json(FACTS)) == FACTS


def test_facts_of_a_classifier_say_nothing_of_it():
    own = replace(FACTS, output=Output.SOFTMAX, detector=None)
    assert "detector" not in facts_to_json(own)
    assert facts_from_json(facts_to_json(own)) == own


def test_values_that_it_cannot_have_are_refused():
    content = facts_to_json(FACTS).replace('"max_detections": 7', '"max_detections": 0')
    with pytest.raises(DataError, match="max detections must be from 1 to 1000, got 0"):
        facts_from_json(content)
