"""report.json and the tables that are printed of it."""

import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.preprocess import CAFFE, MOBILENET, Normalization, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.report.content import preprocess_json, report_json, stages_json, to_bytes
from mbexport.report.images import unreadable_json
from mbexport.report.terminal import print_report
from mbexport.verification.judge import judge
from mbexport.verification.measured_values import Value

FP32, INT8, ONNX = "m_fp32.tflite", "m_int8.tflite", "m_int8.onnx"
# DESIGN, section 4: what users' scripts read.
ARTIFACT_FIELDS = {
    *("file", "format", "precision", "runtime", "size_bytes", "sha256", "samples", "top1", "top1_ci95"),
    *("top5", "agreement", "max_abs_error", "latency_ms", "kernels"),
}
PAIR_FIELDS = {"a", "b", "agreement", "max_lsb", "differing_fraction", "latency_ratio", "latency_ratio_ci95"}


def strict(content: bytes):
    """JSON as the standard has it: Python's own NaN and Infinity are refused."""

    def refuse(word: str):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(content, parse_constant=refuse)


@pytest.fixture
def report(entry, found):
    """A report on two twins and an fp32 file; keyword arguments go to the int8 file's entry."""

    def make(values=None, name=INT8, **int8):
        measured = found(
            entry(FP32),
            entry(name, **int8),
            entry(ONNX),
            twins={(name, ONNX): 0.75},
            speedups={(FP32, name): (1.4, 1.6)},
        )
        known = {"agreement": 0.95, "top1_drop": 0.0} if values is None else values
        gates = judge({name: (Value(value=value),) for name, value in known.items()}, {}, defaults={})
        return report_json(measured, gates, {"model": {"name": "m"}, "data": {"name": "d"}})

    return make


def test_has_the_fields_of_the_contract(report):
    read = strict(to_bytes(report()))
    assert read["schema"] == 1
    assert {"schema", "model", "data", "artifacts", "pairs", "gates", "passed"} <= set(read)
    assert all(set(entry) >= ARTIFACT_FIELDS for entry in read["artifacts"])
    assert all(set(pair) >= PAIR_FIELDS for pair in read["pairs"])
    assert all(set(gate) >= {"name", "value", "limit", "passed"} for gate in read["gates"])
    assert set(read["artifacts"][0]["latency_ms"]) >= {"p50", "p90", "p99"}
    assert set(read["artifacts"][0]["kernels"]) >= {"int8_convs", "float_convs"}


def test_says_what_was_measured(report):
    read = strict(
        to_bytes(report(top1=0.8125, top5=0.96875, agreement=0.75, size_bytes=123, int8_convs=27, float_convs=1))
    )
    int8 = read["artifacts"][1]
    assert (int8["file"], int8["format"], int8["precision"]) == (INT8, "tflite", "int8")
    assert (int8["top1"], int8["top5"], int8["agreement"], int8["samples"]) == (0.8125, 0.96875, 0.75, 100)
    assert (int8["top1_ci95"], int8["max_abs_error"]) == ([0.8, 0.95], 0.0)
    assert (int8["size_bytes"], int8["kernels"]["int8_convs"], int8["kernels"]["float_convs"]) == (123, 27, 1)
    pair = read["pairs"][0]
    assert (pair["a"], pair["b"], pair["agreement"], pair["max_lsb"], pair["is_twin"]) == (INT8, ONNX, 0.75, 3, True)
    assert (pair["latency_ratio"], pair["latency_ratio_ci95"]) == (1.5, [1.4, 1.6])
    assert read["reference"]["chance"] == 0.1


def test_verdict_is_that_of_the_gates(report):
    assert report()["passed"] is True
    assert report({"agreement": 0.5, "top1_drop": 0.0})["passed"] is False
    assert report({})["passed"] is False


