"""The model card: what a person must read in it, what it leaves out, and that no name can break it."""

import re
from typing import Final

import pytest
from example_reports import KINDS, of_build, unlabelled
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mbexport.bundles.registry import PLATFORMS
from mbexport.report.card.card import model_card

READER: Final = MarkdownIt("commonmark").enable("table")
MARKS: Final = "a1_*`|<>&\\[]()!#@~$:/. \n-=+{}\"'%"
TEXTS: Final = st.text(st.characters(exclude_categories=()), min_size=1, max_size=40) | st.text(
    MARKS, min_size=1, max_size=12
)
INT8: Final = "mobilenet_v1_0.75_224_int8.tflite"
BESIDE: Final = ("golden/golden.json", "manifest.json")
BUNDLES: Final = {each.title: each.summary for each in PLATFORMS}


def card(report=None, *, licence="Apache-2.0", **told):
    return model_card(report or of_build(), licence=licence, **told)


def body_of(text):
    return text.split("\n---\n", 1)[1]


def shown(text):
    """What a reader sees, on one line."""
    html = READER.render(body_of(text))
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def structure_of(text):
    """The kinds of Markdown blocks, in their order."""
    return [token.type for token in READER.parse(body_of(text)) if token.type != "inline"]


@pytest.fixture
def trained():
    """A report on a network that was fine-tuned in its run."""
    report = of_build()
    report["model"]["trained_here"] = True
    report["options"]["epochs"] = 12
    return report


def test_a_failed_verdict_stands_at_the_top():
    lines = body_of(card()).splitlines()
    assert lines[0] == "# mobilenet_v1_0.75_224"
    assert lines[2].startswith("> **FAILED: size_ratio (int8 size over fp32 size, same format); 1 gate is undecided")
    assert lines[2].endswith("Do not ship these files before you know why.**")


@pytest.mark.parametrize(
    ("changes", "architecture"),
    [
        ({}, "A MobileNet v1 of width 0.75: an image classifier for phones (arXiv 1704.04861)."),
        ({"title": "MobileNet v1"}, "A MobileNet v1 of width 0.75: an image classifier for phones (arXiv 1704.04861)."),
        (
            {"title": "MobileNet v2", "family": "mobilenet_v2", "conv": None, "shallow": None},
            "A MobileNet v2 of width 0.75: an image classifier for phones (arXiv 1801.04381).",
        ),
        (
            {
                "title": "MobileNet v3 small",
                "family": "mobilenet_v3_small",
                "conv": None,
                "shallow": None,
                "minimalistic": True,
            },
            "A MobileNet v3 small of width 0.75, without squeeze-and-excite, h-swish and 5x5 kernels: an image "
            "classifier for phones (arXiv 1905.02244).",
        ),
        ({"title": "Novel net"}, "A Novel net of width 0.75: an image classifier for phones."),
        (
            {"title": "Image classifier", "family": None, "conv": None, "shallow": None, "alpha": None},
            "An image classifier that was imported.",
        ),
    ],
)
def test_a_network_is_called_what_it_is(changes, architecture):
    report = of_build()
    report["model"] |= changes
    text = shown(card(report))
    assert architecture in text
    assert ("MobileNet v1 of" in text) == ("MobileNet v1" in architecture)


def test_a_passed_verdict_does_too():
    report = of_build()
    gates = [gate for gate in report["gates"] if gate["verdict"] == "pass"]
    assert body_of(card({**report, "gates": gates, "passed": True})).splitlines()[2] == "**PASSED.**"


def test_figures_stand_with_their_intervals():
    assert (
        f"| `{INT8}` | 2.72 MB | 78.40% [74.6%, 81.8%] | 96.20% [94.2%, 97.5%] | 0.8 [-0.3, 2.1] | "
        "98.00% [96.4%, 98.9%] |"
    ) in card()
    assert "| Keras, float | - | 79.20% [75.4%, 82.5%] |" in card()
    assert f"Here {INT8} is 2.41 [2.33, 2.49] times as fast as fp32." in shown(card())


def test_it_says_that_latencies_are_of_no_phone():
    assert "measured on Linux x86_64, AMD EPYC (avx2 avx512f avx512_vnni fma), 2 logical cores" in card()
    assert "**This is not a phone:**" in card()
    noisy = of_build()
    noisy["machine"]["noise"] = "the load was 3"
    assert "> **Warning:** these latencies are not to be trusted: the load was 3" in card(noisy)


def test_what_it_was_trained_on_is_not_invented(trained):
    assert "its weights are those of mobilenet_7_5_224_tf.h5 (sha256 e8d9871b4bad" in card()
    assert "What they were trained on is not known here." in card()
    assert "In this run it was fine-tuned from the weights of mobilenet_7_5_224_tf.h5" in card(trained)
    assert ", for 12 epochs, on eval (fingerprint 32f4e0ec8131" in card(trained)
    trained["model"]["source"] = None
    assert "In this run it was trained from random weights, for 12 epochs, on eval" in card(trained)
    trained["data"]["best_epoch_chosen_on_test"] = True
    assert "chosen on the images that it was evaluated on" in card(trained)


