"""Names of Android packages: Android, Java and Kotlin accept each of them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.bundles.android.names import KEYWORDS, default_package, kotlin_name, require_package
from mbexport.errors import OptionError


@pytest.mark.parametrize(
    ("stem", "package"),
    [
        ("mobilenet_v1_0.75_224", "mbexport.mobilenet_v1_0_75_224"),
        ("Flowers-2024 (best)", "mbexport.flowers_2024_best"),
        ("224px", "mbexport.model_224px"),
        ("int", "mbexport.model_int"),
        ("when", "mbexport.model_when"),
        ("猫", "mbexport.model"),
    ],
)
def test_a_stem_becomes_a_package(stem, package):
    assert default_package(stem) == package


@given(st.text())
@example("_" * 300 + "a" * 300)
@example("İ²")
def test_any_stem_becomes_a_legal_package(stem):
    assert require_package(default_package(stem)) == default_package(stem)


@pytest.mark.parametrize("name", ["com.example.flowers", "in.co.acme", "com.Acme.x_1", "a.b"])
def test_packages_of_apps_are_taken(name):
    assert require_package(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "com.x\n",
        "com.x y",
        "a." + "b" * 149,
        "flowers",
        "com..x",
        ".a.b",
        "a.b.",
        "com.1x.y",
        "com._x.y",
        "com.int.x",
        "com.true",
        "com.a-b",
        "com.é.x",
        "com/example/x",
        "java.x",
    ],
)
def test_other_names_are_refused_in_one_line(name):
    with pytest.raises(OptionError, match=re.escape(f"got {name!r}")) as refused:
        require_package(name)
    assert str(refused.value).startswith("--android-package must be ")
    assert "\n" not in str(refused.value)


@given(st.sampled_from(sorted(KEYWORDS)))
def test_no_segment_is_a_keyword(word):
    with pytest.raises(OptionError):
        require_package(f"com.{word}.x")


def test_kotlin_quotes_its_own_keywords():
    assert kotlin_name("in.acme.is.x") == "`in`.acme.`is`.x"
