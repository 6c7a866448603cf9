"""The page's charts: what they draw, in whose colours, and what they say to those who cannot see them."""

import re
from functools import cache
from xml.etree import ElementTree

import pytest
from example_reports import KINDS, of_build
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mbexport.report.page import numbers as page_words
from mbexport.report.page.charts import charts
from mbexport.report.page.classification.charts import histogram
from mbexport.report.page.facts import facts
from mbexport.report.page.svg import panels, rows, style, to_svg
from mbexport.report.page.view import NumberedArtifact

BUILT = {"size", "latency", "distribution", "ratios", "layers", "ranges"}
INT8 = 2  # place of an artifact in the example


@cache
def drawn(kind: str) -> dict[str, str]:
    """The charts of a kind of report as it is: drawn once for all tests."""
    return charts(KINDS[kind]())


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def described(svg: str) -> str:
    return ElementTree.fromstring(svg).findtext("desc") or ""


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("build", BUILT | {f"errors-{place}" for place in (1, 2, 3, 4)} | {"lsb-3", "lsb-4"}),
        ("one artifact", BUILT | {"errors-1"}),
        ("barely measured", set()),
    ],
)
def test_what_was_measured_is_drawn(kind, expected):
    assert drawn(kind).keys() == expected


@pytest.mark.parametrize("kind", ["build", "ten artifacts", "unlabelled"])
def test_charts_take_their_looks_from_the_page(kind):
    found = drawn(kind)
    ids = [
        element.attrib["id"]
        for svg in found.values()
        for element in ElementTree.fromstring(svg).iter()
        if "id" in element.attrib
    ]

    assert len(ids) == len(set(ids))
    for name, svg in found.items():
        root = ElementTree.fromstring(svg)
        (view,) = {root.attrib["viewBox"]}
        assert root.attrib["aria-labelledby"] == f"chart-{name}-title chart-{name}-text"
        assert root.findtext("title")
        assert described(svg)
        assert view.startswith("0 0 340 ")
        assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg)) <= {"none", *re.findall(r"var\(--[a-z0-9]+\)", svg)}
        assert "font-family" not in svg
        assert not {"style", "metadata", "image", "script"} & {element.tag for element in root.iter()}
        targets = {link[1:] for link in re.findall(r'(?:href="|url\()(#[^")]+)', svg)}
        assert targets <= set(ids)


def test_the_costs_by_hand():
    found = drawn("build")

    assert described(found["size"]).split("; ")[INT8] == "int8.tflite: 78.4% at 2.72 MB"
    assert described(found["latency"]).split("; ")[INT8] == "int8.tflite: 78.4% at 3.12 ms"
    assert described(found["distribution"]).split("; ")[INT8] == "int8.tflite: p50 3.12, p90 3.58, p99 4.43"
    # fp32.tflite and fp32.onnx lie on each other, and so do the int8 files: they share their labels.
    assert {"1, 2", "3, 4"} <= set(texts(found["size"]))


def test_images_without_labels_are_drawn_by_agreement():
    found = drawn("unlabelled")

    assert "agreement, %" in texts(found["size"])
    assert described(found["size"]).split("; ")[INT8] == "int8.tflite: 98.0% at 2.72 MB"


def test_layers_and_ranges_stand_in_their_order():
    report = of_build()
    found = drawn("build")
    layers = [page_words.elided(entry["layer"]) for entry in report["sensitivity"]["layers"]]

    assert [text for text in texts(found["layers"]) if text in layers] == layers
    assert described(found["layers"]).startswith("conv1: 52.6 dB, \u221211.0%; conv_dw_1: 46.5 dB, 2.6%")
    assert "conv1_relu: 0 to 6, 0.003% clipped, 0 codes unused" in described(found["ranges"])


@given(counts=st.lists(st.integers(1, 1000), min_size=2, max_size=6))
@example(counts=[1, 2, 4])
@settings(max_examples=20, deadline=None)
def test_a_histogram_is_as_high_as_its_counts(counts):
    one = NumberedArtifact(place=1, short="int8.tflite", entry={})
    with style():
        svg = histogram(one, {"edges": list(range(len(counts) + 1)), "counts": counts}, name="errors", what="distance")

    bars = [
        [float(number) for number in re.findall(r"[\d.]+", element.attrib["d"])]
        for element in ElementTree.fromstring(svg).iter("path")
        if "var(--accent)" in element.attrib.get("style", "")
    ]
    heights = [max(bar[1::2]) - min(bar[1::2]) for bar in bars]
    assert len(heights) == len(counts)
    tallest = heights[counts.index(max(counts))] / max(counts)
    assert heights == pytest.approx([count * tallest for count in counts], abs=0.01)
    assert described(svg).startswith(f"{sum(counts):,} images, from 0 to {len(counts)}; most of them, {max(counts):,},")