def test_limits_name_what_nobody_looked_at():
    text = shown(card())
    assert "Every picture gets one of the 1000 classes" in text
    assert "which show 500 of its classes; nothing is known of the other 500." in text
    assert f"On 10 of 500 images {INT8} answered otherwise than Keras, float." in text
    assert "took its top-1 on ImageNet from 68.4% to 67.9%" in text
    assert "| red fox | `mobilenet_v1_0.75_224_int8.tflite` | 5 | 4 | 2 |" in card()


@pytest.mark.parametrize("changed", [{"alpha": 0.35}, {"conv": "standard"}, {"shallow": True}, {"conv": None}])
def test_another_network_is_not_compared_with_the_published_one(changed):
    report = of_build()
    report["model"] |= changed
    assert "For comparison, not measured here" not in card(report)


@pytest.mark.parametrize(
    ("title", "minimalistic", "said"),
    [
        ("MobileNet v2", None, "from 71.8% to 70.8% (TensorFlow 1.15, tensorflow/contrib/quantize/README.md)"),
        ("MobileNet v3 small", False, "from 67.5% to 64.9% (tensorflow/models, research/slim, mobilenet/README.md)"),
        ("MobileNet v3 small", True, None),
        ("MobileNet v3 large", True, "from 72.3% to 71.3%"),
    ],
)
def test_each_architecture_is_compared_with_its_own_published_network(title, minimalistic, said):
    report = of_build()
    variant = {"conv": None, "shallow": None, "minimalistic": minimalistic}
    report["model"] |= {"title": title, "alpha": 1.0, **variant}
    text = shown(card(report))
    assert ("For comparison, not measured here" in text) is (said is not None)
    assert (said or "") in text
    assert "MobileNet v1" not in text


def test_inputs_are_told_as_an_app_feeds_them():
    assert f"| `{INT8}` | uint8 nhwc, RGB | bytes as they are | uint8, softmax |" in card()
    report = of_build()
    report["artifacts"][2]["input"] |= {"dtype": "int8"}
    report["artifacts"][0]["input"] |= {"mean": [103.9, 116.8, 123.7], "std": [1.0] * 3, "channel_order": "BGR"}
    text = shown(card(report))
    assert "int8 nhwc, RGB byte - 128" in text
    assert "float32 nhwc, BGR (byte - [103.9, 116.8, 123.7]) / 1" in text
    report["artifacts"][2]["input"]["byte_distance"] = 3
    assert "(byte - 127.5) / 127.5, as codes" in shown(card(report))


def test_only_what_is_there_is_told_of():
    assert all(word not in card() for word in ("android/", "ios/", "golden/", "rebuild", "sbom", "in-toto"))
    text = card(files=BESIDE, bundles=BUNDLES)
    assert all(
        word in text for word in ("`android/`", "`ios/`", "`golden/`", "`mbexport rebuild --check manifest.json`")
    )
    assert "sbom" not in text


@pytest.mark.parametrize(
    ("licence", "expected"),
    [("MIT", "As stated by whoever made this run: MIT."), (None, "Not stated. Ask whoever trained the network")],
)
def test_the_licence_is_told_as_it_was_given(licence, expected):
    assert expected in card(licence=licence).split("## Licence")[1]


def test_without_labels_there_is_no_accuracy():
    text = shown(card(unlabelled()))
    assert "The images have no labels, so that there is no accuracy." in text
    assert "how often it is right is not known here" in text
    assert "Classes that lost most" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_report_has_a_card(kind):
    text = card(KINDS[kind](), files=BESIDE, licence=None)
    assert text.startswith("---\n")
    assert text.endswith(".\n")
    assert "None" not in shown(text)
    titles = ["Intended use", "How to use", "Training and calibration", "Results", "Limits", "Licence"]
    assert all(f"\n## {title}\n" in text for title in titles)


def test_nothing_judged_is_said():
    assert "Nothing was judged." in card(KINDS["barely measured"]())


@given(TEXTS, TEXTS, TEXTS, TEXTS)
@example("0", "-", "0", "0")  # a file whose name began a line of a list
def test_no_name_changes_the_page(model, file, label, licence):
    report = of_build()
    plain = structure_of(card(report))
    report["model"]["name"] = report["reference"]["name"] = report["data"]["name"] = model
    report["model"]["source"]["file"] = report["speedups"][0]["b"] = report["paths"][0]["file"] = file
    report["artifacts"][2]["file"] = file
    report["artifacts"][2]["worst_classes"][0]["label"] = label
    report["machine"]["cpu"] = report["tool"]["libraries"]["numpy"] = label
    found = structure_of(card(report, licence=licence))
    assert found == plain


@given(TEXTS)
def test_no_name_makes_a_link_or_html(text):
    report = of_build()
    report["model"]["name"] = report["artifacts"][0]["file"] = report["data"]["name"] = text
    tokens = READER.parse(body_of(card(report, licence=text)))
    inline = [child for token in tokens for child in token.children or ()]
    assert not {"link_open", "image"} & {child.type for child in inline}
    assert {child.content for child in inline if child.type == "html_inline"} <= {"<code>", "</code>"}
    assert "html_block" not in {token.type for token in tokens}
