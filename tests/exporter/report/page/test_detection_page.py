"""The page of a detector: its tables and charts, photos with the boxes of both sides, and that no name can break it."""

import io
import re
from functools import cache
from typing import Any
from xml.etree import ElementTree

import pytest
from example_detectors import CLASSES, DETECTORS, INT8, INT8_ONNX, of_detector
from hypothesis import example as given_example
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from read_page import IN_CHARTS, Page

from mbexport.escaping.markup import clean
from mbexport.report.page.charts import charts
from mbexport.report.page.headline import tiles
from mbexport.report.page.render import page

BUDGET = 1_000_000  # bytes beside the pictures
OF_CLASSIFIERS = re.compile(r"[Tt]op-?[15]\b|Answers|LSB max|disagree")


@cache
def photo(width: int = 64, height: int = 48) -> bytes:
    """A JPEG picture."""
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (200, 150, 160)).save(stream, "JPEG")
    return stream.getvalue()


def pictures_of(report: dict[str, Any]) -> dict[str, bytes]:
    return {case["image"]: photo() for entry in report["artifacts"] for case in entry["worst_images"]}


@cache
def page_of(kind: str) -> bytes:
    """The page of a kind of report with its pictures: rendered once for all tests."""
    report = DETECTORS[kind]()
    return page(report, pictures_of(report))


def cells(row: list[str]) -> list[str]:
    return [" ".join(cell.split()) for cell in row]


def test_tiles_of_a_build_by_hand():
    assert [(tile.name, tile.value, tile.notes) for tile in tiles(of_detector())] == [
        ("AP lost, int8", "0.003", ("\u22120.004 to 0.011 (95 %)", "0.427 \u2192 0.424")),
        ("AP50, int8", "0.766", ("0.745 to 0.787 (95 %)", "reference 0.768")),
        ("Detections kept, int8", "93.4%", ("91.9 to 94.9 (95 %)", "of the reference's")),
        ("Size, int8 TFLite", "1.01 MB", ("34% of 3.02 MB fp32", "ONNX 1.03 MB")),
        ("Speed, int8 TFLite", "2.41\u00d7", ("as fast as fp32", "2.33 to 2.49 (95 %)", "ONNX 2.28\u00d7")),
        ("Test images", "72", ("958 objects of 3 classes",)),
    ]


def test_anchors_and_boxes_left_out_by_hand():
    found = Page(page_of("bad boxes"))
    choice = found.tables["Anchors to choose from, and boxes to learn from that none of them overlaps by half"]
    assert [cells(row) for row in choice[1:]] == [
        ["16 px, 0.2-0.95", "what TensorFlow's detectors have", "28.9%", "29.0%"],
        ["8 px, 0.2-0.95 this network", "chosen, at least 10 points less", "11.5%", "6.9%"],
    ]
    parts = found.tables["Boxes of the data, and those that cannot be used"]
    assert [cells(row) for row in parts[1:]] == [
        ["train", "6 without an area", "2,805", "6"],
        ["val", "nothing", "1,124", "0"],
        ["test", "4 of a missing image", "959", "4"],
    ]
    assert "Annotations/BloodImage_00004.xml: box 3 must have an area, got 7 9 7 9" in found.text
    assert "Annotations/BloodImage_00005.xml" not in found.text
    assert "and 5 more, listed in report.json" in found.text
    assert "0.2, 0.35, 0.5, 0.65, 0.8, 0.95" in found.text


def test_what_only_classifiers_have_is_not_told():
    text = Page(page_of("detector")).text
    assert not re.search(r"Agreement|Near ties|Central crop|Shallow variant|Minimalistic|Resolution multiplier", text)
    assert "Boxes in common before" in text