def test_what_is_not_a_number_becomes_null(report):
    read = strict(to_bytes(report({"agreement": math.nan}, max_abs_error=math.inf)))
    assert read["gates"][0]["value"] is None
    assert read["gates"][0]["passed"] is False
    assert read["artifacts"][1]["max_abs_error"] is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_everything_is_strict_json_and_finite_values_survive(value):
    read = strict(to_bytes(value))

    def alike(before, after) -> bool:
        if isinstance(before, float) and not math.isfinite(before):
            return after is None
        if isinstance(before, dict):
            return before.keys() == after.keys() and all(alike(before[key], after[key]) for key in before)
        if isinstance(before, list):
            return len(before) == len(after) and all(map(alike, before, after))
        return before == after

    assert alike(value, read)


def test_labels_stay_readable():
    assert "Gänseblümchen".encode() in to_bytes({"label": "Gänseblümchen"})


def test_stages_are_rounded_to_what_they_are_worth():
    assert stages_json([("train", 1.26, False), ("verify", 0.0, True)]) == [
        {"name": "train", "seconds": 1.3, "reused": False},
        {"name": "verify", "seconds": 0.0, "reused": True},
    ]


def test_report_says_whether_there_were_labels(entry, found):
    unlabelled = found(entry(FP32, top1=math.nan), chance=math.nan, is_labelled=False)
    read = strict(to_bytes(unlabelled))
    assert (read["reference"]["labelled"], read["reference"]["chance"]) == (False, None)
    assert found(entry(FP32))["reference"]["labelled"] is True


@pytest.mark.parametrize(
    ("normalization", "mean", "std", "order"),
    [
        (MOBILENET, 127.5, 127.5, "RGB"),
        (CAFFE, [103.939, 116.779, 123.68], 1.0, "BGR"),
        (Normalization(mean=(1, 1, 1), std=(1, 2, 4)), 1, [1, 2, 4], "RGB"),
    ],
)
def test_pixels_are_told_with_one_number_where_all_channels_have_the_same(normalization, mean, std, order):
    told = preprocess_json(Preprocess(resolution=Resolution.square(32), crop_fraction=0.5, normalization=normalization))
    assert told == {"crop_fraction": 0.5, "mean": mean, "std": std, "channel_order": order}


def test_a_grey_network_is_fed_one_channel():
    told = preprocess_json(Preprocess(resolution=Resolution.square(32), channels=1))
    assert told["channel_order"] == "GREY"


def test_images_that_were_left_out_are_told_with_the_reason():
    assert unreadable_json([("cat/1.jpg", "it is truncated")]) == [{"file": "cat/1.jpg", "reason": "it is truncated"}]
    assert unreadable_json(()) == []


def printed(report, **named) -> str:
    stream = io.StringIO()
    print_report(json.loads(to_bytes(report)), stream, out=None, **named)
    return stream.getvalue()


def test_table_shows_each_file_each_gate_and_the_verdict(report):
    text = printed(report(agreement=0.9375))
    for expected in (FP32, INT8, ONNX, "93.75%", "28 of 28", "agreement", ">= 0.9", "<= 0.02"):
        assert expected in text
    assert text.rstrip().endswith("PASSED")


def test_says_where_the_best_epoch_was_chosen_on_the_images_themselves(report):
    told = report()
    assert "best epoch" not in printed(told)
    told["data"]["best_epoch_chosen_on_test"] = True
    assert "the best epoch was chosen on these images" in printed(told)


def test_failed_gate_is_named_with_its_meaning(report):
    text = printed(report({"agreement": 0.5}))
    assert "FAIL" in text
    assert "FAILED: agreement (images that an artifact of less than fp32 answers as the reference does)" in text


def test_unmeasured_gate_is_printed_as_such(report):
    text = printed(report({"agreement": math.nan}))
    assert "not measured" in text
    assert "PASSED" not in text


def test_printed_json_is_the_report(report):
    wanted = report()
    assert json.loads(printed(wanted, as_json=True)) == strict(to_bytes(wanted))


def test_file_name_with_brackets_is_printed_as_it_is(report):
    # Words in brackets are colours to the library that prints the table.
    name = "net[bold]_int8.tflite"
    text = printed(report(name=name))
    assert text.count(name) == 3  # the table, the pair, the speed-up
