"""The gates of detectors: what each catches, what passes, and what only a classifier has."""

import math

import pytest
from detectors_by_hand import ANCHORS, OUTPUT, TAIL, detector_json, detectors_json
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.models.resolution import Resolution
from mbexport.verification.detection.gates import DETECTION_GATES
from mbexport.verification.gates import (
    GATES,
    NetworkFacts,
    check_limits,
    comparing_gates,
    default_limits,
    gate_values,
    speed_gates,
)
from mbexport.verification.judge import Verdict, all_passed, judge

FLAWLESS = [detector_json(f"net_{kind}") for kind in ("int8.tflite", "int8.onnx", "fp32.tflite", "fp32.onnx")]


TURNED = {"reading": "the labelled classes one higher", "ap50": 0.21}


def judged(measured, limits=None, **options):
    """The verdict of each gate that was judged."""
    values = gate_values(measured, DETECTION_GATES)
    return {gate.name: gate for gate in judge(values, limits or {}, defaults={}, gates=DETECTION_GATES, **options)}


def failed(measured) -> set[str]:
    return {name for name, gate in judged(measured).items() if gate.verdict is Verdict.FAIL}


def small(*names: str, **given) -> dict:
    return detectors_json(*(detector_json(name, **given) for name in names))


def test_flawless_files_pass_every_gate():
    small_int8 = [{**entry, "size_bytes": 280 if "int8" in entry["file"] else 1000} for entry in FLAWLESS]
    gates = judged(
        detectors_json(
            *small_int8,
            twins={},
            paths={},
            speedups={("net_fp32.tflite", "net_int8.tflite"): (1.5, 1.7)},
        )
    )
    without_values = {"ap", "ap50", "labels"}  # without a limit, and without labels in the files
    assert set(gates) == set(DETECTION_GATES) - without_values
    assert {gate.verdict for gate in gates.values()} == {Verdict.PASS}
    assert all_passed(tuple(gates.values()))


@pytest.mark.parametrize(
    ("gate", "measured"),
    [
        ("samples", detectors_json(FLAWLESS[0], reference={"samples": 29})),
        ("distinct_outputs", small("a_int8.tflite", distinct_outputs=4)),
        ("above_chance", detectors_json(FLAWLESS[0], reference={"ap50_ci95": [0.1, 0.2], "chance": 0.11})),
        ("above_chance", detectors_json(FLAWLESS[0], reference={"ap50_ci95": [0.0, 0.2], "chance": 0.0})),
        ("as_labelled", detectors_json(FLAWLESS[0], reference={"ap50_ci95": [0.1, 0.2], "otherwise": TURNED})),
        ("as_labelled", detectors_json(FLAWLESS[0], reference={"ap50_ci95": None, "otherwise": TURNED})),
        ("ap_drop", small("a_int8.tflite", ap_drop=0.03, ap_drop_ci95=[0.02, 0.04])),
        ("ap_drop", small("a_fp16.tflite", ap_drop=None, ap_drop_ci95=None)),
        ("fp32_paired", small("a_fp32.onnx", paired=0.9, paired_ci95=[0.88, 0.92])),
        ("paired", small("a_int8.onnx", paired=0.61, paired_ci95=[0.55, 0.67])),
        ("paired", small("a_int8.onnx", paired_back=0.61, paired_back_ci95=[0.55, 0.67])),
        ("paired", small("a_int8.onnx", paired_back=None, paired_back_ci95=None, paired_back_count=0)),
        ("twin_paired", detectors_json(*FLAWLESS, twins={"paired": 0.9, "paired_ci95": [0.88, 0.92]})),
        ("path_paired", detectors_json(*FLAWLESS, paths={"paired": 0.7, "paired_ci95": [0.6, 0.8]})),
        ("twin_tails", detectors_json(*FLAWLESS, twins={"conflict": "their tails differ: other anchors"})),
        (
            "reference_tail",
            small("a_fp32.onnx", tail={**TAIL, "same_as_reference": False, "conflict": "other anchors"}),
        ),
        ("scores_in_order", small("a_fp32.onnx", ordered=0.97)),
        ("scores_in_order", small("a_fp32.onnx", ordered=None)),
        ("tail_alike", small("a_fp32.onnx", tail={**TAIL, "alike": 0.5, "alike_ci95": [0.4, 0.6]})),
        ("boxes_inside", small("a_fp32.onnx", inside=0.999)),
        ("boxes_inside", small("a_fp32.onnx", inside=None)),
        ("labels", small("a_int8.tflite", labels_matched=0.5, labels_problem="turned round")),
        ("named_precision", small("a_int8.tflite", precision="fp32")),
        ("byte_input", detectors_json({**FLAWLESS[0], "input": {**FLAWLESS[0]["input"], "byte_distance": 2}})),
        ("input_words", small("a_int8.tflite", conflict="its words and its codes differ")),
        ("output_words", small("a_int8.tflite", output={**OUTPUT, "conflict": "x and y"})),
        ("int8_io", small("a_int8.tflite", input="float32")),
        ("int8_convs", small("a_int8.tflite", float_convs=1)),
        ("int8_speedup", detectors_json(*FLAWLESS, speedups={("net_fp32.onnx", "net_int8.onnx"): (0.7, 0.8)})),
        ("size_ratio", detectors_json(*FLAWLESS)),
    ],
)
def test_each_gate_catches_its_fault(gate, measured):
    assert gate in failed(measured)


