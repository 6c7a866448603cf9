"""The values that gates compare: each by hand, the worst artifact counts, and numbers that were not measured."""

import json
import math

import pytest

from mbexport.report.content import to_bytes
from mbexport.verification.gates import gate_values
from mbexport.verification.judge import Verdict, judge

FP32, INT8, ONNX = "m_fp32.tflite", "m_int8.tflite", "m_int8.onnx"


def judged(measured):
    """The gates by name, under the table's limits."""
    return {gate.name: gate for gate in judge(gate_values(measured), {}, defaults={})}


def numbers(measured) -> dict[str, float]:
    """The value of each gate: that of the artifact that does worst."""
    return {name: gate.value for name, gate in judged(measured).items()}


def test_values_by_hand(entry, found):
    values = numbers(
        found(
            entry(FP32, size_bytes=1000, max_abs_error=0.0005, int8_convs=0, float_convs=28, distinct_outputs=90),
            entry(INT8, size_bytes=280, top1=0.875, agreement=0.9375, int8_convs=21, float_convs=7),
            entry(ONNX, distinct_outputs=70, labels_matched=0.99),
            reference={"top1": 0.9, "top1_ci95": [0.8, 0.95]},
            chance=0.1,
            twins={(INT8, ONNX): 0.99},
            speedups={(FP32, INT8): (1.5, 1.7)},
        )
    )
    assert values == pytest.approx(
        {
            "samples": 100,
            "classes": 10,
            "distinct_outputs": 70,
            "above_chance": 8.0,
            "fp32_error": 0.0005,
            "score_error": 0.0,
            "top1_drop": 0.025,
            "agreement": 0.9375,
            "twin_agreement": 0.99,
            "twin_lsb": 3,
            "labels": 0.99,
            "named_precision": 1,
            "byte_input": 0,
            "input_words": 1,
            "output_codes": 0,
            "output_words": 1,
            "int8_io": 1,
            "int8_convs": 0.75,
            "int8_speedup": 1.6,
            "size_ratio": 0.28,
        }
    )


def test_values_exist_only_for_what_is_there(entry, found):
    common = {"samples", "classes", "above_chance"}
    assert set(gate_values(found())) == common
    of_files = {"distinct_outputs", "fp32_error", "named_precision", "output_words", "top1"}
    assert set(gate_values(found(entry(FP32)))) == common | of_files


def test_int8_better_than_the_reference_is_a_negative_drop(entry, found):
    assert numbers(found(entry(INT8, top1=0.95), reference={"top1": 0.9}))["top1_drop"] == pytest.approx(-0.05)


def test_probabilities_are_not_held_against_those_of_a_quantized_reference(entry, found):
    measured = found(entry(FP32, max_abs_error=0.4), reference={"precision": "int8"})
    assert "fp32_error" not in gate_values(measured)


WORST = [
    ("fp32_error", {"max_abs_error": 0.5}, "fp32", 0.5),
    ("top1_drop", {"top1": 0.5}, "int8", 0.4),
    ("agreement", {"agreement": 0.5}, "int8", 0.5),
    ("int8_convs", {"int8_convs": 7, "float_convs": 21}, "int8", 0.25),
    ("distinct_outputs", {"distinct_outputs": 2}, "int8", 2),
    ("distinct_outputs", {"distinct_outputs": 2}, "fp32", 2),
    ("int8_io", {"output": "float32"}, "int8", 0),
    ("int8_io", {"input": "float32"}, "int8", 0),
    ("labels", {"labels_matched": 0.0}, "fp32", 0),
    ("score_error", {"score_error": 0.4}, "int8", 0.4),
    ("output_codes", {"codes": (0, 2)}, "int8", 1),
    ("output_words", {"output_conflict": "its words say one thing, its scores another"}, "fp32", 0),
    ("input_words", {"conflict": "its words say one thing, its codes another"}, "int8", 0),
]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("case", WORST, ids=lambda case: f"{case[0]}-{case[2]}")
def test_worst_artifact_counts_and_is_named(entry, found, order, case):
    name, bad, precision, value = case
    pair = [entry(f"m_{precision}.tflite", labels_matched=1.0), entry(f"m_{precision}.onnx", **bad)][::order]
    gate = judged(found(*pair))[name]
    assert gate.value == pytest.approx(value)
    assert gate.subject == f"m_{precision}.onnx"
    assert gate.verdict is Verdict.FAIL


@pytest.mark.parametrize("order", [1, -1])
def test_largest_int8_file_counts_for_the_size(entry, found, order):
    # Two int8 files of one format: `verify` takes any number, and a small one must not excuse a large one.
    sized = [entry("small_int8.tflite", size_bytes=250), entry("large_int8.tflite", size_bytes=900)][::order]
    assert numbers(found(entry(FP32, size_bytes=1000), *sized))["size_ratio"] == pytest.approx(0.9)


def test_files_with_raw_heads_have_the_size_of_their_own_kind(entry, found):
    fp32, int8 = entry("m_fp32_raw.tflite", size_bytes=1000), entry("m_int8_raw.tflite", size_bytes=300)
    for each, precision in ((fp32, "fp32"), (int8, "int8")):
        each |= {"precision": precision, "output": each["output"] | {"raw": True}}
    usual = entry(FP32, size_bytes=500), entry(INT8, size_bytes=125)
    assert numbers(found(*usual, fp32, int8))["size_ratio"] == pytest.approx(0.3)
    assert numbers(found(*usual, int8))["size_ratio"] == pytest.approx(0.25)


