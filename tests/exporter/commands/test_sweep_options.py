"""The options of `sweep`: lists of networks, and the words with which each point is built."""

import json

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.commands import sweep_options
from mbexport.commands.build import command as build_command
from mbexport.commands.options import Option
from mbexport.commands.recipe import recipe_of
from mbexport.commands.sweep import command

OUT = ("--out", "sweep")


def context(*arguments: str) -> click.Context:
    return command.make_context("sweep", list(arguments))


def points(*arguments: str) -> list[list[str]]:
    found = context(*arguments)
    return [sweep_options.arguments_of(found, each) for each in sweep_options.networks_of(found.params)]


def test_every_alpha_goes_with_every_resolution():
    found = points("--alpha", "0.25,0.5", "--resolution", "128,96x128", "--int8")
    assert [each[1:3] for each in found] == [
        ["--alpha=0.25", "--resolution=128"],
        ["--alpha=0.25", "--resolution=96x128"],
        ["--alpha=0.5", "--resolution=128"],
        ["--alpha=0.5", "--resolution=96x128"],
    ]
    assert all(each[0] == "build" and each[3:] == ["--int8", "--no-latency"] for each in found)


def test_what_is_not_said_is_left_to_the_build():
    assert points() == [["build", "--alpha=1.0", "--no-latency"]]


def test_lists_may_be_repeated_and_hold_each_value_once():
    found = points("--alpha", "0.5, 0.25", "--alpha", "0.5", "--conv", "separable,standard", "--rho", "1")
    assert [each[1:4] for each in found] == [
        [f"--alpha={alpha}", "--resolution=224", f"--conv={conv}"]
        for alpha in ("0.5", "0.25")
        for conv in ("separable", "standard")
    ]


def test_every_option_of_a_build_is_handed_on_as_it_was_given():
    given = {
        "data": "photos",
        "gate": ["agreement=0.5", "int8_speedup=1.2"],
        "seed": 3,
        "no-sensitivity": None,
        "format": ["tflite"],
        "corrections": "none",
        "precision": ["fp32,int8"],
    }
    words = [
        word for name, value in given.items() for each in (value if isinstance(value, list) else [value])
        for word in ([f"--{name}"] if each is None else [f"--{name}", str(each)])
    ]  # fmt: skip
    (found,) = points(*words)
    own = recipe_of(sweep_options.parsed(found)).options
    assert (own["data"], own["seed"], own["format"], own["corrections"]) == ("photos", 3, ["tflite"], "none")
    assert own["precision"] == ["fp32", "int8"]
    assert "--no-sensitivity" in found
    assert "--gate=agreement=0.5" in found
    assert not any("int8_speedup" in word for word in found)  # nothing is timed in a build of a sweep
    assert sweep_options.speed_limits(context(*words).params["gates"]) == {"int8_speedup": 1.2}


def test_each_option_of_a_build_is_one_of_a_sweep_too():
    own = {each.long_name for each in build_command.params if isinstance(each, Option)}
    known = {each.long_name for each in command.params if isinstance(each, Option)}
    assert own - known == {"summary", "status"}  # a sweep has its own of both


@given(
    alphas=st.lists(st.sampled_from(["0.1", "0.25", "0.5", "1.0"]), min_size=1, max_size=3, unique=True),
    sides=st.lists(st.sampled_from(["32", "64", "96x128"]), min_size=1, max_size=3, unique=True),
    seed=st.integers(0, 1000),
)
def test_a_build_reads_from_its_words_what_the_sweep_was_told(alphas, sides, seed):
    found = points("--alpha", ",".join(alphas), "--resolution", ",".join(sides), "--seed", str(seed))
    read = [sweep_options.parsed(each).params for each in found]
    assert [(each["alpha"], str(each["resolution"]), each["seed"]) for each in read] == [
        (float(alpha), side, seed) for alpha in alphas for side in sides
    ]


def test_neither_the_environment_nor_a_file_speaks_to_the_builds_alone(monkeypatch):
    monkeypatch.setenv("MBEXPORT_BUILD_SEED", "7")
    assert sweep_options.parsed(points("--seed", "3")[0]).params["seed"] == 3


@pytest.mark.parametrize("alpha", ['"0.25,0.5"', "[0.25, 0.5]", '["0.25", 0.5]'])
def test_options_of_a_file_are_handed_on(tmp_path, alpha):
    (tmp_path / "mbexport.toml").write_text(f"alpha = {alpha}\nseed = 5\nint8 = true\n")
    found = points("--config", str(tmp_path / "mbexport.toml"))
    assert [sweep_options.parsed(each).params["alpha"] for each in found] == [0.25, 0.5]
    assert all({"--seed=5", "--int8"} <= set(each) for each in found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--alpha", "0.25,wide"], "'wide' is not a valid float"),
        (["--alpha", "0.25,3"], "alpha must be in (0, 1], got 3"),
        (["--alpha", ""], "'' is not a valid float"),
        (["--resolution", "128,x"], "resolution must be PX or HEIGHTxWIDTH"),
        (["--resolution", "64", "--rho", "0.5"], "give --resolution or --rho, not both"),
        (["--resolution", "64,100"], "resolution must be a multiple of 32"),
        (["--conv", "separable,fast"], "'fast' is not one of"),
        (["--precision", "int9"], "'int9' is not one of"),
        (["--jobs", "2", "--address", "127.0.0.1:6379"], "--jobs is of this machine, --address of a cluster"),
        (["--jobs", "0"], "--jobs must be from 1 to"),
        (["--cores", "0"], "--cores must be from 1 to"),
        (["--gate", "speed=1"], "gate must be one of"),
        (["--gate", "int8_speedup=x"], "--gate must be NAME=VALUE with a number"),
        (["--data", "nowhere"], "--data must be"),
        (["--arch", "mobilenet_v2", "--conv", "standard"], "--conv is for --arch mobilenet_v1"),
    ],
)
def test_bad_options_are_refused_before_any_work(cli, tmp_path, words, message):
    found = cli("sweep", *words, *OUT, cwd=tmp_path)
    assert (found.returncode, message in found.stderr) == (2, True), found.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_shows_the_points_and_writes_nothing(cli, tmp_path):
    words = ("sweep", "--alpha", "0.25,1", "--resolution", "32,64", "--int8", *OUT, "--dry-run")
    found = cli(*words, "--json", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    plan = json.loads(found.stdout)
    costs = {each["name"]: (each["mult_adds"], each["parameters"]) for each in plan["points"]}
    assert list(costs) == ["0.25_32", "0.25_64", "1.0_32", "1.0_64"]
    for alpha, side in (("0.25", "32"), ("1.0", "64")):
        cost = cli("cost", "--alpha", alpha, "--resolution", side, "--classes", "10", "--json")
        total = json.loads(cost.stdout)
        assert costs[f"{alpha}_{side}"] == (total["mult_adds"], total["parameters"])
    assert plan["estimated_s"] >= max(each["estimated_s"] for each in plan["points"]) > 0
    shown = cli(*words, cwd=tmp_path)
    assert "4 points" in shown.stdout
    assert "dry run: nothing was written" in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_says_nothing_of_a_point_is_no_part_of_what_was_asked():
    found = context("--force", "--no-resume", "--strict")
    assert sweep_options.no_matter(found) == ["--no-resume", "--force"]
    asked = sweep_options.arguments_of(found, {"alpha": "1.0"})
    assert asked == ["build", "--alpha=1.0", "--strict", "--no-latency"]
