"""Any name of a model becomes a legal name of a Swift module, and of a file in it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.bundles.ios.names import file_name, module_name
from mbexport.models.task import Task


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("mobilenet_v1_0.75_224", "MobilenetV1_0_75_224"),
        ("mobilenet_v1_1.0_96", "MobilenetV1_1_0_96"),
        ("my cat-model", "MyCatModel"),
        ("3 cats", "Model3Cats"),
        ("Straße é", "StraeE"),
        ("猫", "Model"),
        ("", "Model"),
        ("self", "SelfModel"),
        ("classifier", "ClassifierModel"),
        ("LiteRT", "LiteRTModel"),
        ('x"; system("ls")', "XSystemLs"),
    ],
)
def test_names_by_hand(stem, name):
    assert module_name(stem) == name


@given(st.text())
def test_every_stem_gives_a_name_that_swift_and_ruby_take(stem):
    assert re.fullmatch("[A-Za-z][A-Za-z0-9_]*", module_name(stem))


def test_numbers_do_not_run_together():
    assert module_name("net_1_12") != module_name("net_11_2")


@given(st.text())
def test_every_file_gets_a_name_that_no_tool_reads_as_syntax(file):
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", file_name(file, name="Net"))


@pytest.mark.parametrize("stem", ["detector", "Detection", "answer"])
def test_a_detectors_own_types_are_taken_in_its_module_alone(stem):
    assert module_name(stem, Task.DETECT) == module_name(stem) + "Model"
    assert module_name("classifier", Task.DETECT) == "ClassifierModel"
