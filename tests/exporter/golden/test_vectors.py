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
from mbexport.models.resolution import Resolution

CAFFE = NORMALIZATIONS["caffe"]
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
FILES = st.from_regex(r"[a-z_]{1,9}\.[a-z]{1,3}", fullmatch=True)
COUNTS = st.integers(0, 10**6)
NUMBERS = st.floats(0, allow_infinity=False)
SIZES = st.integers(1, 4096)
TENSOR = {
    "name": NAMES,
    "dtype": st.sampled_from(["uint8", "int8"]),
    "shape": st.lists(SIZES, min_size=1, max_size=4).map(tuple),
}
GOLDENS = st.builds(
    Golden,
    stem=FILES,
    classes=SIZES,
    licence=st.none() | NAMES,
    preprocess=st.builds(
        Preprocess,
        resolution=st.builds(Resolution, height_px=st.integers(1, 999), width_px=st.integers(1, 999)),
        crop_fraction=st.floats(0.01, 1),
        channels=st.just(3),
        normalization=st.sampled_from(list(NORMALIZATIONS.values())),
    ),
    artifacts=st.lists(
        st.builds(
            GoldenArtifact,
            file=FILES,
            sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
            format=st.sampled_from(["tflite", "onnx"]),
            precision=st.sampled_from(["fp32", "int8"]),
            input=st.builds(
                GoldenInput,
                layout=st.sampled_from(["nhwc", "nchw"]),
                channel_order=st.sampled_from(["RGB", "BGR", "GREY"]),
                **TENSOR,
            ),
            output=st.builds(
                GoldenOutput,
                kind=st.sampled_from(["softmax", "sigmoid", "logits"]),
                tolerance=NUMBERS,
                spread=NUMBERS,
                scale=st.none() | st.floats(1e-9, 1e9),
                zero_point=st.none() | st.integers(-128, 255),
                **TENSOR,
            ),
        ),
        max_size=2,
    ).map(tuple),
    cases=st.lists(
        st.builds(
            Case,
            truth=st.none() | COUNTS,
            expected=st.dictionaries(
                FILES, st.builds(Expected, output=FILES, label=NAMES, top=COUNTS, score=NUMBERS), max_size=2
            ),
            **dict.fromkeys(("width", "height"), SIZES),
            **dict.fromkeys(("name", "raw", "resized"), FILES),
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
