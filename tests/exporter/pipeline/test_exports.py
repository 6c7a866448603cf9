"""Which files a plan asks for, by hand, and what has to be made for them, by law."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mbexport.artifact import Precision
from mbexport.errors import OptionError
from mbexport.formats.registry import EXPORTED, formats_of
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.spec import SsdSpec
from mbexport.pipeline.build import STAGES
from mbexport.pipeline.exports import EXPORTS, delivered, needed
from mbexport.pipeline.plan import BuildPlan, Trained

CLASSIFIER = ModelSpec(resolution=Resolution.square(64), classes=10)
DETECTOR = SsdSpec(resolution=Resolution.square(96), classes=3)
BOTH = (Precision.FP32, Precision.INT8)


def make(spec=DETECTOR, **changed) -> BuildPlan:
    return BuildPlan(**{"name": "net", "origin": Trained(spec=spec, epochs=1), "out": Path("out"), **changed})


def names_of(plan: BuildPlan) -> list[str]:
    return [each.name(plan.name) for each in delivered(plan)]


def test_raw_heads_come_beside_the_usual_files():
    usual = ["net_fp32.tflite", "net_fp32.onnx", "net_int8.tflite", "net_int8.onnx"]
    assert names_of(make(precisions=BOTH)) == usual
    assert names_of(make(precisions=BOTH, raw_heads=True)) == [
        *usual[:2],
        "net_fp32_raw.tflite",
        *usual[2:],
        "net_int8_raw.tflite",
    ]
    assert names_of(make(precisions=BOTH[1:], formats=("tflite",), raw_heads=True)) == [
        "net_int8.tflite",
        "net_int8_raw.tflite",
    ]


def test_there_are_raw_heads_of_detectors_in_a_format_that_has_them():
    with pytest.raises(OptionError, match="--raw-heads is for --task detect, got --task classify: drop --raw-heads"):
        make(CLASSIFIER, raw_heads=True)
    with pytest.raises(OptionError, match="--raw-heads needs --format tflite, got --format onnx"):
        make(formats=("onnx",), raw_heads=True)


def test_every_artifact_has_a_stage_and_a_name_of_its_own():
    stages = [each.stage for each in EXPORTS]
    assert [stage.name for stage in STAGES if stage.name in stages] == stages
    assert len(set(stages)) == len({each.name("net") for each in EXPORTS}) == len(EXPORTS)


@given(
    precisions=st.lists(st.sampled_from(list(Precision)), min_size=1, unique=True).map(tuple),
    formats=st.sets(st.sampled_from([each.name for each in EXPORTED]), min_size=1).map(tuple),
    raw_heads=st.booleans(),
)
def test_what_has_to_be_made_is_what_is_delivered_and_its_sources(precisions, formats, raw_heads):
    assume(all(set(formats_of(each)) & set(formats) for each in precisions))
    assume("tflite" in formats or not raw_heads)
    plan = make(precisions=precisions, formats=formats, raw_heads=raw_heads)
    made = needed(plan)
    assert made >= set(delivered(plan))
    assert all(each.source is None or each.source in made for each in made)
    assert {each for each in made if each.is_raw} == {each for each in delivered(plan) if each.is_raw}
    assert all(raw_heads or not each.is_raw for each in made)