def test_slowest_format_and_least_alike_twins_count(entry, found):
    values = numbers(
        found(
            *(entry(name) for name in (FP32, INT8, "m_fp32.onnx", ONNX, "n_int8.onnx")),
            twins={(INT8, ONNX): 0.99, (INT8, "n_int8.onnx"): 0.5, (ONNX, "n_int8.onnx"): 0.1},
            speedups={(FP32, INT8): (1.5, 1.7), ("m_fp32.onnx", ONNX): (0.5, 0.9)},
        )
    )
    assert values["int8_speedup"] == 0.7
    assert values["twin_agreement"] == 0.5  # a pair of one format is no pair of twins


def test_speedups_of_more_threads_are_not_judged(entry, found):
    measured = found(entry(FP32), entry(INT8), speedups={(FP32, INT8): (1.5, 1.7)})
    measured["speedups"] = [*measured["speedups"], measured["speedups"][0] | {"threads": 2, "latency_ratio": 0.5}]
    assert numbers(measured)["int8_speedup"] == 1.6


@pytest.mark.parametrize(
    ("name", "precision", "value"),
    [
        ("m_int8.tflite", "int8", 1),
        ("m_int8.tflite", "fp32", 0),
        ("m_int16x8.tflite", "int16x8", 1),
        ("m_int16x8.tflite", "int8", 0),
        ("m_fp16.tflite", "fp32", 0),
        ("m_int8_raw.tflite", "int8", 1),
        ("m_fp32_raw.tflite", "int8", 0),
    ],
)
def test_a_file_has_the_precision_in_its_name(entry, found, name, precision, value):
    assert numbers(found(entry(name) | {"precision": precision}))["named_precision"] == value


@pytest.mark.parametrize(
    "name", ["m_quant.tflite", "m.tflite", "int8_of_mine.tflite", "m_int8_v2.tflite", "m_raw.tflite"]
)
def test_a_name_without_a_precision_is_not_judged(entry, found, name):
    assert "named_precision" not in gate_values(found(entry(FP32) | {"file": name}))


@pytest.mark.parametrize(("distance", "verdict"), [(0, "pass"), (1, "pass"), (64, "fail"), (None, "fail")])
def test_codes_of_an_input_are_the_bytes_that_apps_feed(entry, found, distance, verdict):
    artifact = entry(INT8)
    artifact["input"]["byte_distance"] = distance
    assert judged(found(artifact))["byte_input"].verdict == verdict


def test_paths_of_every_file_are_judged(entry, found):
    pairs = [{"a": "xnnpack", "b": "builtin", "agreement": 0.75, "agreement_ci95": [0.65, 0.83]}]
    gate = judged(found(entry(INT8), paths=[{"file": INT8, "pairs": pairs}]))["path_agreement"]
    assert (gate.value, gate.subject, gate.passed) == (0.75, f"{INT8}, xnnpack and builtin", False)


def test_compiled_files_are_judged_where_there_are_any(entry, found):
    alike = {"file": "npu/a.onnx", "agreement": 0.75, "agreement_ci95": [0.65, 0.83]}
    failed = {"file": "npu/b.onnx", "agreement": None, "agreement_ci95": None, "failure": "it crashed"}
    assert "npu_agreement" not in judged(found(entry(INT8)))
    gate = judged(found(entry(INT8)) | {"npu": [alike]})["npu_agreement"]
    assert (gate.value, gate.subject, gate.verdict) == (0.75, "npu/a.onnx", "fail")
    gate = judged(found(entry(INT8)) | {"npu": [alike, failed]})["npu_agreement"]
    assert (gate.subject, gate.verdict, gate.reason) == ("npu/b.onnx", "fail", "it crashed")


def test_an_interval_comes_with_its_value(entry, found):
    gate = judged(found(entry(INT8, agreement=0.89, agreement_ci95=(0.85, 0.92))))["agreement"]
    assert (gate.ci95, gate.verdict) == ((0.85, 0.92), Verdict.UNDECIDED)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    "case",
    [
        ("fp32_error", {"max_abs_error": math.nan}, "fp32"),
        ("top1_drop", {"top1": math.nan}, "int8"),
        ("agreement", {"agreement": math.nan}, "int8"),
        ("int8_convs", {"int8_convs": 0, "float_convs": 0}, "int8"),
    ],
    ids=lambda case: case[0],
)
def test_nan_of_one_artifact_is_the_value(entry, found, order, case):
    name, bad, precision = case
    pair = [entry(f"m_{precision}.tflite"), entry(f"m_{precision}.onnx", **bad)][::order]
    gate = judged(found(*pair))[name]
    assert math.isnan(gate.value)
    assert not gate.passed


def test_nan_of_twins_speedups_and_chance_fails(entry, found):
    gates = judged(
        found(
            entry(FP32, size_bytes=4000),
            entry(INT8),
            entry(ONNX),
            chance=math.nan,
            twins={(INT8, ONNX): math.nan},
            speedups={(FP32, INT8): (1.0, math.nan)},
        )
    )
    failed = [name for name, gate in gates.items() if not gate.passed]
    assert failed == ["above_chance", "twin_agreement", "int8_speedup"]


def test_measurements_read_back_from_json_are_judged_alike(entry, found):
    measured = found(entry(FP32), entry(INT8, agreement=math.nan), twins={}, chance=0.2)
    read = json.loads(to_bytes(measured))
    assert [(gate.name, gate.verdict) for gate in judged(measured).values()] == [
        (gate.name, gate.verdict) for gate in judged(read).values()
    ]


def test_without_labels_only_answers_are_judged(entry, found):
    values = gate_values(found(entry(FP32), entry(INT8), is_labelled=False))
    assert {"top1_drop", "above_chance", "classes"}.isdisjoint(values)
    assert {"agreement", "fp32_error", "samples"} <= set(values)
