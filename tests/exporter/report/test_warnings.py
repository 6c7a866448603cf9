"""What nobody may overlook: a network that only guesses, images that were left out, answers without labels."""

import io
import json
import math
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mbexport.models.preprocess import CAFFE, MOBILENET, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.report.content import preprocess_json, report_json, to_bytes
from mbexport.report.images import unreadable_json
from mbexport.report.terminal import print_report, print_warnings
from mbexport.report.warnings import warnings_of
from mbexport.verification.gates import gate_values
from mbexport.verification.judge import judge

FP32, INT8, ONNX = "m_fp32.tflite", "m_int8.tflite", "m_int8.onnx"
NO_ACCURACY = {"top1": math.nan, "top1_ci95": (math.nan, math.nan), "top5": math.nan}


@pytest.fixture(scope="session")
def told(entry, found):
    """What is warned of a report on a network whose answers are `reference`."""

    def tell(
        *,
        limits=None,
        bad=(),
        normalization=MOBILENET,
        channels=3,
        tried=None,
        calibration=None,
        health=None,
        qat=None,
        **measured: Any,
    ) -> str:
        preprocess = Preprocess(resolution=Resolution.square(32), normalization=normalization, channels=channels)
        data = {**preprocess_json(preprocess), "unreadable": unreadable_json(bad)}
        measurements = found(entry(FP32), **measured)
        gates = judge(gate_values(measurements), limits or {}, defaults={})
        stream = io.StringIO()
        extra = {"data": data, "tried_normalizations": tried, "calibration": calibration, "health": health, "qat": qat}
        report = report_json(measurements, gates, extra)
        print_warnings(json.loads(to_bytes(report)), stream)
        return stream.getvalue()

    return tell


KNOWING = {"reference": {"top1": 0.5, "top1_ci95": (0.4, 0.6)}, "chance": 0.1}
GUESSING = {"top1": 0.1075, "top1_ci95": (0.0962, 0.12)}


@pytest.fixture(scope="session")
def told_of(entry, found):
    """What is warned of one artifact that is so, beside a reference that is so."""

    def tell(reference=None, **given: Any) -> list[str]:
        measurements = found(entry(INT8, **given), reference=reference)
        data = {**preprocess_json(Preprocess(resolution=Resolution.square(32))), "unreadable": []}
        stream = io.StringIO()
        report = report_json(measurements, judge(gate_values(measurements), {}, defaults={}), {"data": data})
        print_warnings(json.loads(to_bytes(report)), stream)
        return stream.getvalue().splitlines()

    return tell


def test_what_is_wrong_with_one_file_is_told_of_it(told_of):
    assert told_of() == []
    assert told_of(labels_problem="it holds no labels", output_conflict="its words say 2, its output 1") == [
        f"WARNING: {INT8}: its words say 2, its output 1",
        f"WARNING: {INT8}: it holds no labels",
    ]


def test_scores_of_another_kind_than_the_references_are_told(told_of):
    said = f"WARNING: {INT8}: its scores are of another kind than the reference's, logits and not softmax: "
    assert told_of(kind="logits") == [f"{said}apps read them otherwise"]
    assert told_of({"kind": "logits"}, kind="logits") == []
    assert told_of({"kind": None}, kind="logits") == []


def test_beside_labels_it_is_the_file_that_guesses(told_of):
    nothing = {"precision": None, "kind": None, "name": "the labels of eval"}
    (line,) = told_of(nothing, top1=0.11, top1_ci95=(0.09, 0.12))
    assert line.startswith(f"WARNING: {INT8} reaches 11.00% [9.0%, 12.0%]; always giving the most frequent class ")


def test_a_network_that_guesses_is_told_with_what_it_was_fed(told):
    assert told(reference=GUESSING, chance=0.101) == (
        "WARNING: the float network itself reaches 10.75% [9.6%, 12.0%]; always giving the most frequent class "
        "reaches 10.1%. It was fed (byte - 127.5) / 127.5, RGB: does it expect something else (--preprocess, --mean, "
        "--scale)? Are its classes in another order (--classes)?\n"
    )


def test_a_reference_of_integers_is_not_called_float(told):
    said = told(reference={**GUESSING, "precision": "int8", "name": "a_int8.tflite"}, chance=0.101)
    assert said.startswith("WARNING: the reference, a_int8.tflite (int8), reaches 10.75%")


