"""The README's picture: its figures are those of the decision that it names, and all of them are drawn."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench.quality.chart import FIGURES, PICTURE, picture

ROOT = Path(__file__).parents[1]
HELD = json.loads(FIGURES.read_text("utf-8"))
IN_TABLES = {"float32": "float", "mbexport": "ours, corrected"}


@pytest.mark.parametrize("point", HELD["points"], ids=lambda point: f"{point['name']}.{point['format']}")
def test_figures_are_those_of_the_decision(point):
    decision = (ROOT / HELD["source"].split(",")[0]).read_text("utf-8")
    table = decision.partition("Alpha 0.75:\n")[2].partition("Alpha 0.25:\n")[0]
    name = IN_TABLES.get(point["name"], point["name"])
    (row,) = (line for line in table.splitlines() if line.startswith(f"| {name} | .{point['format']} |"))
    cells = [cell.strip() for cell in row.split("|")]

    assert float(cells[3].split()[0]) == point["top1"]
    assert float(cells[4]) == point["agreement"]
    assert float(cells[6]) == point["p50_ms"]


def test_the_committed_picture_shows_every_point():
    drawn = ElementTree.parse(PICTURE).getroot()
    told = drawn.findtext("{*}desc") or ""
    texts = "".join(element.text or "" for element in drawn.iter() if element.tag.endswith("}text"))

    assert told.count(" ms") == len(HELD["points"])
    for point in HELD["points"]:
        assert f"{point['name']} .{point['format']}: {point['agreement']} % at {point['p50_ms']} ms" in told
        assert point["name"] in texts
        assert f".{point['format']}" in texts


def test_a_picture_stands_by_itself_in_any_page():
    drawn = picture(HELD)

    assert drawn == picture(HELD)
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "var(" not in drawn
    assert "url(h" not in drawn
    assert "<script" not in drawn
