"""--qat-epochs and --qat-steps: what they put into the plan, what is refused, and what the user is told at the end."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras_by_hand import write_keras
from PIL import Image

from mbexport.cli import run
from mbexport.errors import OptionError, StageError
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.plan import BuildPlan, Trained
from mbexport.report.terminal import distillation_line

COMMANDS = {
    "build": ("build", "--data", "photos"),
    "digits": ("build",),
    "export": ("export", "--model", "net.keras", "--data", "digits"),
}
DEFAULTS = {"build": 2, "digits": 0, "export": 0}
WORSE = {
    "steps": 40,
    "held_out": 60,
    "start": {"divergence": 0.0081, "agreement": 0.98},
    "best": {"divergence": 0.0083, "agreement": 0.98},
    "kept": "calibrated",
}
BETTER = {**WORSE, "best": {"divergence": 0.0066, "agreement": 0.99}, "kept": "trained"}


@pytest.fixture(params=COMMANDS)
def command(request: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.chdir(tmp_path)
    write_keras(tmp_path / "net.keras")
    for name in ("cat", "dog"):
        for number in range(8):
            image = tmp_path / "photos" / name / f"{number}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4)).save(image)
    return str(request.param)


@pytest.fixture
def planned(command: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plan of either command with more arguments."""

    def plan(*arguments: str) -> BuildPlan:
        caught: list[BuildPlan] = []

        def stop(plan: BuildPlan, *_: Any, **__: Any) -> None:
            caught.append(plan)
            raise StageError("this is as far as the test goes")

        monkeypatch.setattr("mbexport.pipeline.build.run", stop)
        assert run([*COMMANDS[command], *arguments]) == 3
        return caught[0]

    return plan


def test_without_options_a_build_of_photos_is_distilled_and_nothing_else_is(planned: Any, command: str) -> None:
    plan = planned()
    assert (plan.qat_epochs, plan.qat_steps, plan.is_distilled) == (DEFAULTS[command], None, command == "build")


def test_epochs_and_steps_reach_the_plan(planned: Any) -> None:
    assert planned("--qat-epochs", "7").qat_epochs == 7
    assert planned("--qat-steps", "300").qat_steps == 300
    assert not planned("--qat-steps", "0").is_distilled  # also where the epochs would be two


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--qat-epochs", "2", "--qat-steps", "9"),
            "give --qat-epochs or --qat-steps, not both, got --qat-epochs 2 --qat-steps 9",
        ),
        (("--qat-steps", "-1"), "--qat-steps must be at least 0, got -1"),
        (("--qat-epochs", "-1"), "--qat-epochs must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(command: str, capsys: Any, arguments: Any, said: str) -> None:
    assert run([*COMMANDS[command], *arguments, "--out", "out"]) == 2
    assert capsys.readouterr().err == f"Error: {said}\n"
    assert not Path("out").exists()


def plan_with(**given: Any) -> BuildPlan:
    origin = Trained(spec=ModelSpec(alpha=0.5, resolution=Resolution.square(32), classes=10), epochs=1)
    return BuildPlan(name="net", origin=origin, out=Path("out"), **given)


@given(st.integers(0, 9), st.none() | st.integers(0, 9))
def test_steps_take_the_place_of_epochs(epochs: int, steps: int | None) -> None:
    assert plan_with(qat_epochs=epochs, qat_steps=steps).is_distilled == ((epochs if steps is None else steps) > 0)


@given(st.integers(max_value=-1))
def test_there_are_no_negative_steps(steps: int) -> None:
    with pytest.raises(OptionError, match="--qat-steps must be at least 0"):
        plan_with(qat_steps=steps)


def test_what_became_of_it_by_hand() -> None:
    assert distillation_line(WORSE) == (
        "quantize: kept the calibrated integers: 40 steps of training did not bring them nearer to float "
        "(0.0081 -> 0.0083 on 60 held-out images)"
    )
    assert "integers: 1 step of training did not" in distillation_line({**WORSE, "steps": 1})
    assert distillation_line({**WORSE, "steps": 0}) == (
        "quantize: kept the calibrated integers without training: their divergence from float, 0.0081 on 60 held-out "
        "images, is too small to tell a gain from chance"
    )
    assert distillation_line(BETTER) == (
        "quantize: divergence from float 0.0081 -> 0.0066, agreement 98.0% -> 99.0% on 60 held-out images"
    )
