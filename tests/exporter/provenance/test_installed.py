"""Which installed distributions a bill lists, with distributions made up in a folder on the path."""

import sys
from importlib.metadata import version

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.provenance.installed import closure


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Puts distributions into a folder, the only one on the path: lines of metadata by name."""

    def install(**told: list[str]) -> None:
        for name, lines in told.items():
            folder = tmp_path / f"{name}-1.0.dist-info"
            folder.mkdir()
            text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines])
            (folder / "METADATA").write_text(text + "\n\n")

    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return install


def test_closure_by_hand(installed):
    """Extras and markers count, names are the canonical ones, circles end, and what is not installed is left out."""
    installed(
        root=[
            "Requires-Dist: Mid_Dle[Fast]>=1; python_version >= '3'",
            "Requires-Dist: absent",
            "Requires-Dist: never; python_version < '3'",
            "Requires-Dist: other; extra == 'more'",
        ],
        mid_dle=["Requires-Dist: root", "Requires-Dist: quick; extra == 'fast'", "Requires-Dist: slow; extra == 'no'"],
        quick=[],
        slow=[],
        never=[],
        other=["Requires-Dist: mid.dle [no]"],
        unasked=[],
    )
    needs = {name: each.needs for name, each in closure({"Root": ()}).items()}
    assert needs == {"mid-dle": ("quick", "root"), "quick": (), "root": ("mid-dle",)}
    needs = {name: each.needs for name, each in closure({"root": ["more"]}).items()}
    assert needs["root"] == ("mid-dle", "other")
    assert needs["mid-dle"] == ("quick", "root", "slow")
    assert closure({"absent": ()}) == {}


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: MIT OR Apache-2.0", "License: other"], "MIT OR Apache-2.0"),
        (["License: BSD", "Classifier: License :: OSI Approved :: MIT License"], "BSD"),
        (["License: UNKNOWN", "Classifier: License :: OSI Approved :: MIT License"], "MIT License"),
        ([f"License: {'all of the text ' * 9}", "Classifier: Topic :: Software"], None),
        ([], None),
    ],
)
def test_licence_is_what_a_distribution_says_best(installed, lines, licence):
    installed(one=lines)
    assert closure({"one": ()})["one"].licence == licence


def test_requirement_of_a_time_before_there_were_rules_is_left_out(installed):
    installed(
        one=["Requires-Dist: two (>dev)", "Requires-Dist: two; nonsense == '1'", "Requires-Dist: three"], three=[]
    )
    assert closure({"one": ()})["one"].needs == ("three",)


def test_leftovers_of_a_distribution_are_none(installed, tmp_path):
    installed(one=["Requires-Dist: two"])
    (tmp_path / "two-1.0.dist-info").mkdir()
    (tmp_path / "two-1.0.dist-info" / "RECORD").write_text("")
    assert closure({"one": ()})["one"].needs == ()


@given(st.dictionaries(st.sampled_from("abcde"), st.sets(st.sampled_from("abcdef"))))
def test_closure_is_all_that_can_be_reached(tmp_path_factory, graph):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("path")
        for name, needs in graph.items():
            (folder / f"{name}-1.dist-info").mkdir()
            asked = "".join(f"Requires-Dist: {each}\n" for each in needs)
            (folder / f"{name}-1.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 1\n{asked}\n")
        patch.setattr(sys, "path", [str(folder)])
        found = closure({"a": ()})
    assert ("a" in found) is ("a" in graph)
    for name, each in found.items():
        assert set(each.needs) == graph[name] & set(graph)
        assert set(each.needs) <= set(found)
        assert name == "a" or any(name in other.needs for other in found.values())


def test_what_is_really_installed(tmp_path):
    found = closure({"jsonschema": ()})
    assert found["jsonschema"].version == version("jsonschema")
    assert "referencing" in found["jsonschema"].needs
    assert "referencing" in found
