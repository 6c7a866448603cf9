"""golden.json, written and read."""

import json
from dataclasses import replace

import pytest
from golden_by_hand import golden_by_hand
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.golden.vectors import Case, Expected, Golden, GoldenArtifact, GoldenInput, GoldenOutput, golden_from_bytes
from mbexport.models.preprocess import NORMALIZATIONS, Preprocess

CAFFE = NORMALIZATIONS["caffe"]
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
COUNTS = st.integers(0, 10**6)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.lists(NUMBERS, max_size=3).map(tuple)
SHAPES = st.lists(COUNTS, max_size=4).map(tuple)
GOLDENS = st.builds(
    Golden,
    stem=NAMES,
    classes=COUNTS,
    licence=st.none() | NAMES,
    preprocess=st.builds(
        Preprocess,
        resolution_px=st.integers(1, 999),
        crop_fraction=st.floats(0.01, 1),
        channels=st.just(3),
        normalization=st.sampled_from(list(NORMALIZATIONS.values())),
    ),
    artifacts=st.lists(
        st.builds(
            GoldenArtifact,
            input=st.builds(GoldenInput, shape=SHAPES, mean=ROWS, std=ROWS, **dict.fromkeys(("name", "dtype"), NAMES)),
            output=st.builds(GoldenOutput, shape=SHAPES, tolerance=NUMBERS, spread=NUMBERS, scale=st.none() | NUMBERS),
            **dict.fromkeys(("file", "sha256", "format", "precision"), NAMES),
        ),
        max_size=2,
    ).map(tuple),
    cases=st.lists(
        st.builds(
            Case,
            truth=st.none() | COUNTS,
            expected=st.dictionaries(NAMES, st.builds(Expected, top=COUNTS, score=NUMBERS), max_size=2),
        ),
        max_size=2,
    ).map(tuple),
)


def test_what_is_written_is_read_again():
    golden = golden_by_hand()
    assert golden_from_bytes(golden.to_bytes()) == golden


@given(GOLDENS)
def test_whatever_is_written_is_read_again(golden):
    assert golden_from_bytes(golden.to_bytes()) == golden


def test_a_number_that_json_does_not_have_is_not_written():
    golden = golden_by_hand()
    (artifact,) = golden.artifacts
    artifact = replace(artifact, output=replace(artifact.output, tolerance=float("nan")))
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(golden, artifacts=(artifact,)).to_bytes()


def test_a_normalization_of_three_channels_is_read_again():
    golden = golden_by_hand()
    golden = replace(golden, preprocess=replace(golden.preprocess, normalization=CAFFE))
    assert golden_from_bytes(golden.to_bytes()) == golden


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "stem": "a"}', b"\xff"])
def test_anything_else_is_refused_in_one_line(content):
    with pytest.raises(DataError, match=r"golden\.json is not one of mbexport") as caught:
        golden_from_bytes(content)
    assert "\n" not in str(caught.value)


def test_an_unknown_field_is_refused():
    told = json.loads(golden_by_hand().to_bytes())
    told["cases"][0]["more"] = 1
    with pytest.raises(DataError, match="more"):
        golden_from_bytes(json.dumps(told).encode())
