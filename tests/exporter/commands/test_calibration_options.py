"""--observer, --ranges and --corrections: what they put into the plan, and what is refused before any work."""

import json

import pytest
from keras_by_hand import write_keras

from mbexport.calibration.choices import Correction, Keep, Observer
from mbexport.cli import run
from mbexport.errors import StageError
from mbexport.pipeline.plan import OBSERVER

COMMANDS = {"build": ("build",), "export": ("export", "--model", "net.keras", "--data", "digits")}


@pytest.fixture(params=COMMANDS)
def planned(request, monkeypatch, capsys, tmp_path):
    """The plan of either command with more arguments."""
    monkeypatch.chdir(tmp_path)
    write_keras(tmp_path / "net.keras")

    def plan(*arguments: object):
        caught = []

        def stop(plan, _data, _progress, **_named):
            caught.append(plan)
            raise StageError("this is as far as the test goes")

        monkeypatch.setattr("mbexport.pipeline.build.run", stop)
        assert run([*COMMANDS[request.param], *map(str, arguments)]) == 3, capsys.readouterr().err
        return caught[0]

    return plan


@pytest.fixture(params=COMMANDS)
def refused(request, capsys, tmp_path, monkeypatch):
    """What either command complains of, having written nothing."""
    monkeypatch.chdir(tmp_path)
    write_keras(tmp_path / "net.keras")

    def complaint(*arguments: object) -> str:
        before = sorted(tmp_path.iterdir())
        assert run([*COMMANDS[request.param], "--out", "out", *map(str, arguments)]) == 2
        assert sorted(tmp_path.iterdir()) == before
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        return printed.err

    return complaint


def test_without_options_all_corrections_are_made_and_the_measured_observer_is_taken(planned):
    plan = planned()
    assert (plan.observer, plan.ranges, plan.corrections) == (OBSERVER, None, tuple(Correction))


@pytest.mark.parametrize("observer", Observer)
def test_observer_reaches_the_plan(planned, observer):
    assert planned("--observer", observer).observer is observer


def test_corrections_reach_the_plan(planned):
    assert planned("--corrections", "none").corrections == ()
    assert planned("--corrections", "bias,rounding").corrections == (Correction.ROUNDING, Correction.BIAS)


def test_layers_to_keep_reach_the_plan(planned):
    plan = planned("--int8", "--keep", "float:conv_dw_3", "--keep", "auto:2")
    assert plan.keep == Keep(layers=("conv_dw_3",), costliest=2)
    assert planned().keep == Keep()


def test_file_of_ranges_reaches_the_plan(planned, tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"conv1_relu": [0, 6]}))
    assert planned("--ranges", tmp_path / "r.json").ranges == tmp_path / "r.json"


def test_config_file_knows_the_options(planned, tmp_path):
    (tmp_path / "o.toml").write_text('observer = "mse"\ncorrections = "none"\n')
    plan = planned("--config", tmp_path / "o.toml")
    assert (plan.observer, plan.corrections) == (Observer.MSE, ())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--observer", "max"),
            "observer must be one of minmax, moving-average, percentile, mse, entropy, auto, got max",
        ),
        (
            ("--corrections", "bias,gptq"),
            "corrections must be all, none or some of copies, equalization, rounding, bias, logits, got gptq",
        ),
        (("--observer", "mse", "--ranges", "net.keras"), "give --observer or --ranges, not both, got --observer mse"),
        (("--ranges", "r.json"), "no such file or folder: r.json (--ranges)"),
        (
            ("--int8", "--keep", "int16:conv1"),
            "--keep must be float:LAYER or auto:N with N from 1, got int16:conv1",
        ),
        (("--keep", "auto:1"), "--keep is for int8 artifacts: add --int8, or drop --keep auto:1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(refused, arguments, said):
    assert refused(*arguments) == f"Error: {said}\n"


def test_layers_that_a_network_of_ours_does_not_have_are_refused_before_it_is_trained(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for keep, said in (
        ("float:conv_dw_14", ", conv_dw_13, conv_pw_13, conv_preds, got conv_dw_14"),
        ("auto:29", "--keep auto: must be at most 28, the convolutions left, got 29"),
    ):
        assert run(["build", "--int8", "--keep", keep, "--out", "out"]) == 2
        printed = capsys.readouterr().err
        assert (said in printed, printed.count("\n")) == (True, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "r.json is not a file of ranges: Expecting property name"),
        ("[]", "r.json is not a file of ranges: "),
        (
            json.dumps({"conv1_relu": [6, 0]}),
            "r.json is not a file of ranges: a range must hold 0 and be finite and wider than 0, got [6, 0]",
        ),
    ],
)
def test_damaged_file_of_ranges_is_refused_before_any_work(refused, tmp_path, content, said):
    (tmp_path / "r.json").write_text(content)
    assert refused("--ranges", "r.json").startswith(f"Error: {said}")
