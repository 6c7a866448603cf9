"""Files of ranges: a line per site, every digit kept, and refusal of anything else."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import Range
from mbexport.calibration.ranges.range_file import ranges_from_json, ranges_to_json, read_ranges
from mbexport.errors import DataError, MbexportError

RANGES = st.dictionaries(
    st.text(min_size=1),
    st.builds(Range, low=st.floats(-1e30, 0), high=st.floats(1e-30, 1e30)),
    max_size=8,
)


def test_ranges_by_hand():
    ranges = {"relu": Range(low=0.0, high=0.1), "logits": Range(low=-16.946685791015625, high=24)}
    assert (
        ranges_to_json(ranges)
        == """{
 "relu": [0.0, 0.1],
 "logits": [-16.946685791015625, 24]
}
"""
    )


def test_no_ranges_at_all_are_stored_too():
    assert ranges_from_json(ranges_to_json({})) == {}


@given(RANGES)
def test_ranges_come_back_from_json_as_they_went_in(ranges):
    assert ranges_from_json(ranges_to_json(ranges)) == ranges
    assert list(ranges_from_json(ranges_to_json(ranges))) == list(ranges)


def test_one_bound_that_changes_is_one_line_that_changes():
    ranges = {f"site_{number}": Range(low=-number, high=number) for number in range(1, 6)}
    before = ranges_to_json(ranges)
    after = ranges_to_json(ranges | {"site_3": Range(low=-3, high=3.5)})
    assert before.endswith("\n")
    pairs = list(zip(before.splitlines(), after.splitlines(), strict=True))
    assert len(pairs) >= 5
    assert sum(old != new for old, new in pairs) == 1


NO_RANGES = """
no json
null
3
[]
[["relu", [0, 1]]]
{"relu": 1}
{"relu": {}}
{"relu": [0]}
{"relu": [0, 1, 2]}
{"relu": ["a", 1]}
{"relu": [0, null]}
{"relu": [0, 1]
""".splitlines()


@pytest.mark.parametrize("text", NO_RANGES)
def test_a_text_that_is_no_ranges_is_refused(text):
    with pytest.raises(DataError, match="not a file of ranges"):
        ranges_from_json(text)


@pytest.mark.parametrize("bounds", [[0, np.nan], [np.nan, 1], [0, np.inf], [1, 2], [0, 0]])
def test_a_stored_range_that_cannot_be_is_refused(bounds):
    with pytest.raises(MbexportError, match=r"a range must hold 0|must be finite"):
        ranges_from_json(json.dumps({"relu": bounds}))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b'{"relu": [1, 0]}', b'{"relu": [1, 2]}'])
def test_file_that_holds_no_ranges_is_named_in_one_line(tmp_path, content):
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_ranges(tmp_path / "r.json")
    assert str(caught.value).startswith(f"{tmp_path / 'r.json'} is not a file of ranges: ")
    assert "\n" not in str(caught.value)


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file or directory"):
        read_ranges(tmp_path / "r.json")


def test_file_is_read_back(tmp_path):
    ranges = {"relu": Range(low=0.0, high=1 / 3)}
    (tmp_path / "r.json").write_text(ranges_to_json(ranges))
    assert read_ranges(tmp_path / "r.json") == ranges
