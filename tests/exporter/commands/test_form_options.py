"""--precision, --batch, --logits, --layout, --opset and --license: what they put into a plan, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.artifact import Layout, Precision
from mbexport.cli import run
from mbexport.errors import OptionError, StageError
from mbexport.formats.registry import EXPORTED, formats_of
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.plan import BuildPlan, Trained


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The plan of `mbexport build` with more arguments."""
    monkeypatch.chdir(tmp_path)

    def plan(*arguments: str) -> BuildPlan:
        caught: list[BuildPlan] = []

        def stop(plan: BuildPlan, *_: Any, **__: Any) -> None:
            caught.append(plan)
            raise StageError("this is as far as the test goes")

        monkeypatch.setattr("mbexport.pipeline.build.run", stop)
        assert run(["build", *arguments]) == 3
        return caught[0]

    return plan


def make(**changed: Any) -> BuildPlan:
    origin = Trained(spec=ModelSpec(resolution=Resolution.square(64), classes=10), epochs=1)
    return BuildPlan(**{"name": "net", "origin": origin, "out": Path("out"), **changed})


def test_without_options_files_take_one_image_give_scores_and_suit_old_phones(planned: Any) -> None:
    plan = planned()
    assert (plan.batch, plan.logits, plan.layout, plan.opset, plan.licence) == (1, False, Layout.NHWC, 17, None)


def test_options_reach_the_plan(planned: Any) -> None:
    plan = planned("--batch", "8", "--logits", "--layout", "nchw", "--opset", "13", "--license", "MIT")
    assert (plan.batch, plan.logits, plan.layout, plan.opset, plan.licence) == (8, True, Layout.NCHW, 13, "MIT")
    assert planned("--batch", "dynamic").batch is None


def test_int8_adds_to_the_precisions_that_are_named(planned: Any) -> None:
    plan = planned("--int8", "--precision", "int16x8", "--precision", "dynamic", "--precision", "fp16")
    assert plan.precisions == tuple(Precision)


@pytest.mark.parametrize("text", ["0", "-1", "1025", "two", "1.5"])
def test_a_batch_that_is_no_number_of_images_is_refused(capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert run(["build", "--batch", text]) == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: --batch must be ")
    assert error.endswith(f", got {text}\n")


@pytest.mark.parametrize("opset", ["12", "24", "0"])
def test_an_opset_in_which_not_every_file_can_be_written_is_refused(
    capsys: pytest.CaptureFixture[str], opset: str
) -> None:
    assert run(["build", "--opset", opset]) == 2
    assert capsys.readouterr().err == f"Error: opset must be from 13 to 23, got {opset}\n"


@pytest.mark.parametrize("precision", [Precision.DYNAMIC, Precision.INT16X8])
def test_a_precision_that_no_wanted_format_has_is_refused(
    capsys: pytest.CaptureFixture[str], precision: Precision
) -> None:
    assert run(["build", "--precision", precision.value, "--format", "onnx"]) == 2
    expected = f"Error: precision {precision.value} is made as tflite only, got --format onnx\n"
    assert capsys.readouterr().err == expected


@given(
    precisions=st.lists(st.sampled_from(Precision), min_size=1, unique=True).map(tuple),
    formats=st.lists(st.sampled_from([each.name for each in EXPORTED]), min_size=1, unique=True).map(tuple),
)
def test_a_plan_has_a_file_for_each_of_its_precisions(precisions: Any, formats: Any) -> None:
    is_possible = all(set(formats_of(precision)) & set(formats) for precision in precisions)
    if is_possible:
        assert make(precisions=precisions, formats=formats).precisions == precisions
    else:
        with pytest.raises(OptionError, match="is made as"):
            make(precisions=precisions, formats=formats)
