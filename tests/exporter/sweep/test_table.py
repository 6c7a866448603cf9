"""sweep.csv: its columns, its numbers, and that no name in it becomes a formula."""

import copy
import csv
import io
from typing import Any

import pytest
from example_sweeps import KINDS, example, of_points, point_of
from hypothesis import example as given_example
from hypothesis import given
from hypothesis import strategies as st

from mbexport.escaping.characters import is_hidden
from mbexport.escaping.spreadsheet import cell
from mbexport.models.mobilenet_v1.published import PUBLISHED
from mbexport.sweep.table import COLUMNS, sweep_csv


def rows(sweep: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sweep_csv(sweep).decode(), newline="")))


def test_a_row_by_hand():
    sweep = of_points([point_of(PUBLISHED[-1])])
    entry = sweep["points"][0]["artifacts"][2]
    entry |= {"top1": 0.81, "top1_ci95": [0.77, 0.85], "size_bytes": 284_000}
    entry["latency_ms"] = {"p50": 0.7, "p90": 0.8, "ci95": [0.69, 0.71]}
    assert rows(sweep)[2] == {
        "point": "0.25_128",
        "arch": "mobilenet_v1",
        "alpha": "0.25",
        "resolution_px": "128",
        "conv": "separable",
        "mult_adds": str(sweep["points"][0]["mult_adds"]),
        "parameters": str(sweep["points"][0]["parameters"]),
        "status": "passed",
        "file": "mobilenet_v1_0.25_128_int8.tflite",
        "format": "tflite",
        "precision": "int8",
        "size_bytes": "284000",
        "top1": "0.81",
        "top1_low": "0.77",
        "top1_high": "0.85",
        "agreement": "0.97",
        "p50_ms": "0.7",
        "p50_low_ms": "0.69",
        "p50_high_ms": "0.71",
        "p90_ms": "0.8",
        "front_latency": "on",
        "front_size": "on",
        "front_mult_adds": "undecided",
        "estimated_latency": "yes",
        "estimated_size": "yes",
        "estimated_mult_adds": "no",
        "failed_gates": "",
        "reason": "",
        "attempts": "1",
        "seconds": "175.0",
        "node": "",
        "folder": "points/0.25_128",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_and_every_point_without_one_has_a_row(kind):
    sweep = KINDS[kind]()
    found = rows(sweep)
    assert [row["point"] for row in found] == [
        point["name"] for point in sweep["points"] for _ in point["artifacts"] or [None]
    ]
    assert all(tuple(row) == COLUMNS for row in found)
    assert not any(value in ("None", "nan") for row in found for value in row.values())


def test_numbers_are_read_back_as_they_are():
    sweep = example()
    files = [entry for point in sweep["points"] for entry in point["artifacts"]]
    for row, entry in zip([row for row in rows(sweep) if row["file"]], files, strict=True):
        assert float(row["top1"]) == entry["top1"]
        assert float(row["p50_ms"]) == entry["latency_ms"]["p50"]


@given(st.text())
@given_example('=HYPERLINK("http://a")')
@given_example("+1")
@given_example("\t=1")
@given_example("\u200b@SUM(1)")
@given_example(" -1")
def test_no_text_is_a_formula(text):
    found = cell(text)
    assert not found.lstrip().startswith(("=", "+", "-", "@"))
    assert not any(map(is_hidden, found))


@given(st.text(min_size=1))
def test_a_hostile_name_stays_in_its_cell(text):
    sweep = copy.deepcopy(of_points([point_of(PUBLISHED[-1])]))
    sweep["points"][0] |= {"name": text, "node": text, "reason": text}
    found = rows(sweep)
    assert len(found) == 4
    assert {row["point"] for row in found} == {cell(text)}
    assert {row["format"] for row in found} == {"tflite", "onnx"}
