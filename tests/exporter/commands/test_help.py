"""`mbexport <command> --help`: options under the headings of their groups, within 80 columns, with examples last."""

import importlib
import re

import click
import pytest

from mbexport.cli import run
from mbexport.commands.options import Group, Option
from mbexport.pipeline import plan
from mbexport.pipeline.usual import DIGITS, PHOTOS

COMMANDS = (
    *("build", "sweep", "export", "verify", "predict", "bench", "bundle", "demo", "inspect", "rebuild"),
    *("cache", "cost", "doctor"),
)


def options_of(name: str) -> list[Option]:
    command: click.Command = importlib.import_module(f"mbexport.commands.{name}").command
    return [each for each in command.params if isinstance(each, click.Option) and not each.hidden]


@pytest.fixture
def help_of(capsys, monkeypatch):
    """What --help prints on a terminal of 80 columns."""

    def ask(command: str) -> str:
        monkeypatch.setenv("COLUMNS", "80")
        assert run([command, "--help"]) == 0
        return capsys.readouterr().out

    return ask


def sections_of(text: str) -> dict[str, list[str]]:
    """The options below each heading, in the order of the page."""
    sections: dict[str, list[str]] = {}
    for line in text.splitlines():
        if heading := re.fullmatch(r"(\S.*):", line):
            sections[heading[1]] = []
        elif sections and (found := re.match(r"  (?:-h, )?--([a-z0-9-]+)", line)):
            sections[list(sections)[-1]].append(found[1])
    return sections


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_stands_under_the_heading_of_its_group_and_nowhere_else(command, help_of):
    sections = sections_of(help_of(command))
    listed = [(name, heading) for heading, names in sections.items() for name in names if name != "help"]
    declared = {(each.opts[0].lstrip("-"), each.group) for each in options_of(command)}
    assert len(listed) == len(declared)
    assert set(listed) == declared


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_of_ours_and_has_a_group_and_a_help_that_is_a_sentence(command):
    for each in options_of(command):
        assert isinstance(each, Option)
        assert isinstance(each.group, Group)
        assert re.fullmatch(r"[A-Z$].*\.", each.help or ""), each.name


def test_an_option_without_a_group_cannot_be_made():
    with pytest.raises(TypeError, match="group"):
        Option(["--nowhere"])


@pytest.mark.parametrize("command", [each for each in COMMANDS if each != "doctor"])
def test_at_most_ten_common_options_come_first(command, help_of):
    headings = list(sections_of(help_of(command)))
    known = [group.value for group in Group]
    assert headings == sorted(headings, key=known.index)
    assert headings[0] == Group.COMMON
    assert 1 <= sum(each.group is Group.COMMON for each in options_of(command)) <= 10


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns_and_ends_with_examples(command, help_of):
    lines = help_of(command).splitlines()
    assert max(map(len, lines)) <= 80
    heading = next(index for index, line in enumerate(lines) if re.fullmatch(r"  Examples?:", line))
    assert all(re.match(rf"    (mbexport {command}\b|    --)", line) for line in lines[heading + 1 :])


def test_defaults_that_only_the_help_tells_are_those_of_the_plan(help_of):
    text = " ".join(help_of("build").split())
    assert f"if absent {DIGITS.epochs} for digits, {PHOTOS.epochs} for photos" in text
    assert f"at most {PHOTOS.fine_tuning_epochs} with --weights" in text
    assert f"none; if absent {DIGITS.qat_epochs} for digits and {PHOTOS.qat_epochs} for photos" in text
    assert f"if absent {PHOTOS.crop_fraction} for photos and {DIGITS.crop_fraction:g} for digits" in text
    assert f"the side is {DIGITS.resolution_px} px for digits and {PHOTOS.resolution_px} px for photos" in text
    assert f"{plan.OBSERVER.value} (if absent)" in text
    options = {each.name: each for each in options_of("build")}
    assert options["calibration_samples"].default == plan.CALIBRATION_SAMPLES
    assert options["opset"].default == plan.OPSET
    assert options["max_bad"].default == f"{plan.MAX_BAD:.0%}"