def test_a_grey_network_is_told_of_as_grey(told):
    assert "It was fed (byte - 127.5) / 127.5, grey: does" in told(reference=GUESSING, chance=0.101, channels=1)


def test_order_of_channels_is_told_as_it_was_fed(told):
    said = told(reference=GUESSING, chance=0.101, normalization=CAFFE)
    assert "It was fed (byte - [103.939, 116.779, 123.68]) / 1.0, BGR: does it expect something else" in said


def test_a_network_that_knows_something_is_no_warning(told):
    assert told(reference={"top1": 0.5, "top1_ci95": (0.4, 0.6)}, chance=0.1) == ""


@given(low=st.floats(0, 1), chance=st.floats(0.001, 1))
def test_the_warning_comes_exactly_where_the_gate_fails(entry, found, low, chance):
    measurements = found(entry(FP32), reference={"top1": 1.0, "top1_ci95": (low, 1.0)}, chance=chance)
    gates = judge(gate_values(measurements), {}, defaults={})
    data = {**preprocess_json(Preprocess(resolution=Resolution.square(32))), "unreadable": []}
    stream = io.StringIO()
    print_warnings(report_json(measurements, gates, {"data": data}), stream)
    assert ("float network itself" in stream.getvalue()) is (low / chance < 1)


def test_channels_that_rounding_killed_are_told_by_site(told):
    said = told(health={"killed": {"conv_dw_1_relu": 2, "conv_pw_3_relu": 1}}, **KNOWING)
    assert said == (
        "WARNING: 3 channels are zero on every image in int8 and are not in float: 2 of conv_dw_1_relu, "
        "1 of conv_pw_3_relu\n"
    )


def test_dead_channels_that_float_never_used_are_no_warning(told):
    assert told(health={"dead": {"conv1_relu": 4}, "killed": {}}, **KNOWING) == ""


def test_tensors_that_training_moved_out_of_their_ranges_are_told(told):
    said = told(qat={"unsettled": ["conv1_relu", "conv_pw_3_relu"]}, **KNOWING)
    assert said == "WARNING: training moved 2 activation tensors out of their ranges: conv1_relu, conv_pw_3_relu\n"
    assert told(qat={"unsettled": []}, **KNOWING) == ""


def test_a_limit_of_the_user_moves_the_warning(told):
    fair = {"top1": 0.5, "top1_ci95": (0.4, 0.6)}
    assert "float network itself" in told(limits={"above_chance": 5.0}, reference=fair, chance=0.1)
    assert told(limits={"above_chance": 0.5}, reference=GUESSING, chance=0.101) == ""


def test_other_gates_that_fail_are_no_warning(told):
    assert told(limits={"samples": 1000, "fp32_error": 0}) == ""


def test_images_that_were_left_out_are_counted(told):
    said = told(bad=[("cat/1.jpg", "truncated"), ("cat/2.jpg", "empty")])
    assert said == "WARNING: 2 images cannot be read and were left out; report.json lists them\n"


def test_both_warnings_may_be_needed(told):
    said = told(bad=[("cat/1.jpg", "truncated")], reference=GUESSING, chance=0.101)
    assert said.startswith("WARNING: 1 images cannot be read")
    assert said.count("WARNING: ") == said.count("\n") == 2


def test_model_that_does_better_on_other_numbers_is_told_with_them(told):
    tried = {"samples": 200, "top1": {"mobilenet": 0.25, "unit": 0.75, "caffe": 0.5, "raw": 0.125}}
    assert told(tried=tried) == (
        "WARNING: the model does not say what it expects and was fed (byte - 127.5) / 127.5, RGB, which gave top-1 "
        "25.0% on 200 images; with --preprocess unit it gives 75.0%\n"
    )


def test_model_that_was_taken_to_rescale_bytes_is_told_of_what_does_better(told):
    tried = {"samples": 200, "assumed": "raw", "top1": {"mobilenet": 0.25, "unit": 0.58, "raw": 0.304}}
    assert told(tried=tried) == (
        "WARNING: the model rescales its input, which was taken for bytes, which gave top-1 30.4% on 200 images; with "
        "--preprocess unit it gives 58.0%\n"
    )
    assert told(tried={**tried, "top1": {"unit": 0.58, "raw": 0.54}}) == ""


