"""What the terminal, the warnings and junit.xml say of detectors: precision and boxes, not answers and top-1."""

import io
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from example_detectors import DETECTORS, INT8, STEM, of_detector
from example_reports import KINDS
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.task import Task
from mbexport.report.junit import junit
from mbexport.report.tasks.detection import precision
from mbexport.report.tasks.registry import network_title, task_of
from mbexport.report.terminal import print_report, print_sensitivity
from mbexport.report.warnings import network_warnings, warnings_of

OF_CLASSIFIERS = re.compile(r"[Tt]op-?[15]|answers? alike|[Aa]greement|LSB|\bNone\b|\bnan\b")
TRAINED = {
    "steps": 40,
    "images": 200,
    "held_out": 30,
    "measure": "Kullback-Leibler divergence",
    "best": {"divergence": 0.01, "agreement": 0.95},
    "kept": "trained",
    "history": [],
    "unsettled": [],
}
TFLITE, ONNX = f"{STEM}_int8.tflite", f"{STEM}_int8.onnx"


def printed(report: Any) -> list[str]:
    stream = io.StringIO()
    print_report(report, stream, out=None, warnings=stream)
    return stream.getvalue().splitlines()


def test_says_what_the_files_are_compared_with():
    assert printed(of_detector())[1] == (
        "reference: AP 0.427 [0.408, 0.446], AP50 0.768 [0.747, 0.789] on 72 images (Keras, float)"
    )
    assert printed(DETECTORS["beside objects"]())[1] == (
        "reference: the labels of bccd, 72 images; gates that compare with a network are left out (ap_drop, "
        "fp32_paired, paired, reference_tail): --reference FILE brings them"
    )


def test_named_paths_say_what_they_take_and_why_one_is_not_known():
    lines = printed(DETECTORS["named paths"]())
    assert "a.onnx, other kernels alike on 16 images: optimized/qnn-htp:v75 98.1% of the detections" in lines
    assert (
        "a.onnx, qnn-htp:v75 on Hexagon v75, simulated: 140 of 144 ops in 1 piece(s); by the CPU: 1 Reshape, 3 Softmax"
    ) in lines
    (failed,) = (line for line in lines if line.startswith("b.tflite"))
    assert "xnnpack/webgpu not known: webgpu crashed (SIGSEGV)" in failed


def test_a_row_holds_every_number_of_its_file():
    header, row = (
        [word.strip() for word in re.split("  +", line)]
        for line in printed(of_detector())
        if line.startswith(("artifact ", f"{TFLITE} "))
        if line.count("  ") > 4
    )
    assert header == [
        "artifact",
        "size",
        "AP [95 %]",
        "AP50 [95 %]",
        "AP lost [95 %]",
        "kept",
        "p50 ms",
        "p99",
        "int8 convs",
    ]
    assert row == [
        *(TFLITE, "1.01 MB", "0.424 [0.405, 0.443]", "0.766 [0.745, 0.787]", "0.003 [-0.004, 0.011]", "93.4%"),
        *("3.12", "4.43", "28 of 28"),
    ]


def test_beside_labels_alone_nothing_was_lost_or_kept():
    header = next(line for line in printed(DETECTORS["beside objects"]()) if line.startswith("artifact"))
    assert "AP50" in header
    assert "lost" not in header
    assert "kept" not in header


def test_twins_kernels_tails_and_anchors_have_a_line_each():
    lines = printed(of_detector())
    assert (
        f"{TFLITE} and {ONNX}: 99.7% [98.2%, 100.0%] and 99.7% [98.2%, 100.0%] of their detections shared, "
        "94.4% [89.4%, 94.4%] of the images all alike"
    ) in lines
    assert f"{TFLITE}, other kernels alike on 20 images: xnnpack/reference 98.1% of the detections" in lines
    assert any(line.startswith("the network alone takes 80% [77%, 83%] of the time of") for line in lines)
    assert "4.9% [3.7%, 6.5%] of the 958 objects overlap none of the 7,032 anchors by half" in lines


def test_the_choice_of_anchors_is_told_with_what_it_is_better_than():
    assert (
        "anchors of stride 8 and scales 0.2-0.95 were chosen: of 2,804 boxes to learn from, in the mean over classes, "
        "11.5% have no anchor that overlaps them by half, 28.9% with stride 16 and scales 0.2-0.95"
    ) in printed(of_detector())
    report = of_detector()
    usual, finer = report["anchors"]["candidates"]
    usual["is_chosen"], finer["is_chosen"] = True, False
    assert (
        "anchors of stride 16 and scales 0.2-0.95, what TensorFlow's detectors have: of 2,804 boxes to learn from, in "
        "the mean over classes, 28.9% have no anchor that overlaps them by half"
    ) in printed(report)


def test_of_anchors_that_were_not_chosen_here_nothing_is_told():
    report = of_detector()
    report["anchors"] |= {"candidates": [], "boxes": None}
    assert not any("to learn from" in line for line in printed(report))


def test_boxes_that_cannot_be_used_are_warned_of_by_kind_and_part():
    assert warnings_of(DETECTORS["bad boxes"]()) == [
        "10 of 4,888 boxes cannot be used and were left out: 6 without an area, 4 of a missing image (train 6, test "
        "4), the first Annotations/BloodImage_00000.xml: box 3 must have an area, got 7 9 7 9; report.json lists them"
    ]
    assert warnings_of(of_detector()) == []


