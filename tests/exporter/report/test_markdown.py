"""The summary on a job's page: what it says first, that every table stays whole, and how long it may grow."""

import copy
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mbexport.report.job_summary import markdown

EXAMPLE: Final = json.loads(Path(__file__).with_name("example_report.json").read_bytes())
INT8: Final = "mobilenet_v1_0.75_224_int8.tflite"
ONNX: Final = "mobilenet_v1_0.75_224_int8.onnx"
GITHUB_TAKES: Final = 1 << 20  # bytes of a step's summary
READER: Final = MarkdownIt("commonmark").enable("table").enable("strikethrough")
MARKS: Final = "a1_*`|<>&\\[]()!#@~$:/. \n-"
TEXTS: Final = st.text(st.characters(exclude_categories=()), max_size=40) | st.text(MARKS, max_size=12)


def cells_of(text: str) -> list[list[list[str]]]:
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


def test_says_the_verdict_first_then_what_failed_and_what_to_do():
    lines = markdown(EXAMPLE).splitlines()
    assert lines[0] == "## ❌ mbexport: `mobilenet_v1_0.75_224` failed"
    assert lines[2].startswith("**FAILED: size_ratio (int8 size over fp32 size, same format); 1 gate is undecided")
    assert lines[4] == (
        "Compared with Keras, float (top-1 79.20% [75.4%, 82.5%]) on 500 images of `eval`, 500 classes."
    )
    rows = cells_of(markdown(EXAMPLE))[0]
    assert rows[1] == ["❌ fail", "`size_ratio`", f"`{INT8}`", "0.31", "≤ 0.2926"]
    assert rows[2] == ["⚠️ undecided", "`top1_drop`", f"`{INT8}`", "0.008 [-0.0034, 0.0206]", "≤ 0.005"]
    assert [row[0] for row in rows[3:]] == ["✅ pass"] * 8
    assert "- ❌ `size_ratio`: int8 size over fp32 size, same format. **Next:** see README, section Gates" in lines
    assert sum(line.startswith("- ") and "**Next:**" in line for line in lines) == 2


def test_a_report_that_passed_says_so():
    gates = [gate for gate in EXAMPLE["gates"] if gate["verdict"] == "pass"]
    lines = markdown({**EXAMPLE, "gates": gates, "passed": True}).splitlines()
    assert (lines[0], lines[2]) == ("## ✅ mbexport: `mobilenet_v1_0.75_224` passed", "**PASSED**")


def test_layers_in_float_stand_below_the_artifacts_with_what_they_cost():
    report = copy.deepcopy(EXAMPLE)
    assert "in float" not in markdown(report).partition("### Artifacts")[2].partition("###")[0]
    layers = [{"layer": "conv_dw_3_<b>", "weights": 1728}]
    report["calibration"] = {**(report["calibration"] or {}), "convolutions": 28, "in_float": layers}
    report["in_float"] = [{"file": INT8, "latency_ratio": 1.08, "latency_ratio_ci95": [1.05, 1.11]}]
    artifacts = markdown(report).partition("### Artifacts")[2].partition("###")[0]
    items = [each.content for each in READER.parse(artifacts) if each.type == "inline" and each.level == 3]
    texts = ["".join(part.content for part in READER.parseInline(each)[0].children) for each in items[-2:]]
    assert texts == [
        "1 of 28 convolutions of int8 files stays in float: conv_dw_3_<b>",
        f"{INT8} takes 1.08 [1.05, 1.11] times as long as with all layers in integers",
    ]


def test_artifacts_stand_with_their_intervals():
    rows = cells_of(markdown(EXAMPLE))[1]
    assert rows[3] == [
        *(f"`{INT8}`", "2.72 MB", "78.40% [74.6%, 81.8%]", "0.8 [-0.3, 2.1]", "98.00% [96.4%, 98.9%]"),
        *("3.12", "4.43", "28 of 28"),
    ]


def test_what_twins_have_in_common_is_told_once():
    classes = cells_of(markdown(EXAMPLE))[4]
    assert classes[1] == [f"`{INT8}`<br>`{ONNX}`", "red fox", "5", "4", "2"]
    losses = [int(row[3]) - int(row[4]) for row in classes[1:]]
    assert all(first >= second for first, second in pairwise(losses))


def test_many_artifacts_with_the_same_classes_are_counted():
    report = copy.deepcopy(EXAMPLE)
    report["artifacts"] = [{**report["artifacts"][2], "file": f"{number}.onnx"} for number in range(7)]
    assert cells_of(markdown(report))[4][1][0] == "`0.onnx`<br>`1.onnx`<br>`2.onnx`<br>`3.onnx`<br>and 3 more"


