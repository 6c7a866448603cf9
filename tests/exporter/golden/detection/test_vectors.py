"""A detector's golden.json, written, read, and refused."""

import json
from typing import Any

import pytest
from detector_golden_by_hand import detector_golden_by_hand
from golden_by_hand import golden_by_hand
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.golden.detection.vectors import (
    DetectorArtifact,
    DetectorCase,
    DetectorGolden,
    Distance,
    GoldenTensor,
    Row,
    detector_golden_from_bytes,
)
from mbexport.golden.read import read_golden
from mbexport.golden.vectors import GoldenInput, golden_from_bytes
from mbexport.models.preprocess import NORMALIZATIONS, Preprocess
from mbexport.models.resolution import Resolution

SOUND = detector_golden_by_hand().to_bytes()
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
FILES = st.from_regex(r"[a-z_]{1,9}\.[a-z]{1,3}", fullmatch=True)
NUMBERS = st.floats(0, allow_infinity=False)
FRACTIONS = st.floats(0, 1)
SIZES = st.integers(1, 4096)
HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
SHAPES = st.lists(SIZES, min_size=1, max_size=4).map(tuple)
DISTANCES = st.builds(Distance, score=NUMBERS, corner=NUMBERS)
CORNERS = st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 4)
GOLDENS = st.builds(
    DetectorGolden,
    stem=FILES,
    classes=SIZES,
    licence=st.none() | NAMES,
    least_score=FRACTIONS,
    preprocess=st.builds(
        Preprocess,
        resolution=st.builds(Resolution, height_px=st.integers(1, 999), width_px=st.integers(1, 999)),
        crop_fraction=st.just(1.0),
        is_stretched=st.just(True),
        normalization=st.sampled_from(list(NORMALIZATIONS.values())),
    ),
    artifacts=st.lists(
        st.builds(
            DetectorArtifact,
            file=FILES,
            sha256=HASHES,
            format=st.sampled_from(["tflite", "onnx"]),
            precision=st.sampled_from(["fp32", "int8"]),
            input=st.builds(
                GoldenInput,
                name=NAMES,
                dtype=st.sampled_from(["uint8", "int8"]),
                shape=SHAPES,
                layout=st.sampled_from(["nhwc", "nchw"]),
                channel_order=st.sampled_from(["RGB", "BGR", "GREY"]),
            ),
            outputs=st.lists(
                st.builds(GoldenTensor, name=NAMES, dtype=st.just("float32"), shape=SHAPES), max_size=4
            ).map(tuple),
            tolerance=DISTANCES,
            spread=DISTANCES,
        ),
        max_size=2,
    ).map(tuple),
    cases=st.lists(
        st.builds(
            DetectorCase,
            sha256=HASHES,
            expected=st.dictionaries(
                FILES,
                st.lists(
                    st.builds(
                        Row,
                        index=st.integers(0, 10**6),
                        label=NAMES,
                        score=FRACTIONS,
                        box=CORNERS,
                        pixels=CORNERS,
                        is_safe=st.booleans(),
                    ),
                    max_size=3,
                ).map(tuple),
                max_size=2,
            ),
            **dict.fromkeys(("width", "height"), SIZES),
            **dict.fromkeys(("name", "raw", "resized"), FILES),
        ),
        max_size=2,
    ).map(tuple),
)


@given(GOLDENS)
def test_whatever_is_written_is_read_again(golden):
    assert detector_golden_from_bytes(golden.to_bytes()) == golden


def test_a_reader_of_both_tells_them_apart():
    assert read_golden(SOUND) == detector_golden_by_hand()
    assert read_golden(golden_by_hand().to_bytes()) == golden_by_hand()


def test_neither_is_taken_for_the_other():
    with pytest.raises(DataError, match="it must hold no 'task'"):
        golden_from_bytes(SOUND)
    with pytest.raises(DataError, match="'task'"):
        detector_golden_from_bytes(golden_by_hand().to_bytes())


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"schema": 1, "task": "detect"}', b"\xff", b'{"task": 1}'])
def test_anything_else_is_refused_in_one_line(content):
    with pytest.raises(DataError, match=r"golden\.json is not one of mbexport") as caught:
        read_golden(content)
    assert "\n" not in str(caught.value)


def changed(path: str, value: object) -> bytes:
    """The vectors by hand with another value at a path such as cases.0.raw."""
    content = json.loads(SOUND)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    inner: Any = content
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return json.dumps(content).encode()


ROW = "cases/0/expected/net_int8.tflite/rows/0"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("task", "classify", 'task must be detect, got "classify"'),
        ("least_score", 2, "least_score must be at most 1, got 2"),
        ("artifacts/0/file", "../model.tflite", "artifacts[0].file must match"),
        ("artifacts/0/outputs/0/shape", [0], "shape[0] must be at least 1"),
        ("artifacts/0/tolerance/score", "0; system()", "tolerance.score must be a number"),
        ("artifacts/0/tolerance/corner", -1, "tolerance.corner must be at least 0"),
        ("cases/0/raw", "/etc/passwd", "cases[0].raw must match"),
        ("cases/0/sha256", "0", "sha256 must match"),
        (f"{ROW}/class", -1, "class must be at least 0"),
        (f"{ROW}/class", "0)", "class must be a whole number"),
        (f"{ROW}/score", 1.5, "score must be at most 1"),
        (f"{ROW}/box", [0, 0, 1], "box must have at least 4 entries"),
        (f"{ROW}/pixels", [0, 0, 1, "x"], "must be a number"),
        (f"{ROW}/safe", 1, "safe must be true or false"),
        ("preprocess/crop_fraction", 0.5, "crop fraction must be 1 where images are stretched"),
    ],
)
def test_another_value_is_refused_in_one_line_that_says_where(path: str, value: object, said: str) -> None:
    with pytest.raises(DataError, match=r"^golden/golden\.json is not one of mbexport: ") as caught:
        read_golden(changed(path, value))
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_float_input_without_numbers_for_a_byte_is_refused() -> None:
    with pytest.raises(DataError, match="mean and std must be 1 to 4 numbers"):
        read_golden(changed("artifacts/0/input/dtype", "float32"))
