"""huggingface_hub reads our model cards as the Hub does, and finds nothing to refuse."""

import json
from typing import Any

import pytest
from clients.environments import HERE, run
from example_reports import KINDS, of_build

from mbexport.report.card.card import model_card

pytestmark = pytest.mark.client
HOSTILE = 'a "b"\n---\nlicense: mit # <b>|`\\ \u2028 \U0001f98a'


@pytest.fixture
def read(client_python, tmp_path):
    """What huggingface_hub finds in a card."""

    def reader(report: Any, **told: Any) -> Any:
        path = tmp_path / "MODEL_CARD.md"
        path.write_text(model_card(report, **{"licence": "Apache-2.0", **told}), "utf-8")
        return json.loads(run([client_python("huggingface"), HERE / "read_by_huggingface.py", path], is_ours=False))

    return reader


def test_the_metadata_are_what_was_meant(read):
    found = read(of_build(), base_model="google/mobilenet_v1_0.75_192")
    assert found["same"]
    assert found["data"]["license"] == "apache-2.0"
    assert found["data"]["library_name"] == "litert"
    assert found["data"]["pipeline_tag"] == "image-classification"
    assert found["data"]["base_model"] == "google/mobilenet_v1_0.75_192"
    assert found["text"].lstrip().startswith("# mobilenet_v1_0.75_224\n")


def test_results_are_found_by_file(read):
    report = of_build()
    wanted = [
        [f"{title} of {entry['file']}", entry[key], "eval"]
        for entry in report["artifacts"]
        for key, title in (("top1", "top-1 accuracy"), ("top5", "top-5 accuracy"))
    ]
    assert read(report)["results"] == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_of_any_report_is_accepted(read, kind):
    assert read(KINDS[kind](), licence=None)["same"]


def test_names_that_look_like_metadata_are_names(read):
    report = of_build()
    report["model"] |= {"name": HOSTILE, "trained_here": True}
    report["data"]["name"] = report["artifacts"][0]["file"] = HOSTILE
    found = read(report, licence=HOSTILE)
    assert found["same"]
    assert found["data"]["license"] == "other"
    assert found["data"]["license_name"] == "a-b-license-mit-b"
    assert found["data"]["datasets"] == ["a-b-license-mit-b"]
