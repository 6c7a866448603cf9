"""The first screen: what the int8 files lost, how small and fast they are, and what gates say, by hand."""

from typing import Any

import pytest
from example_reports import KINDS, of_build

from mbexport.report.page.headline import gate_counts, tiles
from mbexport.report.page.tiles import subjects
from mbexport.report.tasks.registry import network_title

FP32, INT8 = 0, 2  # places of artifacts in the example


def told(report: dict[str, Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {tile.name: (tile.value, tile.notes) for tile in tiles(report)}


def test_tiles_of_a_build_by_hand():
    assert told(of_build()) == {
        "Top-1 lost, int8": ("0.8 points", ("\u22120.3 to 2.1 (95 %)", "79.2% \u2192 78.4%")),
        "Same answers, int8": ("98.0%", ("96.4 to 98.9 (95 %)", "as the reference")),
        "Size, int8 TFLite": ("2.72 MB", ("26% of 10.33 MB fp32", "ONNX 2.74 MB")),
        "Speed, int8 TFLite": ("2.41\u00d7", ("as fast as fp32", "2.33 to 2.49 (95 %)", "ONNX 2.28\u00d7")),
        "Test images": ("500", ("of 500 classes",)),
    }


def test_the_worst_file_speaks_and_says_which_it_is():
    report = of_build()
    other = report["artifacts"][INT8 + 1]
    other["difference"] |= {"top1_drop": 0.05, "score_ci95": [0.03, 0.07]}
    other |= {"top1": 0.742, "agreement": 0.9, "agreement_ci95": [0.87, 0.92]}

    found = told(report)
    assert found["Top-1 lost, int8"] == ("5.0 points", ("3.0 to 7.0 (95 %)", "79.2% \u2192 74.2% (int8 ONNX)"))
    assert found["Same answers, int8"][0] == "90.0%"


def test_what_was_gained_is_not_called_lost():
    report = of_build()
    for entry in report["artifacts"][INT8 : INT8 + 2]:
        entry["difference"] |= {"top1_drop": -0.004, "score_ci95": [-0.019, 0.01]}

    value, notes = told(report)["Top-1 gained, int8"]
    assert (value, notes[0]) == ("0.4 points", "\u22121.0 to 1.9 (95 %)")


def test_without_labels_agreement_speaks():
    found = told(KINDS["unlabelled"]())

    assert not any(name.startswith("Top-1") for name in found)
    assert found["Same answers, int8"][0] == "98.0%"
    assert found["Test images"] == ("500", ("without labels",))


def test_without_int8_all_files_speak():
    report = of_build()
    report["artifacts"], report["speedups"] = report["artifacts"][:INT8], []

    assert subjects(report) == report["artifacts"]
    found = told(report)
    assert found["Top-1 lost, fp32"][0] == "0.0 points"
    assert found["Latency p50, one thread"][1] == ("fp32 TFLite",)
    assert found["Size, fp32 TFLite"][0] == "10.33 MB"


@pytest.mark.parametrize("kind", KINDS)
def test_every_report_has_size_and_images(kind):
    assert {"Size", "Test images"} <= {name.partition(",")[0] for name in told(KINDS[kind]())}


@pytest.mark.parametrize(
    ("model", "title"),
    [
        ({"title": "Image classifier", "alpha": None}, "Image classifier"),
        ({"title": "MobileNet v3", "alpha": 1.0}, "MobileNet v3"),
        ({"alpha": 0.5}, "MobileNet v1"),  # reports of older versions
        ({"alpha": None}, "Image classifier"),
        ({"reference": "float.keras"}, "Image classifier"),
    ],
)
def test_a_network_has_the_title_that_its_run_gave(model, title):
    assert network_title({"model": model}) == title


def test_an_undecided_gate_is_not_counted_as_passed():
    gates = [{"verdict": "pass"}] * 17 + [{"verdict": "undecided"}]

    assert gate_counts({"gates": gates}) == "18 gates: 17 passed, 1 undecided"
    assert gate_counts({"gates": [{"verdict": "fail"}]}) == "1 gate: 1 failed"
    assert gate_counts({"gates": []}) == "0 gates: none judged"