def test_what_training_brought_is_told_in_boxes():
    report = of_detector()
    report["qat"] = {**TRAINED, "start": {"divergence": 0.02, "agreement": 0.9}}
    assert "quantize: divergence from float 0.02 -> 0.01, boxes in common 90.0% -> 95.0% on 30 held-out images" in (
        printed(report)
    )


def test_what_each_layer_costs_is_told_in_boxes():
    stream = io.StringIO()
    sensitivity = {"file": TFLITE, "task": "detect", **of_detector()["sensitivity"]}
    print_sensitivity(sensitivity, stream, as_json=False)
    text = stream.getvalue()
    assert re.search(r"from float [\d.e-]+, [\d.]+% of the boxes in common, on \d+ calibration images", text)
    assert "boxes in common without" in text
    assert OF_CLASSIFIERS.findall(text) == []


def test_twins_with_other_tails_are_told_so():
    report = of_detector()
    report["pairs"][1]["conflict"] = "their tails differ: score threshold 0.01 beside 0.02"
    assert any(
        line.endswith("all alike; their tails differ: score threshold 0.01 beside 0.02") for line in printed(report)
    )


@pytest.mark.parametrize("kind", DETECTORS)
def test_no_word_is_of_classifiers(kind):
    report = DETECTORS[kind]()
    text = "\n".join([*printed(report), junit(report).decode()])
    assert OF_CLASSIFIERS.findall(text) == []


def test_a_network_that_finds_nothing_is_warned_of():
    report = of_detector()
    report["reference"] |= {"ap50": 0.021, "ap50_ci95": [0.011, 0.031], "chance": 0.019}
    report["gates"].append(
        {**report["gates"][0], "name": "above_chance", "value": 0.6, "verdict": "fail", "passed": False, "subject": "x"}
    )
    assert warnings_of(report) == [
        "the float network itself reaches AP50 0.021 [0.011, 0.031]; held against the objects of other images it "
        "reaches 0.019. It was trained here: does it need more --epochs, or other images?"
    ]


def test_a_network_of_another_origin_may_be_fed_wrongly():
    report = of_detector()
    report["model"]["trained_here"] = False
    report["reference"] |= {"ap50": 0.021, "ap50_ci95": [0.011, 0.031], "chance": 0.019}
    gate = {"name": "above_chance", "value": 0.6, "verdict": "fail", "passed": False, "subject": "x"}
    report["gates"].append({**report["gates"][0], **gate})
    (line,) = warnings_of(report)
    assert line.endswith(
        "It was fed (byte - 127.5) / 127.5, RGB: does it expect something else (--preprocess, --mean, --scale)? Are "
        "its classes in another order (--classes), or the corners of its boxes (ymin, xmin, ymax, xmax)?"
    )


def test_where_nothing_was_found_nothing_can_be_shared():
    report = of_detector()
    nothing = {"paired": None, "paired_ci95": None, "paired_back": None, "paired_back_ci95": None}
    for pair in (report["pairs"][1], report["paths"][0]["pairs"][0]):
        pair.update(nothing)
    lines = printed(report)
    assert f"{TFLITE} and {ONNX}: neither finds anything with a score of at least 0.3" in lines
    assert f"{TFLITE}, other kernels alike on 20 images: xnnpack/reference find nothing" in lines


def test_what_a_file_says_wrongly_of_itself_is_a_warning():
    report = of_detector()
    report["artifacts"][INT8]["output"]["conflict"] = "its words are not what its tail has"
    report["artifacts"][INT8]["labels_problem"] = "it holds 2 labels for 3 classes"
    assert warnings_of(report) == [
        f"{TFLITE}: its words are not what its tail has",
        f"{TFLITE}: it holds 2 labels for 3 classes",
    ]


def test_media_pipes_detector_takes_the_same_inputs_as_its_classifier():
    report = of_detector()
    report["artifacts"][INT8]["input"]["channel_order"] = "BGR"
    (line,) = warnings_of(report)
    assert line.startswith("MediaPipe's ObjectDetector takes colour images")
    assert line.endswith(f"refuses {TFLITE}; it takes the others")


def test_junit_has_a_case_for_each_gate():
    found = [case.get("name") for case in ElementTree.fromstring(junit(of_detector())).iter("testcase")]
    assert found == ["samples", "ap_drop", "paired", "boxes_inside"]


def test_a_report_is_on_the_task_that_it_names_and_else_on_classifiers():
    assert {task_of(make()) for make in KINDS.values()} == {Task.CLASSIFY}
    assert {task_of(make()) for make in DETECTORS.values()} == {Task.DETECT}
    assert network_title(of_detector()) == "SSD MobileNet v1"
    assert network_title(DETECTORS["verified detector"]()) == "Object detector"


@given(st.floats(-1, 1), st.floats(0, 0.4))
def test_a_precision_is_read_back_within_its_digits(value, width):
    text = precision({"ap": value, "ap_ci95": [value - width, value + width]}, "ap")
    numbers = [float(number) for number in re.findall(r"-?\d\.\d{3}", text)]
    assert numbers == pytest.approx([value, value - width, value + width], abs=0.0005001)
    assert "-0.000" not in text


def test_heads_that_were_cut_on_purpose_are_no_warning():
    tensors = [{"site": name, "clipped": 0.7, "unused_codes": 0} for name in ("input", "conv1_relu", "classes_1")]
    report = of_detector() | {"calibration": {"sites": tensors, "corrections": ["logits"]}}
    (line,) = [line for line in network_warnings(report) if "activation tensors cut" in line]
    assert line.startswith("1 activation tensors cut more than 1% of their values, most of all conv1_relu (70.0%)")
