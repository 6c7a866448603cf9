"""golden.json, written and read."""

import json
from dataclasses import replace

import pytest
from golden_by_hand import golden_by_hand

from mbexport.errors import DataError
from mbexport.golden_vectors import golden_from_bytes
from mbexport.models.preprocess import CAFFE


def test_what_is_written_is_read_again():
    golden = golden_by_hand()
    assert golden_from_bytes(golden.to_bytes()) == golden


def test_a_normalization_of_three_channels_is_read_again():
    golden = golden_by_hand()
    golden = replace(golden, preprocess=replace(golden.preprocess, normalization=CAFFE))
    assert golden_from_bytes(golden.to_bytes()) == golden


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "stem": "a"}', b"\xff"])
def test_anything_else_is_refused_in_one_line(content):
    with pytest.raises(DataError, match=r"not a golden\.json") as caught:
        golden_from_bytes(content)
    assert "\n" not in str(caught.value)


def test_an_unknown_field_is_refused():
    told = json.loads(golden_by_hand().to_bytes())
    told["cases"][0]["more"] = 1
    with pytest.raises(DataError, match="more"):
        golden_from_bytes(json.dumps(told).encode())
