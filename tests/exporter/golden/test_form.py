"""golden.json of another form: nothing of it becomes code or a path of an app."""

import json
from typing import Any

import pytest
from golden_by_hand import golden_by_hand
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.golden.vectors import golden_from_bytes

SOUND = golden_by_hand().to_bytes()
OTHERS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})


def changed(path: str, value: object) -> bytes:
    """The vectors by hand with another value at a path such as cases.0.raw."""
    content = json.loads(SOUND)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    inner: Any = content
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return json.dumps(content).encode()


def line_of(content: bytes) -> str:
    """Why the vectors are refused; empty if they are not."""
    try:
        golden_from_bytes(content)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("artifacts.0.output.zero_point", "0; system()", "artifacts[0].output.zero_point must be a whole number or"),
        ("artifacts.0.output.zero_point", 3.0, "must be a whole number or null, got 3.0"),
        ("artifacts.0.output.scale", 0, "artifacts[0].output.scale must be above 0"),
        ("artifacts.0.output.tolerance", float("nan"), "numbers must be finite, got NaN"),
        ("artifacts.0.output.kind", "words", "kind must be one of softmax, sigmoid, logits"),
        ("artifacts.0.input.dtype", "float32; x", "dtype must be one of float32, uint8, int8, int16"),
        ("artifacts.0.input.shape", [1, -32, 32, 3], "shape[1] must be at least 1, got -32"),
        ("artifacts.0.input.shape", [], "shape must have at least 1 entries"),
        ("artifacts.0.input.mean", {}, "mean must be a list, got {}"),
        ("artifacts.0.file", "../model.tflite", "artifacts[0].file must match"),
        ("artifacts.0.file", "a\nb", "artifacts[0].file must match"),
        ("artifacts.0.sha256", "0" * 63, "sha256 must match"),
        ("artifacts.0.format", "exe", "format must be one of tflite, onnx"),
        ("cases.0.raw", "/etc/passwd", "cases[0].raw must match"),
        ("cases.0.resized", "case_0/../../x", "cases[0].resized must match"),
        ("cases.0.truth", -1, "truth must be at least 0"),
        ("cases.0.width", 10**9, "width must be at most"),
        ("classes", "3", 'classes must be a whole number, got "3"'),
        ("stem", "..", "stem must match"),
        ("schema", 2, "schema must be 1, got 2"),
        ("stranger", 1, "it must hold no 'stranger'"),
        ("preprocess.crop_fraction", 2, "crop fraction must be in (0, 1], got 2"),
    ],
)
def test_another_value_is_refused_in_one_line_that_says_where(path: str, value: object, said: str) -> None:
    with pytest.raises(DataError, match=r"^golden/golden\.json is not one of mbexport: ") as caught:
        golden_from_bytes(changed(path, value))
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_float_input_without_numbers_for_a_byte_is_refused() -> None:
    with pytest.raises(DataError, match="mean and std must be 1 to 4 numbers"):
        golden_from_bytes(changed("artifacts.0.input.dtype", "float32"))


@given(st.data())
def test_any_value_in_the_place_of_any_other_is_a_data_error_or_is_read(data: st.DataObject) -> None:
    content = json.loads(SOUND)
    places = [(content, key) for key in content]
    for inner, key in places:
        value = inner[key]
        keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
        places += [(value, each) for each in keys]
    inner, key = data.draw(st.sampled_from(places))
    inner[key] = data.draw(OTHERS)
    assert "\n" not in line_of(json.dumps(content).encode())
