"""The Python functions: the command line's options and values, its files and its errors."""

import json
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import mbexport
from mbexport.api import _context
from mbexport.commands import build as build_command
from mbexport.commands import export as export_command
from mbexport.commands.options import Option
from mbexport.commands.recipe import recipe_of
from mbexport.errors import DataError, OptionError
from mbexport.pipeline.usual import PHOTOS


@pytest.fixture
def photos(tmp_path):
    """Two classes that their colour tells, 40 images each."""
    rng = np.random.default_rng(0)
    for name, shade in (("dark", 30), ("light", 220)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(40):
            pixels = np.clip(rng.normal(shade, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_build_gives_the_report_the_verdict_and_the_files(stand_ins, photos, tmp_path):
    """One call, and what it records: `mbexport rebuild` makes the files of a Python call again."""
    told = {"data": photos, "alpha": 0.25, "resolution": 32, "epochs": 1, "format": ["onnx"]}
    result = mbexport.build(**told, out=tmp_path / "out", gate={"above_chance": 0})
    assert result.out == tmp_path / "out"
    assert result.report["model"]["alpha"] == 0.25
    assert result.passed is result.report["passed"]
    assert {"manifest.json", "report.json", "labels.txt", "mobilenet_v1_0.25_32_fp32.onnx"} <= set(result.files)
    assert all(path.is_file() for path in result.files.values())
    assert not any(name.startswith(".mbexport") for name in result.files)
    typed = ["--data", str(photos), "--alpha", "0.25", "--resolution", "32", "--epochs", "1", "--format", "onnx"]
    recipe = recipe_of(build_command.command.make_context("build", [*typed, "--out", str(tmp_path / "out")]))
    recorded = json.loads(result.files["manifest.json"].read_bytes())["options"]
    assert recorded == {**recipe.options, "data": "photos", "qat-epochs": PHOTOS.qat_epochs}


def test_verify_judges_files(colour_network, photos, tmp_path):
    file = colour_network(tmp_path / "colours.onnx", classes=2)
    result = mbexport.verify([file], data=photos, preprocess="mobilenet", crop_fraction=1, latency=False)
    assert (result.out, result.files) == (None, {})
    assert [entry["file"] for entry in result.report["artifacts"]] == ["colours.onnx"]
    assert result.report["reference"]["samples"] > 0


def test_predict_gives_what_the_command_prints(colour_network, photos, tmp_path, cli):
    file = colour_network(tmp_path / "colours.onnx", classes=2)
    images = [photos / "dark" / "0.png", photos / "light" / "0.png"]
    found = mbexport.predict(file, images, top=1, preprocess="mobilenet", crop_fraction=1.0)
    typed = ["predict", str(file), *map(str, images), "--top", "1", "--preprocess", "mobilenet", "--crop-fraction", "1"]
    assert json.loads(cli(*typed, "--json").stdout) == found
    assert [len(each["top"]) for each in found["images"]] == [1, 1]


def test_a_wrong_keyword_names_the_nearest():
    with pytest.raises(OptionError, match=r"^build has no option alhpa; did you mean alpha\?$"):
        mbexport.build(alhpa=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 2.0}, "alpha must be"),
        ({"precision": "fp16"}, "precision must be a list, got 'fp16'"),
        ({"precision": ["fp17"]}, "'fp17' is not one of"),
        ({"alpha": [0.5]}, r"alpha must be one value, got \[0.5\]"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_values_raise_and_leave_nothing(tmp_path, options, message):
    with pytest.raises((OptionError, DataError), match=message):
        mbexport.build(**options, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [{"dry_run": True}, {"status": "status.json"}, {"shards": 2}, {"jobs": 2}])
def test_what_speaks_to_processes_is_the_command_lines_alone(tmp_path, options):
    (keyword,) = options
    with pytest.raises(OptionError, match=f"{keyword} is an option of the command line alone"):
        mbexport.verify([tmp_path / "a.tflite"], data="digits", **options)


def test_a_model_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no such file or folder: .*none\.keras"):
        mbexport.export(model=tmp_path / "none.keras", calibration=tmp_path)


def test_the_environment_has_no_say(monkeypatch):
    monkeypatch.setenv("MBEXPORT_BUILD_ALPHA", "0.5")
    assert _context(build_command.command, {}).params["alpha"] == 1.0


@pytest.mark.parametrize("command", [build_command.command, export_command.command])
def test_every_option_is_a_keyword(command):
    """Each option takes the value that it has by default, or a legal one."""
    for each in command.params:
        assert isinstance(each, Option | click.Argument)
        if isinstance(each, Option) and each.is_flag:
            keyword = each.long_name.replace("-", "_")
            assert _context(command, {keyword: not each.default}).params[str(each.name)] is not each.default


@given(
    alpha=st.floats(0.1, 1),
    seed=st.integers(0, 100),
    strict=st.booleans(),
    precisions=st.sets(st.sampled_from(["fp32", "fp16", "int8"])),
)
def test_values_arrive_as_they_were_given(alpha, seed, strict, precisions):
    options = {"alpha": alpha, "seed": seed, "strict": strict, "precision": sorted(precisions)}
    params = _context(build_command.command, options).params
    assert (params["alpha"], params["seed"], params["strict"]) == (alpha, seed, strict)
    assert params["precisions"] == tuple(sorted(precisions))


def test_functions_are_not_hidden_by_packages_of_the_same_name():
    """Importing a subpackage sets an attribute of the package: none may be called as a function."""
    import mbexport.verification.gates

    folders = {each.name for each in Path(mbexport.__file__).parent.iterdir() if each.suffix in ("", ".py")}
    assert not {name.removesuffix(".py") for name in folders} & {"build", "export", "predict", "verify"}
    assert callable(mbexport.verify)


def test_importing_mbexport_loads_nothing_heavy():
    code = "import sys, mbexport; print(sorted({'numpy', 'tensorflow', 'click'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'bulid'"):
        mbexport.bulid  # noqa: B018
