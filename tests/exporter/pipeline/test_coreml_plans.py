"""What a plan with Core ML packages makes and delivers, and which plans there are not."""

import pytest

from mbexport.artifact import Precision
from mbexport.cli import run
from mbexport.commands.build_and_export import _precisions
from mbexport.errors import OptionError
from mbexport.formats.coreml import rows
from mbexport.formats.coreml.rows import PACKAGES, usable_packages
from mbexport.formats.installable import Installable
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.build import STAGES
from mbexport.pipeline.deliver import delivered_names
from mbexport.pipeline.plan import BuildPlan, Trained

SPEC = ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=2)
FP16, W8 = PACKAGES


@pytest.fixture
def planned(tmp_path):
    def plan(**changed) -> BuildPlan:
        given = {"packages": PACKAGES, **changed}
        return BuildPlan(name="net", origin=Trained(spec=SPEC, epochs=1), out=tmp_path / "out", **given)

    return plan


@pytest.fixture
def installed(monkeypatch):
    """As if coremltools were there, or not."""
    monkeypatch.setattr(rows, "COREMLTOOLS", Installable())


def test_packages_are_folders_beside_the_files(planned):
    names = delivered_names(planned(), is_signed=False)
    assert [name for name in names if name.startswith("coreml")] == [
        "coreml/net_fp16.mlpackage/",
        "coreml/net_w8.mlpackage/",
    ]
    assert not [name for name in delivered_names(planned(packages=()), is_signed=False) if "coreml" in name]


def test_eight_bits_stand_on_rounded_weights_and_float16_on_the_network_alone():
    stages = {stage.name: stage for stage in STAGES}
    assert "round-weights" in stages["coreml-w8"].upstream
    assert "round-weights" not in stages["coreml-fp16"].upstream
    assert {"coreml-fp16", "coreml-w8"} <= set(stages["coreml"].upstream)


def test_fp32_is_made_beside_packages_alone(installed):
    assert _precisions(["coreml-w8"], int8=False) == (Precision.FP32,)
    assert _precisions(["coreml-w8", "int8"], int8=False) == (Precision.INT8,)
    assert usable_packages(["coreml-w8", "fp16"]) == (W8,)
    assert usable_packages(["coreml-w8", "fp16", "coreml-fp16", "coreml-w8"]) == PACKAGES


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"logits": True}, "--precision coreml-fp16 makes classifiers that give probabilities, got --logits: drop one"),
        ({"batch": None}, "--precision coreml-fp16 takes one image at a time, got --batch dynamic"),
        ({"batch": 4, "packages": (W8,)}, "--precision coreml-w8 takes one image at a time, got --batch 4"),
    ],
)
def test_what_cannot_be_a_package_is_no_plan(planned, changed, line):
    with pytest.raises(OptionError) as caught:
        planned(**changed)
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--precision", "coreml-w8", "--logits"], "--precision coreml-w8 makes classifiers that give probabilities"),
        (
            ["--precision", "coreml-w8", "--task", "detect", "--resolution", "96"],
            "detectors are made in fp32 and int8, got --precision coreml-w8",
        ),
    ],
)
def test_bad_use_is_one_line(capsys, installed, tmp_path, words, line):
    assert run(["build", "--out", str(tmp_path / "o"), *words]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"Error: {line}")
    assert not (tmp_path / "o").exists()


def test_without_coremltools_nothing_begins(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(rows, "COREMLTOOLS", Installable(missing=lambda: "not here", needs="install it"))
    assert run(["build", "--precision", "coreml-fp16", "--out", str(tmp_path / "o")]) == 2
    assert capsys.readouterr().err == "Error: --precision coreml-fp16 cannot be made here: not here; install it\n"
    assert not (tmp_path / "o").exists()
