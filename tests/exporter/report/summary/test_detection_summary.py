"""The summary of a detector on a job's page: its tables by hand, which stay whole whatever things are called."""

import re
from typing import Any, Final

import pytest
from example_detectors import DETECTORS, STEM, of_detector
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mbexport.report.job_summary import markdown

READER: Final = MarkdownIt("commonmark").enable("table")
TEXTS: Final = st.text(st.characters(exclude_categories=()), max_size=40) | st.text("a1_*`|<>&\\[]()!#@~$:/. \n-")
TFLITE, ONNX = f"{STEM}_int8.tflite", f"{STEM}_int8.onnx"


def tables_of(text: str) -> list[list[list[str]]]:
    """The rows of each table, each a list of its cells' Markdown, as the reader splits them."""
    tables: list[list[list[str]]] = []
    for token in READER.parse(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and tables and token.level > 3:
            tables[-1][-1].append(token.content)
    return tables


def test_says_first_how_good_what_it_is_compared_with_is():
    assert markdown(of_detector()).splitlines()[4] == (
        "Compared with Keras, float (AP 0.427 [0.408, 0.446], AP50 0.768 [0.747, 0.789]) on 72 images of `bccd`, 3 "
        "classes."
    )


def test_tables_by_hand():
    _, artifacts, speeds, twins, classes, images, tails, paths, _ = tables_of(markdown(of_detector()))
    assert artifacts[3][2:6] == [
        *("0.424 [0.405, 0.443]", "0.766 [0.745, 0.787]", "0.003 [-0.004, 0.011]", "93.4% [91.9%, 94.9%]")
    ]
    assert speeds[1][2] == "2.41 [2.33, 2.49]"
    assert twins[2][2:] == [
        "99.7% [98.2%, 100.0%]",
        "99.7% [98.2%, 100.0%]",
        "94.4% [89.4%, 94.4%]",
        "0.84 [0.81, 0.87]",
    ]
    assert classes[1] == [f"`{TFLITE}`<br>`{ONNX}`", "Platelets", "71", "0.241", "0.236", "0.612", "0.609"]
    assert images[1] == [f"`{TFLITE}`<br>`{ONNX}`", "`JPEGImages/BloodImage_00001.jpg`", "4", "1", "1"]
    assert tails[3][1:] == ["20", "100.0% [83.9%, 100.0%]", "2.50", "80% [77%, 83%]"]
    assert paths[1][1:4] == ["xnnpack and reference", "20", "98.1% [96.6%, 99.6%]"]


def test_what_was_not_measured_is_a_dash_and_an_empty_table_is_none():
    artifacts, classes, _ = tables_of(markdown(DETECTORS["anybody's detectors"]()))
    assert artifacts[2][2:6] == ["0.000", "0.000", "0.000 [0.000, 0.000]", "-"]
    assert [row[1] for row in classes[1:]] == ["Platelets", "RBC", "WBC"]
    beside = tables_of(markdown(DETECTORS["beside objects"]()))
    assert beside[1][1][4:6] == ["-", "-"]
    assert [row[3] for row in beside[4][1:]] == ["-"] * 6


@pytest.mark.parametrize("kind", DETECTORS)
def test_no_table_is_of_classifiers(kind):
    assert not re.search(r"top-?[15]|LSB|onfusions|\b(None|nan|answers?)\b", markdown(DETECTORS[kind]()))


def named(text: str) -> Any:
    """The example with one text for every name that users choose."""
    report = of_detector()
    report["model"]["name"] = report["data"]["name"] = report["reference"]["name"] = text or "m"
    for entry in report["artifacts"]:
        entry["file"] = text
        for row in entry["per_class"]:
            row["label"] = text
        for row in entry["worst_images"]:
            row["image"] = text
    for pair in (*report["pairs"], *report["speedups"]):
        pair |= {"a": text, "b": text}
    for file in report["paths"]:
        file["file"] = text
    return report


@given(TEXTS)
@example("a|b")
@example("</details>\n\n# a")
def test_every_row_has_as_many_cells_whatever_things_are_called(text):
    report = markdown(named(text))
    lengths = [[[len(row) for row in rows] for rows in tables_of(each)] for each in (report, markdown(named("a")))]
    assert lengths[0] == lengths[1]
    assert (report.count("<details>"), report.count("</details>")) == (5, 5)
