"""report.html: what its tables say, whole by itself, harmless whatever names hold, the same bytes every time."""

import base64
import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest
from example_reports import KINDS, of_artifacts, of_build
from hypothesis import example as given_example
from hypothesis import given, settings
from hypothesis import strategies as st
from read_page import IN_CHARTS, Page

from mbexport.escaping.markup import clean
from mbexport.report.page.classification.answers import MOST_IMAGES, disagreements
from mbexport.report.page.render import page
from mbexport.report.page.view import caveats, numbered_artifacts, reason

BUDGET = 1_000_000  # bytes beside the pictures
FP32, INT8 = 0, 2  # places of artifacts in the example


@pytest.fixture
def example() -> dict[str, Any]:
    """A report, to be changed."""
    return of_build()


@cache
def page_of(kind: str) -> bytes:
    """The page of a kind of report as it is: rendered once for all tests."""
    return page(KINDS[kind](), {})


def read(report: dict[str, Any], pictures: Any = None) -> Page:
    return Page(page(report, pictures or {}))


def test_the_gates_table_by_hand(example):
    table = Page(page_of("build")).tables["Gates, those that failed first"]
    rows = [[" ".join(cell.split()) for cell in row] for row in table]

    assert rows[0] == ["Verdict", "Gate", "Value", "Limit"]
    assert [(row[0], row[1].split()[0], *row[2:]) for row in rows[1:]] == [
        ("\u2717 fail", "size_ratio", "0.31", "\u2264 0.2926"),
        ("? undecided", "top1_drop", "0.008 \u22120.0034 to 0.0206", "\u2264 0.005"),
        ("\u2713 pass", "samples", "500", "\u2265 30"),
        ("\u2713 pass", "distinct_outputs", "495", "\u2265 5"),
        ("\u2713 pass", "above_chance", "75.43", "\u2265 1"),
        ("\u2713 pass", "fp32_error", "9.358e\u221206", "\u2264 0.001"),
        ("\u2713 pass", "agreement", "0.98 0.9635 to 0.989", "\u2265 0.9"),
        ("\u2713 pass", "twin_agreement", "1 0.9924 to 1", "\u2265 0.995"),
        ("\u2713 pass", "int8_convs", "1", "\u2265 1"),
        ("\u2713 pass", "int8_speedup", "2.347 2.19 to 2.35", "\u2265 1"),
    ]
    assert rows[2][1].endswith(
        "of mobilenet_v1_0.75_224_int8.tflite Next: Give more test images: about 7,300 would decide it (an estimate; "
        "these were 500); it fails if the value stays what it is: " + example["gates"][4]["advice"]
    )
    assert "Next:" not in rows[3][1]


def test_an_artifact_by_hand():
    tables = Page(page_of("build")).tables
    accuracy = tables["Accuracy, on the same images as the reference"][2 + INT8]
    latency = tables["Latency in ms, one thread; cold start and memory in processes of their own"][1 + INT8]
    fed = tables["Files and their inputs"][1 + INT8]

    assert accuracy[:3] == ["3int8.tflite", "78.4% 74.6 to 81.8", "96.2% 94.2 to 97.5"]
    assert accuracy[3:6] == ["0.8 \u22120.3 to 2.1", "0.289 lost 6, won 2", "98.0% 96.4 to 98.9"]
    assert latency[:5] == ["3int8.tflite", "3.12", "3.58", "4.43", "100"]
    assert [" ".join(cell.split()) for cell in fed] == [
        "3mobilenet_v1_0.75_224_int8.tflite",
        "int8",
        "litert",
        "uint8 NHWC RGB (byte \u2212 127.5) / 127.5, from metadata",
        "uint8 softmax",
        "2.72",
        "28 of 28 30 ops delegated",
    ]


def gate(name: str, value: float | None, **more: Any) -> dict[str, Any]:
    usual = {"limit": 0.5, "direction": "at least", "verdict": "pass", "passed": True, "subject": None, "ci95": None}
    return {"name": name, "value": value, **usual, **more}


FAILED = {"verdict": "fail", "passed": False}