@pytest.mark.parametrize(
    ("changed", "is_refused"),
    [
        ({}, False),
        ({"mean": [123.7, 116.3, 103.5]}, True),
        ({"std": [58.4, 57.1, 57.4]}, True),
        ({"mean": [127.5] * 3}, False),
        ({"channel_order": "GREY"}, True),
        ({"channel_order": "BGR"}, True),
    ],
)
def test_files_that_mediapipe_refuses_are_named(entry, found, changed, is_refused):
    odd, usual = entry(FP32), entry(INT8)
    odd["input"] |= changed
    report = report_json(found(odd, usual), (), {"data": {"unreadable": []}, "options": {}})
    lines = [line for line in warnings_of(report) if "MediaPipe" in line]
    assert [FP32 in line and INT8 not in line for line in lines] == [True] * is_refused
    others = report_json(found(odd, usual), (), {"data": {"unreadable": []}})
    assert not any("MediaPipe" in line for line in warnings_of(others))  # files that somebody else made


@given(mobilenet=st.integers(0, 200), unit=st.integers(0, 200), raw=st.integers(0, 200))
@example(mobilenet=100, unit=109, raw=0)
@example(mobilenet=100, unit=0, raw=111)
def test_other_numbers_are_told_exactly_where_they_are_clearly_better(told, mobilenet, unit, raw):
    top1 = {"mobilenet": mobilenet / 200, "unit": unit / 200, "raw": raw / 200}
    said = told(tried={"samples": 200, "top1": top1})
    better = max(unit, raw) - mobilenet
    assume(better != 10)  # the limit itself is where floats may round either way
    assert ("--preprocess" in said) is (better > 10)


@pytest.mark.parametrize("limits", [None, {"above_chance": 1.0}])
def test_without_labels_nobody_guesses(told, limits):
    assert told(limits=limits, reference=NO_ACCURACY, chance=math.nan, is_labelled=False) == ""


def test_without_labels_accuracies_are_no_numbers_and_agreement_is_judged(entry, found):
    unlabelled = found(
        entry(FP32, **NO_ACCURACY),
        entry(INT8, agreement=0.5, **NO_ACCURACY),
        entry(ONNX, **NO_ACCURACY),
        reference=NO_ACCURACY,
        chance=math.nan,
        is_labelled=False,
        twins={(INT8, ONNX): 0.75},
    )
    values = gate_values(unlabelled)
    assert {"top1_drop", "above_chance"}.isdisjoint(values)
    told = [values[name][0].value for name in ("agreement", "twin_agreement", "samples")]
    assert told == [0.5, 0.75, 100]
    report = json.loads(to_bytes(report_json(unlabelled, judge(values, {}, defaults={}), {})))
    assert report["passed"] is False
    stream = io.StringIO()
    print_report(report, stream, out=None)
    text = stream.getvalue()
    assert "reference: no labels on 100 images" in text
    assert text.count("no labels") == 4  # the reference and each file
    assert "50.00%" in text
    assert "FAILED: agreement" in text


def site(name, *, clipped=0.0, unused_codes=0):
    return {"site": name, "clipped": clipped, "unused_codes": unused_codes}


def stored(*sites, corrections=()):
    """The calibration of a network whose input is odd, which is nobody's fault, and whose tensors are `sites`."""
    return {"sites": [site("input", clipped=1.0, unused_codes=255), *sites], "corrections": list(corrections)}


def test_tensors_that_are_clipped_are_counted_and_the_worst_is_named(told):
    calibration = stored(site("a", clipped=0.02), site("b", clipped=0.035), site("c", clipped=0.01))
    assert told(calibration=calibration) == (
        "WARNING: 2 activation tensors cut more than 1% of their values, most of all b (3.5%): does --observer minmax "
        "do better?\n"
    )


def test_tensors_that_waste_codes_are_counted_and_the_worst_is_named(told):
    calibration = stored(site("a", unused_codes=193), site("b", unused_codes=192), site("c", unused_codes=200))
    assert told(calibration=calibration) == (
        "WARNING: 2 activation tensors use fewer than 64 of 256 codes on the calibration images, least of all c (56): "
        "does --observer auto do better?\n"
    )


def test_logits_that_were_cut_on_purpose_are_no_warning(told):
    sites = (site("a"), site("logits", clipped=0.2, unused_codes=250))
    assert told(calibration=stored(*sites, corrections=["bias", "logits"])) == ""
    assert told(calibration=stored(*sites, corrections=["bias"])).count("WARNING") == 2


def test_tensors_that_are_stored_well_or_not_at_all_are_no_warning(told):
    assert told(calibration=stored(site("a", clipped=0.01, unused_codes=192))) == ""
    assert told(calibration=None) == ""
