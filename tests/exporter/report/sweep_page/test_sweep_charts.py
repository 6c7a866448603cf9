"""The charts of a sweep: what they draw and describe, their scales, and labels that hide nothing."""

import math
import re
from functools import cache
from itertools import combinations
from xml.etree import ElementTree

import pytest
from example_sweeps import KINDS
from hypothesis import given
from hypothesis import strategies as st

from mbexport.report.sweep_page.charts import front_charts
from mbexport.report.sweep_page.labels import Box, Label, place, point_box, step_boxes
from mbexport.report.sweep_page.published import published_charts
from mbexport.report.sweep_page.scales import round_numbers
from mbexport.report.sweep_page.view import numbered_points, swept_files


@cache
def drawn(kind: str) -> dict[str, str]:
    return front_charts(swept_files(numbered_points(KINDS[kind]())))


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def described(svg: str) -> str:
    return ElementTree.fromstring(svg).findtext("desc") or ""


def test_a_chart_for_each_format_and_cost():
    costs = ("latency", "size", "mult_adds")
    assert list(drawn("sixteen points")) == [f"{name}-{cost}" for name in ("tflite", "onnx") for cost in costs]
    assert list(drawn("not timed")) == [f"{name}-{cost}" for name in ("tflite", "onnx") for cost in costs[1:]]
    assert drawn("unlabelled") == drawn("all failed") == {}


def test_the_front_is_described_and_named():
    svg = drawn("sixteen points")["tflite-size"]
    assert described(svg) == (
        "30 files. The front of their values: 0.25_224 int8: 76.3% at 0.26, undecided; "
        "0.5_224 int8: 87.2% at 0.87, undecided; 0.75_224 int8: 91.6% at 1.88, undecided; "
        "1_224 int8: 93.1% at 3.28, undecided; 1_224 fp32: 93.9% at 12.98, undecided"
    )
    assert {"0.25_224", "0.5_224", "0.75_224", "1_224"} <= set(texts(svg))
    assert "file size, MB" in texts(svg)


@pytest.mark.parametrize("kind", ["sixteen points", "one point", "oblong"])
def test_charts_take_their_looks_from_the_page(kind):
    for name, svg in drawn(kind).items():
        root = ElementTree.fromstring(svg)
        assert root.attrib["aria-labelledby"] == f"chart-{name}-title chart-{name}-text"
        assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg)) <= {"none", *re.findall(r"var\(--[a-z0-9]+\)", svg)}
        assert "font-family" not in svg


def test_published_accuracies_have_a_panel_of_their_own():
    found = published_charts(KINDS["sixteen points"]())
    assert list(found) == ["mobilenet_v1"]
    title, svg = found["mobilenet_v1"]
    assert title == "MobileNet v1"
    assert "0.25_128: 41.5% float, 39.9% int8" in described(svg)
    assert "top-1 on ImageNet, %" in texts(svg)
    assert not any("ImageNet" in text for each in drawn("sixteen points").values() for text in texts(each))


def test_only_what_the_sweep_has_is_named_among_the_published():
    _, svg = published_charts(KINDS["one point"]())["mobilenet_v1"]
    assert described(svg) == "0.25_128: 41.5% float, 39.9% int8"
    assert [text for text in texts(svg) if "_" in text] == ["0.25_128"]


@given(st.floats(1e-3, 1e9), st.floats(1.5, 1e5))
def test_scales_have_a_few_round_numbers(low, times):
    found = round_numbers(low, low * times)
    assert 1 <= len(found) <= 6
    assert found == sorted(set(found))
    assert all(low <= each <= low * times for each in found)
    assert all(float(f"{each:.1e}") == each for each in found)


def test_round_numbers_by_hand():
    assert round_numbers(0.7, 60) == [1, 3, 10, 30]
    assert round_numbers(10, 600) == [10, 30, 100, 300]
    assert round_numbers(1.1, 2.3) == [1.1, 1.4, 1.7, 2.0, 2.3]


COORDINATES = st.floats(0, 340)
PLACES = st.lists(st.tuples(COORDINATES, COORDINATES), max_size=20)
BOUNDS = Box(left=0, low=0, right=340, high=300)


@given(PLACES, PLACES, st.floats(10, 80))
def test_labels_hide_neither_each_other_nor_a_point(places, others, width):
    labels = [Label(x=x, y=y, texts=(("long", width), ("1", 7.0))) for x, y in places]
    taken = [point_box(*each) for each in (*places, *others)] + step_boxes(sorted(places))
    boxes = [found[1] for found in place(labels, taken, BOUNDS, height=12) if found]
    assert all(each.is_within(BOUNDS) for each in boxes)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert not any(each.overlaps(other) for each in boxes for other in taken)


def test_labels_by_hand():
    alone = Label(x=100, y=100, texts=(("name", 30), ("7", 7)))
    ((text, box),) = place([alone], [point_box(100, 100)], BOUNDS, height=12)
    assert (text, box) == ("name", Box(left=61, low=105, right=91, high=117))
    crowd = [point_box(x, y) for x in range(40, 160, 10) for y in range(60, 140, 6)]
    assert place([alone], crowd, BOUNDS, height=12) == [None]
    narrow = Box(left=90, low=0, right=125, high=300)
    assert [found and found[0] for found in place([alone], [point_box(100, 100)], narrow, height=12)] == ["7"]
    assert place([alone], [], Box(left=95, low=90, right=118, high=125), height=12)[0] is not None


def test_a_single_file_has_a_scale():
    svg = drawn("one point")["tflite-mult_adds"]
    numbers = [float(text.replace(",", "")) for text in texts(svg) if re.fullmatch(r"[\d.,]+", text)]
    assert all(map(math.isfinite, numbers))
    assert len(numbers) >= 4