@pytest.mark.parametrize(
    ("gates", "told"),
    [
        ([], "There was nothing to judge."),
        ([gate("agreement", 0.9)], "The only gate passes on 500 images."),
        ([gate("agreement", 0.9), gate("samples", 500)], "All 2 gates pass on 500 images."),
        (
            [gate("agreement", 0.9), gate("top1_drop", 0.4, verdict="undecided")],
            "No gate fails on 500 images; they are too few to decide top1_drop.",
        ),
        (
            [gate("samples", 9), gate("agreement", 0.4, **FAILED, subject="a")],
            "1 of 2 gates fails: agreement of a is 0.4 and must be at least 0.5.",
        ),
        ([gate("agreement", None, **FAILED)], "The only gate fails: agreement was not measured."),
        (
            [gate("drop", 0.4, verdict="undecided", passed=False, direction="at most")],
            "The only gate fails: drop is 0.4, and its interval holds the limit of at most 0.5 (strict).",
        ),
        (
            [gate("agreement", 0.9), gate("speed", 0.4, verdict="undecided", reason="others were at work")],
            "No gate fails on 500 images; speed is undecided: others were at work.",
        ),
        (
            [gate("speed", 0.4, verdict="undecided", passed=False, reason="others were at work")],
            "The only gate fails: speed is 0.4, and decides nothing: others were at work (strict).",
        ),
        (
            [gate("labels", 0, **FAILED, subject="a", reason="it holds 9 labels for 10 scores")],
            "The only gate fails: labels of a is 0 and must be at least 0.5: it holds 9 labels for 10 scores.",
        ),
        (
            [gate("twin_lsb", None, **FAILED, reason="their outputs have other steps")],
            "The only gate fails: twin_lsb was not measured: their outputs have other steps.",
        ),
        (
            [gate(name, None, **FAILED) for name in "abcde"],
            "5 of 5 gates fail: a was not measured; b was not measured; c was not measured; and 2 more.",
        ),
    ],
)
def test_the_verdict_has_one_sentence(example, gates, told):
    assert reason({**example, "gates": gates}) == told


def test_what_limits_the_report_is_told_on_top(example):
    assert caveats(example) == []
    example["machine"]["noise"] = "too noisy to tell"
    example["data"]["unreadable"] = [{"file": f"{name}.png", "reason": "truncated"} for name in "abcd"]

    found = read(example).text
    assert found.index("Too noisy to tell") < found.index("--gate")
    assert "4 images cannot be read and were left out: a.png, b.png, c.png, \u2026" in found


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
    assert all(url.startswith(("#", "data:")) for url in found.values("href", "src", "action", "poster"))
    assert not {"script", "iframe", "object", "base", "form"} & {tag for tag, _ in found.tags}
    assert found.tags[0] == ("html", {"lang": "en"})
    assert (found.count("h1"), found.written.count("title")) == (1, 1)
    assert all(attributes.get("role") == "img" for _, attributes in found.tags if attributes.get("class") == "chart")
    assert not any(word in content for word in (b"ndefined", b">None<", b">nan<", b"url(h", b"@import"))
    assert len(content) < BUDGET


@pytest.mark.parametrize(
    ("kind", "present", "absent"),
    [
        ("build", {"layers", "paths", "stages", "speedups", "chart-layers", "chart-ratios", "accuracy"}, set()),
        ("verify", {"gates", "paths", "provenance"}, {"layers", "stages", "chart-layers", "chart-ranges"}),
        ("unlabelled", {"accuracy", "chart-size"}, {"classes-3"}),
        ("barely measured", {"answers", "digests"}, {"paths", "layers", "threads", "speedups", "chart-size"}),
    ],
)
def test_sections_are_there_as_the_report_has_them(kind, present, absent):
    found = Page(page_of(kind))
    ids = {value.removesuffix("-caption").removesuffix("-title") for value in found.values("id")}

    assert present <= ids
    assert not absent & ids