def test_the_worst_of_all_artifacts_stand_first():
    report = copy.deepcopy(EXAMPLE)
    last = report["artifacts"][3]
    last["confusions"][-1] |= {"label": "hay", "count": 9}
    last["disagreements"]["worst"][-1] |= {"image": "worst.png", "severity": 1.0}
    confusions, disagreements = cells_of(markdown(report))[5:7]
    assert confusions[1][:2] + confusions[1][3:] == [f"`{ONNX}`", "hay", "9", "1"]
    assert disagreements[1][:2] == [f"`{ONNX}`", "`worst.png`"]


def test_warnings_are_told_before_the_gates():
    report = {**EXAMPLE, "machine": {**EXAMPLE["machine"], "noise": "the load was 3"}}
    text = markdown(report)
    warning = "> ⚠️ **Warning:** these latencies are not to be trusted: the load was 3\n"
    assert 0 < text.index(warning) < text.index("### Gates")
    assert "**Warning:**" not in markdown(EXAMPLE)


def unlabelled() -> Any:
    """What `verify` writes of images without labels, where nothing else was measured either."""
    report = copy.deepcopy(EXAMPLE)
    report["model"] = {"reference": "a_fp32.tflite", "resolution_px": 224, "classes": 10}
    report["data"]["name"] = None
    report["reference"] |= {"top1": None, "top1_ci95": None, "labelled": False}
    report |= {"gates": [], "pairs": [], "paths": [], "speedups": []}
    report["tool"].pop("version")
    nothing = {"top1": None, "top1_ci95": None, "difference": None, "agreement": None, "agreement_ci95": None}
    nothing |= {"worst_classes": [], "confusions": [], "cold_start_ms": None, "peak_memory_bytes": None}
    for entry in report["artifacts"]:
        entry |= {**nothing, "throughput": [], "threads": [], "disagreements": {"count": 0, "worst": []}}
    for key in ("options", "stages", "training", "qat", "tried_normalizations", "calibration", "health"):
        del report[key]
    return report


def test_what_was_not_measured_is_a_dash_and_an_empty_table_is_none():
    text = markdown(unlabelled())
    assert text.startswith("## ❌ mbexport: `a_fp32.tflite` failed\n\n**FAILED: there was nothing to judge**\n")
    artifacts, speeds = cells_of(text)
    assert artifacts[1][2:5] == ["no labels", "-", "-"]
    assert speeds[1][1:] == ["-", "-"]


def named(text: str) -> Any:
    """The example with one text for every name that users choose."""
    report = copy.deepcopy(EXAMPLE)
    report["model"]["name"] = report["data"]["name"] = report["reference"]["name"] = text or "m"
    for entry in report["artifacts"]:
        entry["file"] = text
        for row in (*entry["worst_classes"], *entry["confusions"]):
            row.update({key: text for key in ("label", "answer_label") if key in row})
        for row in entry["disagreements"]["worst"]:
            row.update(dict.fromkeys(("image", "label", "reference", "artifact"), text))
    for pair in (*report["pairs"], *report["speedups"]):
        pair |= {"a": text, "b": text}
    for file in report["paths"]:
        file["file"] = text
    for gate in report["gates"]:
        gate |= {"subject": text, "advice": text, "meaning": text}
    return report


@given(TEXTS)
@example("a|b")
@example("`|`")
@example("\\")
@example("</details>\n\n# a")
def test_every_row_has_as_many_cells_whatever_things_are_called(text):
    report = markdown(named(text))
    lengths = [[[len(row) for row in rows] for rows in cells_of(each)] for each in (report, markdown(named("a")))]
    assert lengths[0] == lengths[1]
    for block in re.findall(r"(?:^\|.*\n)+", report, flags=re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    assert (report.count("<details>"), report.count("</details>")) == (5, 5)


def test_stays_below_what_a_server_takes_however_much_there_is():
    report = named("\U0001f600" * 300)
    for name in ("artifacts", "pairs", "speedups", "paths"):
        report[name] = report[name] * 50
    assert len(markdown(report).encode()) < GITHUB_TAKES
    assert "… and 160 more: see report.json" in markdown(report)  # 4 artifacts x 50, 40 of them shown
    for gate in report["gates"]:
        gate["advice"] = "|" * 1000
    report["gates"] = report["gates"] * 500
    assert markdown(report).endswith("The rest is too long for this page: see report.json.\n")
    assert len(markdown(report).encode()) < GITHUB_TAKES