def test_labels_that_are_read_otherwise_say_so():
    gate = judged(detectors_json(FLAWLESS[0], reference={"ap50_ci95": [0.1, 0.2], "otherwise": TURNED}))["as_labelled"]
    assert gate.reason == "with the labelled classes one higher AP50 would be 0.210"
    assert gate.value == pytest.approx(0.2 / 0.21)
    nothing = {"otherwise": {**TURNED, "ap50": None}}
    assert "as_labelled" not in judged(detectors_json(FLAWLESS[0], reference=nothing))


def test_a_reference_whose_tail_is_not_known_is_no_measure():
    unknown = {**TAIL, "same_as_reference": None}
    assert "reference_tail" not in judged(small("a_fp32.onnx", tail=unknown))
    assert "reference_tail" not in judged(small("a_fp32.onnx", tail=None))


def test_what_nothing_was_found_of_says_so():
    gate = judged(small("a_int8.onnx", paired=None, paired_ci95=None, paired_count=0))["paired"]
    assert gate.reason == "nothing was found with a score of at least 0.3"


def test_a_loss_within_the_interval_is_undecided():
    gate = judged(small("a_int8.tflite", ap_drop=0.006, ap_drop_ci95=[0.001, 0.011]))["ap_drop"]
    assert (gate.verdict, gate.passed) == (Verdict.UNDECIDED, True)


@pytest.mark.parametrize(("upper", "verdict"), [(0.1, Verdict.PASS), (0.11, Verdict.UNDECIDED), (1, Verdict.UNDECIDED)])
def test_objects_without_an_anchor_never_fail_by_themselves(upper, verdict):
    measured = small("a_int8.onnx", anchors={**ANCHORS, "uncovered": 0.9 * upper, "uncovered_ci95": [0.01, upper]})
    assert judged(measured)["anchors_uncovered"].verdict is verdict
    assert judged(measured, strict=True)["anchors_uncovered"].passed is (verdict is Verdict.PASS)


def test_beside_labels_alone_files_are_judged_by_the_objects():
    measured = small("a_int8.tflite")
    measured["reference"] |= {"precision": None, "ap50_ci95": None, "chance": None}
    gates = judged(measured)
    assert not set(comparing_gates(DETECTION_GATES)) & set(gates)
    assert gates["above_chance"].subject == "a_int8.tflite"


def test_limits_of_the_user_hold_for_precisions():
    gates = judged(small("a_fp32.onnx"), {"ap50": 0.75, "ap": 0.5})
    assert (gates["ap50"].verdict, gates["ap"].verdict) == (Verdict.PASS, Verdict.FAIL)


def test_rows_that_mean_the_same_are_the_same_rows():
    shared = {"samples", "labels", "named_precision", "byte_input", "input_words", "int8_convs", "int8_speedup"}
    assert all(DETECTION_GATES[name] is GATES[name] for name in shared)
    both = set(GATES) & set(DETECTION_GATES)
    alike = ("direction", "compares", "narrows_with_images", "is_timed")
    assert all(getattr(GATES[name], field) == getattr(DETECTION_GATES[name], field) for name in both for field in alike)


def test_limits_of_a_network():
    network = NetworkFacts(resolution=Resolution.square(192), fp32_bytes=4 << 20, mult_adds=10**8, has_float_io=True)
    assert default_limits(network, DETECTION_GATES) == {"int8_io": 0.0, "int8_speedup": 1.0, "size_ratio": 0.3425}
    assert default_limits(NetworkFacts(resolution=Resolution.square(192)), DETECTION_GATES) == {}


def test_limits_of_the_other_task_are_refused():
    check_limits({"paired": 0.95}, DETECTION_GATES)
    with pytest.raises(OptionError, match=r"gate must be one of samples, distinct_outputs.*, got agreement"):
        check_limits({"agreement": 0.9}, DETECTION_GATES)
    with pytest.raises(OptionError, match="got paired"):
        check_limits({"paired": 0.95})


def test_only_speedups_are_timed():
    assert speed_gates(DETECTION_GATES) == ("int8_speedup",)


@given(st.sampled_from(sorted(DETECTION_GATES)), st.floats(0, 1e6))
def test_what_is_no_number_passes_no_gate(name, limit):
    values = {name: (DETECTION_VALUE,)}
    (gate,) = judge(values, {name: limit}, defaults={}, gates=DETECTION_GATES)
    assert not gate.passed


DETECTION_VALUE = next(iter(gate_values(small("a_fp32.onnx", inside=math.nan), DETECTION_GATES)["boxes_inside"]))


def test_every_gate_has_a_meaning_and_advice():
    assert all(gate.meaning and gate.advice for gate in DETECTION_GATES.values())
