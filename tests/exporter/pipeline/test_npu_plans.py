"""What a plan with `--npu` makes and delivers, and which plans there are not."""

import pytest

from mbexport.artifact import Precision
from mbexport.cli import run
from mbexport.errors import OptionError
from mbexport.formats.npu.chips import CHIPS
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.build import STAGES
from mbexport.pipeline.deliver import delivered_names
from mbexport.pipeline.exports import compiled
from mbexport.pipeline.plan import BuildPlan, Trained

SPEC = ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=2)
BOTH = (Precision.FP32, Precision.INT8)


@pytest.fixture
def planned(tmp_path):
    def plan(**changed) -> BuildPlan:
        given = {"npu": CHIPS[2:4], "precisions": BOTH, **changed}
        return BuildPlan(name="net", origin=Trained(spec=SPEC, epochs=1), out=tmp_path / "out", **given)

    return plan


def test_each_format_is_compiled_for_each_chip(planned):
    plan = planned()
    pairs = [(made.name, str(chip)) for made, chip in compiled(plan)]
    assert pairs == [
        *(("tflite", "qualcomm:SM8550"), ("tflite", "qualcomm:SM8650")),
        *(("onnx", "qualcomm:SM8550"), ("onnx", "qualcomm:SM8650")),
    ]
    names = [name for name in delivered_names(plan, is_signed=False) if name.startswith("npu/")]
    assert names == [
        *("npu/net_int8_qualcomm-sm8550.tflite", "npu/net_int8_qualcomm-sm8650.tflite"),
        *("npu/net_int8_qualcomm-sm8550.onnx", "npu/net_int8_qualcomm-sm8650.onnx"),
    ]


def test_a_format_that_is_not_made_is_not_compiled(planned):
    assert {made.name for made, _ in compiled(planned(formats=("onnx",)))} == {"onnx"}
    assert compiled(planned(npu=())) == ()


def test_every_chip_has_a_stage_for_each_format():
    names = [stage.name for stage in STAGES]
    assert len([name for name in names if "qualcomm" in name]) == 2 * len(CHIPS)
    for chip in CHIPS:
        assert {f"tflite-qualcomm-{chip.name.lower()}", f"onnx-qualcomm-{chip.name.lower()}"} <= {*names}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"precisions": (Precision.FP32,)}, "--npu compiles int8 artifacts, got --npu qualcomm:SM8550 without --int8"),
        ({"batch": None}, "--npu compiles for a batch that is fixed, got --batch dynamic"),
        ({"npu_images": 0}, "--npu-images must be from 1 to 1000000, got 0"),
    ],
)
def test_what_cannot_be_compiled_is_no_plan(planned, changed, line):
    with pytest.raises(OptionError) as caught:
        planned(**changed)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--npu", "qualcomm:SM1"], "--npu must be one of qualcomm:SM8350, "),
        (["--npu", "mediatek:MT6989"], "--npu mediatek:MT6989 cannot be compiled for: "),
        (["--npu-images", "4"], "--npu-images goes with --npu, got --npu-images 4 alone"),
        (["--npu", "qualcomm:SM8650"], "--npu compiles int8 artifacts, got --npu qualcomm:SM8650 without --int8"),
        (["--npu", "qualcomm:SM8650", "--int8", "--task", "detect"], "--npu compiles classifiers: "),
    ],
)
def test_bad_use_is_one_line(capsys, monkeypatch, tmp_path, words, line):
    monkeypatch.setattr("mbexport.formats.npu.chips.VENDORS", _installed())
    assert (
        run(["build", "--resolution", "96" if "detect" in words else "32", "--out", str(tmp_path / "o"), *words]) == 2
    )
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"Error: {line}")
    assert not (tmp_path / "o").exists()


def _installed():
    from dataclasses import replace

    from mbexport.formats.npu.chips import VENDORS

    return tuple(replace(each, missing=lambda: None) for each in VENDORS)