def test_the_worst_file_speaks_and_a_gain_is_not_called_a_loss():
    report = of_detector()
    report["artifacts"][INT8] |= {"ap_drop": -0.004, "ap_drop_ci95": [-0.01, 0.002]}
    report["artifacts"][INT8_ONNX] |= {"ap_drop": -0.002, "ap_drop_ci95": [-0.008, 0.004], "ap": 0.429, "paired": 0.8}
    found = {tile.name: (tile.value, tile.notes) for tile in tiles(report)}
    assert found["AP gained, int8"] == ("0.002", ("\u22120.004 to 0.008 (95 %)", "0.427 \u2192 0.429 (int8 ONNX)"))
    assert found["Detections kept, int8"][1][-1] == "of the reference's (int8 ONNX)"


def test_beside_labels_alone_tiles_tell_the_precision_itself():
    found = {tile.name: (tile.value, tile.notes) for tile in tiles(DETECTORS["beside objects"]())}
    assert found["AP, int8"] == ("0.424", ("0.405 to 0.443 (95 %)", "of the labels"))
    assert found["AP50, int8"][1][-1] == "of the labels"
    assert not any("lost" in name or "kept" in name for name in found)


def test_tables_by_hand():
    tables = Page(page_of("detector")).tables
    quality = cells(tables["Precision, and detections in common, on the same images as the reference"][2 + INT8])
    fed = cells(tables["Files and their inputs"][1 + INT8])
    known = cells(tables["Anchors, and the part of each file behind its network"][1 + INT8])
    twins = cells(tables["Files compared pair by pair"][2])

    assert quality == [
        *("3int8.tflite", "0.424 0.405 to 0.443", "0.766 0.745 to 0.787", "0.415", "0.003 \u22120.004 to 0.011"),
        *("93.4% 91.9 to 94.9", "93.4% 91.9 to 94.9", "0.012", "100.0%"),
    ]
    assert fed[4] == "float32 boxes at most 100, score \u2265 0.01, overlap \u2264 0.6"
    assert known[1:] == ["7,032", "4.9% 3.7 to 6.5", "100.0% of 20 images", "2.50", "80% 77 to 83"]
    assert twins[1:4] == ["99.7% 98.2 to 100.0", "99.7% 98.2 to 100.0", "94.4% 89.4 to 94.4"]
    assert cells(tables["AP of objects by their size in the photo"][1]) == ["Reference", "0.110", "0.395", "0.472"]


def test_the_classes_of_the_small_file_stand_open():
    found = Page(page_of("detector"))
    opened = [attributes for tag, attributes in found.tags if tag == "details" and "open" in attributes]
    assert len(opened) == 1
    text = page_of("detector").decode()
    assert re.search(r'<details open>\s*<summary><span class="place">3</span>', text)
    assert [row[0] for row in found.tables["Precision of each class"][1:]] == list(CLASSES)


def described(svg: str) -> str:
    return ElementTree.fromstring(svg).findtext("desc") or ""


def test_charts_by_hand():
    found = charts(of_detector())
    assert {"size", "latency", "curve-1", "curve-4", "training-ap", "training-loss"} <= set(found)
    assert not any(name.startswith(("errors", "lsb")) for name in found)
    assert described(found["size"]).split("; ")[INT8] == "int8.tflite: 0.424 at 1.01 MB"
    assert described(found["curve-3"]).endswith("is AP50, 0.766; the reference's is 0.768")
    assert described(found["training-ap"]) == (
        "AP: 0.424 at last, the best 0.424 in evaluation 60; AP50: 0.755 at last, the best 0.755 in evaluation 60"
    )
    assert described(found["training-loss"]).startswith(
        "training: 0.245 at last, the best 0.245 in evaluation 60; held out"
    )


def test_what_was_not_measured_is_not_drawn():
    found = charts(DETECTORS["anybody's detectors"]())
    assert set(found) == {"size", "curve-1", "curve-2"}
    assert "reference" in described(found["curve-2"])
    assert "reference" not in described(charts(DETECTORS["beside objects"]())["curve-3"])


