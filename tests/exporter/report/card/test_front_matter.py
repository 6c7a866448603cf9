"""The head of a model card, read by a YAML parser: what the Hub indexes, whatever names hold."""

from typing import Final

import pytest
from example_reports import KINDS, of_build, unlabelled
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.escaping.characters import LONGEST_NAME, one_line
from mbexport.report.card.front_matter import front_matter

yaml = pytest.importorskip("yaml", reason="PyYAML, which reads front matter, is not installed")
TEXTS: Final = st.text(st.characters(exclude_categories=()), min_size=1, max_size=40)


def read(report=None, *, licence="Apache-2.0", base_model=None):
    """The front matter as the Hub's own pattern finds it, and as YAML reads it."""
    text = front_matter(report or of_build(), licence=licence, base_model=base_model)
    assert text.startswith("---\n")
    assert text.endswith("\n---\n")
    assert text.count("\n---") == 1
    return yaml.safe_load(text.removeprefix("---\n").removesuffix("---\n"))


def test_the_hub_learns_the_task_the_library_and_the_files():
    found = read()
    assert (found["license"], found["library_name"], found["pipeline_tag"]) == (
        *("apache-2.0", "litert", "image-classification"),
    )
    assert found["tags"] == ["vision", "image-classification", "mobile", "tflite", "onnx", "fp32", "int8"]
    assert not {"datasets", "base_model"} & set(found)  # it was not trained here, and nobody said on what


def test_every_file_has_its_accuracy():
    (index,) = read()["model-index"]
    (result,) = index["results"]
    assert index["name"] == "mobilenet_v1_0.75_224"
    assert result["task"] == {"type": "image-classification", "name": "Image Classification"}
    assert result["dataset"] == {"type": "eval", "name": "eval"}
    assert len(result["metrics"]) == 8
    assert result["metrics"][4] == {
        "type": "accuracy",
        "value": 0.784,
        "name": "top-1 accuracy of mobilenet_v1_0.75_224_int8.tflite",
        "verified": False,
    }


def test_a_network_that_was_trained_here_names_its_data():
    report = of_build()
    report["model"]["trained_here"] = True
    report["data"]["name"] = "my flowers/2026"
    assert read(report)["datasets"] == ["my-flowers-2026"]
    assert read(report, base_model="a/b")["base_model_relation"] == "finetune"
    assert read(base_model="a/b")["base_model_relation"] == "quantized"


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        (None, {"license": "unknown"}),
        (" MIT ", {"license": "mit"}),
        ("My own, 1.0", {"license": "other", "license_name": "my-own-1.0"}),
        ("---", {"license": "other", "license_name": "custom"}),
        ("unknown", {"license": "other", "license_name": "unknown"}),
    ],
)
def test_a_licence_that_the_hub_does_not_know_has_a_name(licence, expected):
    found = read(licence=licence)
    assert {key: value for key, value in found.items() if key.startswith("license")} == expected


def test_without_labels_there_are_no_results():
    assert not {"metrics", "model-index"} & set(read(unlabelled()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_report_has_one(kind):
    assert read(KINDS[kind]())["pipeline_tag"] == "image-classification"


@given(TEXTS, TEXTS)
@example('"', "a\n---\nlicense: mit")
@example("\u2028", "\x85\x7f\ufeff")
@example("\U0001f98a", "a: [b, {c}] # d")
def test_any_name_comes_back_as_it_is_shown(name, file):
    report = of_build()
    report["model"]["name"] = report["data"]["name"] = name
    report["artifacts"][0]["file"] = file
    (index,) = read(report, licence=file)["model-index"]
    assert index["name"] == one_line(name, 2 * LONGEST_NAME)
    assert index["results"][0]["metrics"][0]["name"] == one_line(f"top-1 accuracy of {file}", 2 * LONGEST_NAME)


@given(TEXTS)
def test_identifiers_are_such_that_the_hub_takes_them(text):
    """By huggingface_hub's validate_repo_id: no two dots or dashes on end, none at an end, at most 96 characters."""
    report = of_build()
    report["data"]["name"] = text * 9
    found = read(report, licence=text)
    names = [found["model-index"][0]["results"][0]["dataset"]["type"], found.get("license_name", "a")]
    for name in names:
        assert name.isascii()
        assert name.replace("-", "").replace(".", "").isalnum()
        assert not any(pair in name for pair in ("--", "..", "-.", ".-"))
        assert name == name.strip("-.")
        assert len(name) <= 96