@given(
    times=st.lists(st.floats(0.1, 100), min_size=3, max_size=21),
    wanted=st.floats(0, 100),
)
def test_a_percentile_lies_between_its_neighbours(times, wanted):
    curve = [[100 * place / (len(times) - 1), time] for place, time in enumerate(sorted(times))]
    found = page_words.at_percentile(dict(curve), wanted)

    low = max(time for place, time in curve if place <= wanted)
    high = min((time for place, time in curve if place >= wanted), default=low)
    assert low - 1e-9 <= found <= high + 1e-9


def test_percentiles_by_hand():
    assert page_words.at_percentile({0: 1.0, 50: 2.0, 100: 4.0}, 75) == 3.0
    assert page_words.at_percentile({0: 1.0, 50: 2.0, 100: 4.0}, 50) == 2.0
    assert page_words.at_percentile({50: 2.0}, 95) == 2.0


@pytest.mark.parametrize(
    ("files", "short"),
    [
        (["m_0.75_fp32.tflite", "m_0.75_int8.tflite", "m_0.75_int8.onnx"], ["fp32.tflite", "int8.tflite", "int8.onnx"]),
        (["alone.tflite"], ["alone.tflite"]),
        (["a.tflite", "a.tflite"], ["a.tflite", "a.tflite"]),
        (["mobile.onnx", "mobilenet.onnx"], ["mobile.onnx", "mobilenet.onnx"]),
        (["", ""], ["", ""]),
    ],
)
def test_short_names_by_hand(files, short):
    assert page_words.short_names(files) == short


@given(files=st.lists(st.text(alphabet="ab._-/ \n", max_size=8), unique=True, max_size=5))
def test_short_names_are_ends_that_tell_files_apart(files):
    short = page_words.short_names(files)

    assert all(name.endswith(end) for name, end in zip(files, short, strict=True))
    assert len(set(short)) == len(files)


def test_long_names_keep_both_ends():
    assert page_words.elided("global_average_pooling") == "global_average_pooling"
    assert page_words.elided("global_average_pooling2d") == "global_ave\u2026e_pooling2d"


def test_numbers_by_hand():
    assert [page_words.number(value) for value in (None, 0.9358, 9.3579e-06, -0.0, 2601976, -0.01)] == [
        "\u2013",
        "0.9358",
        "9.358e\u221206",
        "0",
        "2,601,976",
        "\u22120.01",
    ]
    assert [page_words.milliseconds(value) for value in (None, 3.123, 13.62, 154.7)] == [
        "\u2013",
        "3.12",
        "13.6",
        "155",
    ]
    assert [page_words.probability(value) for value in (None, 0.0002, 0.2891)] == ["\u2013", "< 0.001", "0.289"]
    assert page_words.percents([-0.0034, 0.0206]) == "\u22120.3 to 2.1"
    assert page_words.percents(None) == page_words.numbers([0.1, None]) == ""
    assert page_words.points(-0.0001) == "0.0"


def test_facts_have_names_that_people_read():
    assert facts({"a_b": [1.0, "x"], "c": {"d": True, "e": None}}) == [
        ("A b", "1, x"),
        ("C, d", "yes"),
        ("C, e", "\u2013"),
    ]
    told = dict(facts({"shallow": False, "trained_here": False, "source": {"file": "w.h5", "sha256": "0" * 64}}))
    assert told == {
        "Shallow variant": "no",
        "Trained in this run": "no",
        "Weights, file": "w.h5",
        "Weights, SHA-256": "0" * 64,
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("too noisy to tell", "Too noisy to tell"),
        ("m_fp32.tflite: it says two things", "m_fp32.tflite: it says two things"),
        ("--gate is", "--gate is"),
        ("2 images", "2 images"),
        ("", ""),
    ],
)
def test_sentences_begin_with_a_capital_and_names_stay(text, shown):
    assert page_words.sentence(text) == shown


def test_names_are_drawn_as_they_are():
    with style():
        figure, (axes,) = panels(100)
        rows(axes, ["$a_1$ <&\x00\ud800", "\u7f8a"])
        svg = to_svg(figure, name="own", title="t", description="d")

    assert [text for text in texts(svg) if "." not in text] == ["$a_1$ <&\ufffd\ufffd", "\u7f8a"]