@pytest.mark.parametrize("kind", DETECTORS)
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
    assert (found.count("h1"), found.written.count("title")) == (1, 1)
    assert all(attributes["alt"] for tag, attributes in found.tags if tag == "img")
    pictured = [attributes for tag, attributes in found.tags if tag == "svg" and "aria-hidden" not in attributes]
    assert all(each["role"] == "img" and (each.get("aria-label") or each.get("aria-labelledby")) for each in pictured)
    assert not any(word in content for word in (b"ndefined", b">None<", b">nan<", b"url(h", b"@import"))
    assert OF_CLASSIFIERS.findall(found.text) == []
    assert len(content) < BUDGET


@pytest.mark.parametrize(
    ("kind", "present", "absent"),
    [
        (
            "detector",
            {"precision", "photos", "tails", "training", "layers", "chart-training-ap", "stages"},
            {"answers"},
        ),
        ("verified detector", {"precision", "photos", "tails", "paths"}, {"training", "layers", "stages"}),
        ("anybody's detectors", {"precision", "photos", "classes-1"}, {"paths", "tails", "training"}),
    ],
)
def test_sections_are_there_as_the_report_has_them(kind, present, absent):
    found = Page(page_of(kind))
    ids = {value.removesuffix("-caption").removesuffix("-title") for value in found.values("id")}
    listed = {url.removeprefix("#") for url in found.values("href") if url.startswith("#")}

    assert present <= ids
    assert not absent & ids
    assert {"gates", "artifacts", "precision", "photos", "speed", "provenance"} <= listed <= ids


def test_named_paths_have_what_they_take_in_a_table_and_failures_in_words():
    text = " ".join(Page(page_of("named paths")).text.split())
    assert "What part of the graph each path takes" in text
    assert "qnn-htp:v75 Hexagon v75, simulated 1 Reshape, 3 Softmax the CPU 140 144 1" in text
    assert "could not be run through webgpu: webgpu crashed (SIGSEGV) & <b>more</b>" in text
    assert "What part of the graph" not in Page(page_of("verified detector")).text


def test_raw_heads_are_called_so():
    report = of_detector()
    (tile, *_) = (each for each in tiles(report) if each.name.startswith("Size"))
    assert tile.name == "Size, int8 TFLite"
    assert "codes of anchors" not in Page(page(report, {})).text
    report["artifacts"][INT8]["output"] |= {"raw": True, "score_threshold": None, "iou_threshold": None}
    (tile, *_) = (each for each in tiles(report) if each.name.startswith("Size"))
    assert tile.name == "Size, int8 TFLite, raw heads"
    assert "float32 codes of anchors made into at most 100" in " ".join(Page(page(report, {})).text.split())


@cache
def named(name: str) -> Page:
    """The page of a small report whose files, labels and images all have that name."""
    report = of_detector()
    entry = report["artifacts"][INT8]
    entry["file"], entry["worst_images"] = name, entry["worst_images"][3:4]
    entry["per_class"][0]["label"] = entry["worst_images"][0]["image"] = name
    for found in (*entry["worst_images"][0]["reference"], *entry["worst_images"][0]["artifact"]):
        found["label"] = name
    report |= {"artifacts": [entry], "calibration": None, "sensitivity": None, "speedups": [], "pairs": [], "paths": []}
    report["model"]["name"] = report["reference"]["name"] = name
    return Page(page(report, {name: photo()}))


@given(text=st.text(min_size=1, max_size=40))
@given_example(text="<script>alert(1)</script>")
@given_example(text="\"' onload='x' $x_1$ {{ 7 * 7 }} </style></svg>")
@given_example(text="\x00\ud800 \u7f8a &amp; &lt;")
@settings(max_examples=10, deadline=None)
def test_no_name_becomes_a_part_of_the_page(text):
    found = named(text)

    assert found.written == named("plain").written
    assert set(found.drawn) <= IN_CHARTS
    assert found.text.count(clean(text)) >= 3
