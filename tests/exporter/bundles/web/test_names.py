"""Names of npm packages and of the files in them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.bundles.web.names import file_name, package_name


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("mobilenet_v1_0.75_224", "mobilenet_v1_0.75_224"),
        ("Größe 5", "groe-5"),
        ("5 flowers", "model-5-flowers"),
        ("..", "model"),
        ("node_modules", "node_modules-model"),
        ("../../x", "x"),
    ],
)
def test_a_package_is_called_after_the_model(stem, name):
    assert package_name(stem) == name


@given(st.text())
@example("favicon.ico")
@example("a" * 300)
def test_any_name_gives_a_legal_one(stem):
    name = package_name(stem)
    assert re.fullmatch(r"[a-z][a-z0-9._-]*", name)
    assert len(name) <= 214
    assert name not in ("node_modules", "favicon.ico")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mobilenet_v1_0.75_224_int8.tflite", "mobilenet_v1_0.75_224_int8.tflite"),
        ("a b.tflite", "model.tflite"),
        ("x%2e%2e.tflite", "model.tflite"),
        ("é.tflite", "model.tflite"),
        (".tflite", "model.tflite"),
    ],
)
def test_a_file_whose_name_is_syntax_in_an_address_is_called_model(file, name):
    assert file_name(file) == name
