"""sweep.html: what its tables and its first screen say, whole by itself, harmless whatever names hold."""

import copy
import re
from functools import cache
from typing import Any
from urllib.parse import unquote

import pytest
from example_sweeps import KINDS, example, of_points, point_of
from hostile import TEXTS
from hypothesis import example as given_example
from hypothesis import given, settings
from read_page import IN_CHARTS, Page

from mbexport.escaping.markup import clean
from mbexport.models.mobilenet_v1.published import PUBLISHED
from mbexport.report.sweep_page.render import sweep_page

POINTS = "Each point is a build in a folder of its own; its name leads to its report"
FILES = (
    "Accuracy and cost of each file, and where it stands among those of its format; in bold: on the front of the values"
)
BUDGET = 1_000_000  # bytes


@cache
def page_of(kind: str) -> bytes:
    return sweep_page(KINDS[kind]())


def rows(page: Page, caption: str) -> list[list[str]]:
    return [[" ".join(cell.split()) for cell in row] for row in page.tables[caption]]


def test_a_point_by_hand():
    found = rows(Page(page_of("sixteen points")), POINTS)
    assert len(found) == 17
    assert found[0][:4] == ["Point", "Status", "Alpha", "Pixels"]
    assert found[1] == ["1 0.25_128", "\u2713 passed", "0.25", "128", "0.22", "13.3", "175"]
    assert found[8][:2] == ["8 0.5_224", "\u2717 gate failed agreement"]
    assert found[15][:2] == ["15 1_192", "\u2717 not built killed by signal 9 three times"]
    assert found[15][-1] == "700 3 attempts"


def test_a_file_by_hand():
    sweep = of_points([point_of(row) for row in (PUBLISHED[0], PUBLISHED[-1])])
    found = rows(Page(sweep_page(sweep)), FILES)
    assert found[0] == ["Point", "File", "Top-1", "p50, ms", "Size, MB", "Latency", "Size", "Mult-adds"]
    assert found[3][:5] == ["1 0.25_128", "int8 TFLite", "69.9% 66.5 to 73.1", "0.65 0.64 to 0.66", "0.26"]
    assert found[3][5:] == ["\u25cfon", "\u25cfon", "\u25cbundecided"]
    assert found[1][5:] == ["\u25cbundecided", "\u25cbundecided", "\u25cbundecided"]


def test_the_first_screen_by_hand():
    text = " ".join(Page(page_of("sixteen points")).text.split())
    assert "16 points: 14 passed, 1 failed a gate, 1 could not be built" in text
    assert "Not passed: 0.5_224 (agreement), 1_192 (killed by signal 9 three times)." in text
    assert (
        "Smallest within 1 point of the best: 1_224 int8 TFLite, 93.1%, 3.28 MB, 25.6 ms; the best is 1_224 fp32 "
        "TFLite, 93.9%, 12.98 MB, 62.5 ms."
    ) in text
    assert "No point that passed has a known accuracy." in Page(page_of("unlabelled")).text


def test_each_point_leads_to_its_report_and_one_without_leads_nowhere():
    links = [url for url in Page(page_of("sixteen points")).values("href") if url.startswith("./")]
    assert "./points/0.25_96/report.html" not in links
    assert "./points/0.25_128/report.html" in links
    assert not any("1_192" in url for url in links)
    assert set(links) == {
        f"./{point['folder']}/report.html" for point in example()["points"] if point["status"] != "failed"
    }


def test_each_point_has_the_command_that_builds_it():
    text = Page(page_of("one point")).text
    assert "mbexport build --data photos --weights imagenet --alpha 0.25 --int8 --resolution 128 --out" in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_whole(kind):
    content = page_of(kind)
    found = Page(content)
    ids = found.values("id")

    assert found.first_in_table == ["caption"] * found.count("table")
    assert all(rows for rows in found.tables.values())
    assert len(ids) == len(set(ids))
    assert {part for value in found.values("aria-labelledby") for part in value.split()} <= set(ids)
    assert {url[1:] for url in found.values("href", "src") if url.startswith("#")} <= set(ids)
    assert all(url.startswith(("#", "data:", "./points/")) for url in found.values("href", "src", "action", "poster"))
    assert not {"script", "iframe", "object", "base", "form"} & {tag for tag, _ in found.tags}
    assert (found.count("h1"), found.written.count("title")) == (1, 1)
    assert not any(word in content for word in (b"ndefined", b">None<", b">nan<", b"url(h", b"@import"))
    assert len(content) < BUDGET
    assert sweep_page(KINDS[kind]()) == content


@pytest.mark.parametrize(
    ("kind", "present", "absent"),
    [
        ("sixteen points", {"chart-tflite-latency", "chart-onnx-mult_adds", "chart-published-mobilenet_v1"}, set()),
        ("not timed", {"chart-tflite-size"}, {"chart-tflite-latency"}),
        ("unlabelled", {"files-table", "chart-published-mobilenet_v1"}, {"chart-tflite-size"}),
        ("all failed", {"points-table"}, {"files-table", "chart-tflite-size"}),
        ("oblong", {"chart-published-mobilenet_v1"}, set()),
    ],
)
def test_sections_are_there_as_the_sweep_has_them(kind, present, absent):
    ids = {value.removesuffix("-caption").removesuffix("-title") for value in Page(page_of(kind)).values("id")}
    assert present <= ids
    assert not absent & ids


def named(text: str) -> tuple[Page, Any]:
    """The page of a small sweep in which everything has that name."""
    sweep = copy.deepcopy(of_points([point_of(PUBLISHED[-1])]))
    (point,) = sweep["points"]
    point |= {"name": text, "reason": text, "node": text, "command": [text], "folder": f"points/{text}"}
    point |= {"failed_gates": [text], "status": "gate_failed", "conv": text, "arch": None}
    point["artifacts"] = point["artifacts"][:1]
    point["artifacts"][0]["file"] = text
    sweep |= {"data": text, "passed": False}
    sweep["machine"] = {**sweep["machine"], "cpu": text, "noise": text}
    return Page(sweep_page(sweep)), sweep


@given(text=TEXTS.filter(bool))
@given_example(text="<script>alert(1)</script>")
@given_example(text="\"' onload='x' $x_1$ {{ 7 * 7 }} </style></svg>")
@given_example(text="../..//evil?#")
@given_example(text="\x00\ud800 \u7f8a &amp; &lt;")
@settings(max_examples=6, deadline=None)
def test_no_name_becomes_a_part_of_the_page(text):
    found, _ = named(text)

    assert found.written == named("plain")[0].written
    assert set(found.drawn) <= IN_CHARTS | {"circle"}
    assert clean(text) in found.text
    links = [url for url in found.values("href") if not url.startswith(("#", "data:"))]
    assert links
    assert all(re.fullmatch(r"\./points/[^?#:\s\"'<>\\]*/report\.html", url) for url in links)
    if "\ud800" not in text and not any(0xD800 <= ord(char) < 0xE000 for char in text):
        assert {unquote(url) for url in links} == {f"./points/{text}/report.html"}