def test_pictures_stand_in_the_page_once_each(example):
    name = example["artifacts"][INT8]["disagreements"]["worst"][0]["image"]
    found = read(example, {name: b"\xff\xd8 of a fish", "elsewhere.png": b"not asked for"})

    assert [base64.b64decode(url.partition(",")[2]) for url in found.values("src")] == [b"\xff\xd8 of a fish"]
    assert found.values("alt") == [example["artifacts"][INT8]["disagreements"]["worst"][0]["label"]]


def test_an_image_is_shown_once_with_all_that_answer_it_otherwise(example):
    both = disagreements(numbered_artifacts(example))

    assert len(both) == 10
    assert [case.severity for case in both] == sorted((case.severity for case in both), reverse=True)
    assert [[one.short for one, _, _ in case.answers] for case in both] == [["int8.tflite", "int8.onnx"]] * 10
    worst = example["artifacts"][FP32]["disagreements"]["worst"]
    worst += [{**example["artifacts"][INT8]["disagreements"]["worst"][0], "image": str(at)} for at in range(100)]
    assert len(disagreements(numbered_artifacts(example))) == MOST_IMAGES


@cache
def named(name: str) -> Page:
    """The page of a small report whose files, labels, layers and so on all have that name."""
    report = of_artifacts(1)
    entry = of_build()["artifacts"][INT8]
    entry["file"], entry["sha256"] = name, name
    entry["worst_classes"][0]["label"] = name
    entry["disagreements"]["worst"] = entry["disagreements"]["worst"][:1]
    entry["disagreements"]["worst"][0] |= {"image": name, "label": name, "reference": name, "artifact": name}
    report["sensitivity"]["layers"] = [{**report["sensitivity"]["layers"][0], "layer": name}]
    report |= {"artifacts": [entry], "calibration": None, "speedups": []}
    report["model"]["name"] = report["gates"][0]["subject"] = report["machine"]["cpu"] = name
    return read(report, {name: b"jpeg"})


@given(text=st.text(min_size=1))
@given_example(text="<script>alert(1)</script>")
@given_example(text="\"' onload='x' $x_1$ {{ 7 * 7 }} </style></svg>")
@given_example(text="\x00\ud800 \u7f8a &amp; &lt;")
@settings(max_examples=10, deadline=None)
def test_no_name_becomes_a_part_of_the_page(text):
    found = named(text)

    assert found.written == named("plain").written
    assert set(found.drawn) <= IN_CHARTS
    assert found.text.count(clean(text)) >= 8


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> tuple[bytes, bytes, list[str]]:
    """The example's page made by another process in a folder with a matplotlibrc: the page, stderr, what was loaded."""
    folder = tmp_path_factory.mktemp("elsewhere")
    program = (
        "import json, sys; from mbexport.report.page.render import page; before = 'matplotlib' in sys.modules; "
        "sys.stdout.buffer.write(page(json.load(sys.stdin), {})); "
        "open('loaded', 'w').write(f\"{before} {'matplotlib' in sys.modules} {'matplotlib.pyplot' in sys.modules}\")"
    )
    (folder / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: path\naxes.facecolor: red\n")
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(of_build()).encode(),
        capture_output=True,
        check=True,
        cwd=folder,
        env=environment,
    )
    return done.stdout, done.stderr, (folder / "loaded").read_text().split()


def test_the_same_report_gives_the_same_bytes_in_another_process(elsewhere):
    content, complaints, _ = elsewhere

    assert content == page_of("build")
    assert complaints == b""


def test_matplotlib_is_loaded_when_a_page_is_made_and_pyplot_never(elsewhere):
    assert elsewhere[2] == ["False", "True", "False"]


def test_named_paths_have_what_they_take_in_a_table_and_failures_in_words():
    text = " ".join(Page(page_of("named paths")).text.split())
    assert "What part of the graph each path takes" in text
    assert "qnn-htp:v75 Hexagon v75, simulated 1 Reshape, 3 Softmax the CPU 140 144 1" in text
    assert "could not be run through webgpu: webgpu crashed (SIGSEGV) & <b>more</b>" in text
    assert "What part of the graph" not in Page(page_of("build")).text
