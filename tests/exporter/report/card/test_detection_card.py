"""The card of a detector: what a picture is fed as, what boxes mean, how good it is, and that no name can break it."""

import re
from typing import Any, Final

import pytest
from example_detectors import DETECTORS, STEM, of_detector
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mbexport.report.card.card import model_card

yaml = pytest.importorskip("yaml", reason="PyYAML, which reads front matter, is not installed")
READER: Final = MarkdownIt("commonmark").enable("table")
TEXTS: Final = st.text(st.characters(exclude_categories=()), min_size=1, max_size=40)
INT8: Final = f"{STEM}_int8.tflite"


def card(report: Any = None) -> str:
    return model_card(report or of_detector(), licence="Apache-2.0")


def body_of(text: str) -> str:
    return text.split("\n---\n", 1)[1]


def shown(text: str) -> str:
    """What a reader sees, on one line."""
    return " ".join(re.sub("<[^>]+>", " ", READER.render(body_of(text))).split())


def test_the_hub_learns_the_task_and_every_files_precision():
    found = yaml.safe_load(card().split("\n---\n", 1)[0].removeprefix("---\n"))
    assert found["pipeline_tag"] == "object-detection"
    assert found["tags"][:2] == ["vision", "object-detection"]
    (result,) = found["model-index"][0]["results"]
    assert result["task"] == {"type": "object-detection", "name": "Object Detection"}
    assert [(each["value"], each["name"]) for each in result["metrics"][4:6]] == [
        (0.4238, f"COCO AP of {INT8}"),
        (0.7664, f"COCO AP50 of {INT8}"),
    ]


def test_it_says_how_a_picture_is_fed_and_what_a_box_is():
    text = shown(card())
    assert "The whole picture is fed: it is stretched to the shape of the input, whatever its own." in text
    assert "It is resized to 192 x 192 pixels as Pillow's BILINEAR does" in text
    assert "(ymin, xmin, ymax, xmax) of an object as fractions of the picture's height and width" in text
    assert "central square" not in text


@pytest.mark.parametrize(
    ("changes", "architecture"),
    [
        ({}, "An object detector for phones: SSD MobileNet v1 of width 0.25 and maps of stride 8 (arXiv 1704.04861)."),
        ({"feature_stride": 16}, "An object detector for phones: SSD MobileNet v1 of width 0.25 (arXiv 1704.04861)."),
        ({"alpha": None}, "An object detector that was imported."),
    ],
)
def test_a_network_is_called_what_it_is(changes, architecture):
    report = of_detector()
    report["model"] |= changes
    assert architecture in shown(card(report))


def test_figures_stand_with_their_intervals():
    assert (
        f"| `{INT8}` | 1.01 MB | 0.424 [0.405, 0.443] | 0.766 [0.745, 0.787] | 0.415 | 0.003 [-0.004, 0.011] | "
        "93.4% [91.9%, 94.9%] | 93.4% [91.9%, 94.9%] |"
    ) in card()
    assert "| Keras, float | - | 0.427 [0.408, 0.446] | 0.768 [0.747, 0.789] | 0.421 | - | - | - |" in card()
    assert f"| `{INT8}` | uint8 nhwc, RGB | bytes as they are | float32, up to 100 boxes, score at least 0.01" in card()


def test_limits_name_what_it_cannot_find():
    text = shown(card())
    assert "It knows 3 classes: other objects are not seen, or taken for one of these. Of more than 100 objects" in text
    assert "with 958 objects of 3 of its classes." in text
    assert "the AP of Keras, float is 0.110 of those below 32 x 32 pixels, 0.395 of those below 96 x 96" in text
    assert "4.9% [3.7%, 6.5%] of the 958 objects overlap none of the 7,032 anchors by half" in text
    assert f"| Platelets | `{INT8}` | 71 | 0.241 | 0.236 | 0.612 | 0.609 |" in card()


def test_it_says_which_anchors_it_has_and_which_boxes_nobody_learned():
    text = shown(card(DETECTORS["bad boxes"]()))
    assert (
        "It corrects 7,032 anchors: boxes of scales 0.2 0.35 0.5 0.65 0.8 0.95 (and 0.1 in the finest map) and of "
        "ratios of width to height 1 2 0.5 3 0.333."
    ) in text
    assert "Anchors of stride 8 and scales 0.2-0.95 were chosen: of 2,804 boxes to learn from" in text
    assert (
        "10 of 4,888 boxes cannot be used and were left out: 6 without an area, 4 of a missing image (train 6, test 4)."
    ) in text
    assert "cannot be used" not in shown(card())


def test_beside_labels_alone_sizes_are_those_of_the_first_file():
    text = shown(card(DETECTORS["beside objects"]()))
    assert f"the AP of {STEM}_fp32.tflite is 0.110 of those below 32 x 32 pixels" in text


@pytest.mark.parametrize("kind", DETECTORS)
def test_every_kind_of_report_has_a_card(kind):
    text = card(DETECTORS[kind]())
    assert not re.search(r"\bNone\b|\bnan\b|top-?[15]|classif|locating", shown(text))
    titles = ["Intended use", "How to use", "Training and calibration", "Results", "Limits", "Licence"]
    assert all(f"\n## {title}\n" in text for title in titles)


@given(TEXTS, TEXTS)
def test_no_name_changes_the_page(file, label):
    report = of_detector()
    plain = [token.type for token in READER.parse(body_of(card(report))) if token.type != "inline"]
    report["model"]["name"] = report["reference"]["name"] = report["data"]["name"] = label
    report["artifacts"][2]["file"] = report["paths"][0]["file"] = file
    report["artifacts"][2]["per_class"][0]["label"] = label
    assert [token.type for token in READER.parse(body_of(card(report))) if token.type != "inline"] == plain


def test_it_says_for_whom_files_with_raw_heads_are():
    report = of_detector()
    assert "Delegates" not in shown(card(report))
    raw = report["artifacts"][-1]
    raw["output"] |= {"raw": True, "dtype": "uint8", "score_threshold": None, "iou_threshold": None}
    text, count = card(report), raw["anchors"]["count"]
    assert f"| bytes as they are | uint8, codes and scores at the {count} anchors in its metadata |" in text
    assert "Delegates of GPUs and NPUs refuse the op that makes boxes. For them there are files" in shown(text)
    assert f"In the figures below that was done with the usual thresholds: {raw['file']}." in shown(text)
