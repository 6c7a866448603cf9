"""Values of outputs, labels and speed: codes beyond 0..1, reasons that come with a value, a busy machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.verification.gates import GATES, comparing_gates, gate_values
from mbexport.verification.judge import Verdict, judge

FP32, INT8, ONNX = "m_fp32.tflite", "m_int8.tflite", "m_int8.onnx"
NOISE = "too noisy to tell ratios of a few percent: others kept 90% of the cores busy"


def judged(measured, **limits):
    """The gates by name, under the table's limits but for those that are given."""
    return {gate.name: gate for gate in judge(gate_values(measured), limits, defaults={})}


@pytest.mark.parametrize(
    ("codes", "value"),
    [
        ((0, 255 / 256), 0),  # TFLite's own: 1/256 from the first code
        ((0, 0.62), 0),  # calibrated: no probability was larger
        ((-128 / 127, 1), 0),  # evenly around 0, as some quantizers have all tensors
        ((0, 255 / 128), 255 / 128 - 1),  # its scale doubled
        ((-100 / 256, 155 / 256), 100 / 256),  # its zero point 100 codes further
        ((-255 / 128, 255 / 128), 255 / 128 - 1),
    ],
)
def test_codes_of_probabilities_lie_within_0_and_1(entry, found, codes, value):
    gate = judged(found(entry(INT8, codes=codes)))["output_codes"]
    assert gate.value == pytest.approx(value)
    assert gate.verdict is (Verdict.PASS if value == 0 else Verdict.FAIL)


def test_codes_of_logits_may_lie_anywhere(entry, found):
    assert "output_codes" not in judged(found(entry(INT8, codes=(-30, 40), kind="logits")))


@pytest.mark.parametrize(
    ("gate", "bad", "reason"),
    [
        ("labels", {"labels_matched": 0.0, "labels_problem": "it holds 9 labels for 10 scores"}, "it holds 9 labels"),
        ("output_words", {"output_conflict": "its words say 2, its output 1"}, "its words say 2"),
        ("input_words", {"conflict": "its words make 0 .. 1 of bytes"}, "its words make 0 .. 1"),
    ],
)
def test_a_gate_that_fails_says_what_is_known_of_it(entry, found, gate, bad, reason):
    assert judged(found(entry(INT8, **bad)))[gate].reason.startswith(reason)
    assert judged(found(entry(INT8, labels_matched=1.0)))[gate].reason is None


def test_twins_of_other_steps_fail_and_say_which(entry, found):
    measured = found(entry(INT8), entry(ONNX), twins={(INT8, ONNX): 1.0})
    measured["pairs"][0] |= {"max_lsb": None, "conflict": "their outputs have other steps"}
    gate = judged(measured)["twin_lsb"]
    assert (gate.verdict, gate.reason) == (Verdict.FAIL, "their outputs have other steps")


@given(st.floats(0.01, 100), st.floats(0, 0.5), st.booleans())
def test_speed_on_a_busy_machine_is_never_judged(ratio, half, strict):
    from measured_by_hand import artifact_json, measured_json

    speed = {(FP32, INT8): (ratio * (1 - half), ratio * (1 + half))}
    values = gate_values(measured_json(artifact_json(FP32), artifact_json(INT8), speedups=speed, noise=NOISE))
    (gate,) = judge({"int8_speedup": values["int8_speedup"]}, {}, defaults={}, strict=strict)
    assert (gate.verdict, gate.passed, gate.reason) == (Verdict.UNDECIDED, not strict, NOISE)


@pytest.mark.parametrize(
    ("machine", "verdict"),
    [
        ({"noise": NOISE, "noise_of_gates": None}, Verdict.PASS),  # what was noisy was not on one thread
        ({"noise": NOISE, "noise_of_gates": NOISE}, Verdict.UNDECIDED),
        ({"noise": NOISE}, Verdict.UNDECIDED),  # an earlier version's report
        ({"noise": None}, Verdict.PASS),
    ],
)
def test_speed_is_judged_where_the_times_on_one_thread_are_steady(entry, found, machine, verdict):
    measured = found(entry(FP32), entry(INT8), speedups={(FP32, INT8): (1.6, 1.7)})
    del measured["machine"]["noise_of_gates"]
    measured["machine"] |= machine
    assert judged(measured)["int8_speedup"].verdict is verdict


def test_noise_touches_no_other_gate(entry, found):
    files = (entry(FP32), entry(INT8, score_error=0.4), entry(ONNX, labels_matched=0.5))
    quiet, busy = (judged(found(*files, speedups={(FP32, INT8): (0.6, 0.7)}, noise=noise)) for noise in (None, NOISE))
    assert {name for name in quiet if quiet[name] != busy[name]} == {"int8_speedup"}
    assert quiet["int8_speedup"].verdict is Verdict.FAIL


def beside_labels(found, *entries):
    nothing = dict.fromkeys(("top1", "top1_ci95", "top5", "top5_ci95"))
    uncompared = {**dict.fromkeys(("agreement", "agreement_ci95", "score_error", "score_error_ci95", "max_abs_error"))}
    measured = found(*entries, chance=0.1)
    measured["reference"] |= {**nothing, "name": "the labels", "precision": None, "kind": None}
    for entry in measured["artifacts"]:
        entry |= {**uncompared, "difference": None}
    return measured


def test_labels_leave_out_the_gates_that_compare(entry, found):
    values = gate_values(beside_labels(found, entry(FP32), entry(INT8)))
    assert not set(comparing_gates()) & set(values)
    assert set(comparing_gates()) == {"fp32_error", "score_error", "top1_drop", "agreement"}
    assert {"samples", "classes", "above_chance", "int8_convs", "top1", "output_codes", "size_ratio"} <= set(values)


def test_beside_labels_each_file_must_beat_guessing(entry, found):
    gates = judged(beside_labels(found, entry(FP32), entry(INT8, top1=0.12, top1_ci95=(0.08, 0.2))))
    assert (gates["above_chance"].subject, gates["above_chance"].value) == (INT8, pytest.approx(0.8))
    assert gates["above_chance"].verdict is Verdict.FAIL


@pytest.mark.parametrize(("limit", "verdict"), [(0.7, Verdict.PASS), (0.85, Verdict.UNDECIDED), (0.96, Verdict.FAIL)])
def test_top1_is_judged_where_the_user_says_how_good_it_must_be(entry, found, limit, verdict):
    assert GATES["top1"].limit is None
    measured = found(entry(INT8, top1=0.9, top1_ci95=(0.8, 0.95)))
    assert "top1" not in judged(measured)
    assert judged(measured, top1=limit)["top1"].verdict is verdict


def test_top1_without_labels_is_not_measured(entry, found):
    gate = judged(found(entry(INT8), is_labelled=False), top1=0.7)["top1"]
    assert (gate.value, gate.verdict) == (None, Verdict.FAIL)
