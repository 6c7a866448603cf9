"""Artifacts with the same codes, two by two: which those are, and their distances by hand."""

import math
from pathlib import Path

import numpy as np
import pytest

from mbexport.artifact import Precision
from mbexport.calibration.affine import Affine

UINT8_SCORES = Affine(scale=(1 / 256,), zero_point=(0,))
INT8_SCORES = Affine(scale=(1 / 256,), zero_point=(-128,))


def test_pairs_need_the_same_scale_and_zero_of_their_bytes(table_runner, verified, one_hot):
    codes = np.zeros((1, 3), np.uint8)
    runners = [
        table_runner("a", codes, UINT8_SCORES),
        table_runner("other type", codes.astype(np.int8), INT8_SCORES),
        table_runner("other scale", codes, Affine(scale=(1 / 255,), zero_point=(0,))),
        table_runner("other zero", codes, Affine(scale=(1 / 256,), zero_point=(1,))),
        table_runner("float", one_hot(0)),
        table_runner("b", codes, UINT8_SCORES),
    ]
    found = verified(runners, [0], reference=one_hot(0))
    assert [(pair.a, pair.b) for pair in found.pairs] == [("a", "other type"), ("a", "b"), ("other type", "b")]
    assert [entry.name for entry in found.artifacts] == [runner.name for runner in runners]


def test_codes_of_two_types_are_compared_as_bytes(table_runner, verified, one_hot):
    of_bytes = table_runner("a.tflite", np.array([[200, 0, 255]], np.uint8), UINT8_SCORES)
    of_codes = table_runner("a.onnx", np.array([[71, -128, 127]], np.int8), INT8_SCORES)  # bytes 199, 0, 255
    (pair,) = verified([of_bytes, of_codes], [0], reference=one_hot(0)).pairs
    assert (pair.max_lsb, pair.is_twin, pair.conflict) == (1, True, None)


def test_three_alike_make_three_pairs(table_runner, verified, one_hot):
    runners = [table_runner(name, np.zeros((1, 3), np.uint8), UINT8_SCORES) for name in "abc"]
    found = verified(runners, [0], reference=one_hot(0))
    assert [(pair.a, pair.b) for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_pair_by_hand(table_runner, verified, one_hot):
    a = np.array([[200, 56, 0], [10, 20, 30]], np.uint8)
    b = np.array([[200, 56, 0], [31, 20, 30]], np.uint8)
    runners = [table_runner("a", a, UINT8_SCORES), table_runner("b", b, UINT8_SCORES)]
    (pair,) = verified(runners, [0, 0], reference=one_hot(0, 0)).pairs
    assert (pair.max_lsb, pair.differing_fraction, pair.agreement) == (21, 1 / 6, 0.5)
    assert pair.agreement_ci95 == pytest.approx((0.0945, 0.9055), abs=5e-5)  # Wilson, 1 of 2
    assert pair.lsb.mean == pytest.approx(21 / 6)
    # 22 whole numbers, in at most 20 steps: two in each.
    assert pair.lsb.histogram.edges == tuple(range(0, 24, 2))
    assert pair.lsb.histogram.counts == (1, *[0] * 9, 1)


@pytest.mark.parametrize(
    "outermost", [(np.uint8(0), np.uint8(255), UINT8_SCORES), (np.int8(-128), np.int8(127), INT8_SCORES)]
)
def test_distance_of_the_outermost_codes_does_not_wrap(table_runner, verified, one_hot, outermost):
    low, high, affine = outermost
    runners = [
        table_runner("a", np.array([[low, high]]), affine),
        table_runner("b", np.array([[high, low]]), affine),
    ]
    (pair,) = verified(runners, [0], reference=one_hot(0, count=2)).pairs
    assert (pair.max_lsb, pair.differing_fraction) == (255, 1.0)


@pytest.mark.parametrize(
    ("files", "is_twin"),
    [
        ((("a.tflite", Precision.INT8), ("a.onnx", Precision.INT8)), True),
        ((("a.tflite", Precision.INT8), ("b.tflite", Precision.INT8)), False),
        ((("a.tflite", Precision.INT8), ("a.onnx", Precision.INT16X8)), False),
    ],
)
def test_twins_are_two_formats_of_one_precision(table_runner, verified, one_hot, files, is_twin):
    runners = [table_runner(name, np.zeros((1, 3), np.uint8), UINT8_SCORES) for name, _ in files]
    for runner, (_, precision) in zip(runners, files, strict=True):
        runner.precision = precision
    (pair,) = verified(runners, [0], reference=one_hot(0)).pairs
    assert pair.is_twin is is_twin


@pytest.mark.parametrize(
    ("names", "twins"),
    [
        (["a.tflite", "b.onnx"], [("a.tflite", "b.onnx")]),
        (["a.tflite", "b.tflite"], []),
        (["other.tflite", "a.tflite", "a.onnx"], [("a.tflite", "a.onnx")]),
        (["a.tflite", "b.tflite", "c.onnx"], [("a.tflite", "c.onnx"), ("b.tflite", "c.onnx")]),
        (["a.tflite", "b.tflite", "b.onnx", "a.onnx"], [("a.tflite", "a.onnx"), ("b.tflite", "b.onnx")]),
    ],
)
def test_twins_share_a_stem_where_several_could_be(table_runner, verified, one_hot, names, twins):
    runners = [table_runner(name, np.zeros((1, 3), np.uint8), UINT8_SCORES) for name in names]
    found = verified(runners, [0], reference=one_hot(0))
    assert [(pair.a, pair.b) for pair in found.pairs if pair.is_twin] == twins


@pytest.mark.parametrize(
    "other",
    [
        Affine(scale=(1 / 128,), zero_point=(0,)),  # doubled
        Affine(scale=(1 / 256,), zero_point=(100,)),
        Affine(scale=(1 / 255,), zero_point=(0,)),
        None,
    ],
    ids=["scale", "zero point", "nearly", "floats"],
)
@pytest.mark.parametrize("folders", [("", ""), ("a/", "b/")])
def test_twins_by_name_whose_outputs_have_other_steps_have_no_distance(table_runner, verified, one_hot, other, folders):
    codes = np.array([[200, 56, 0]], np.uint8)
    changed = table_runner(f"{folders[1]}m.onnx", codes if other else one_hot(0), other)
    runners = [table_runner(f"{folders[0]}m.tflite", codes, UINT8_SCORES), changed]
    (pair,) = verified(runners, [0], reference=one_hot(0)).pairs
    assert (pair.is_twin, math.isnan(pair.max_lsb), pair.agreement) == (True, True, 1.0)
    steps = "3 softmax scores of 0.00390625 * (uint8 - 0)"
    assert pair.conflict.startswith(f"their outputs have other steps: {steps} beside 3 softmax scores of ")


@pytest.mark.parametrize("names", [("ours.tflite", "theirs.onnx"), ("net_0.25", "net_0.75")])
def test_files_of_other_names_and_steps_are_no_pair(table_runner, verified, one_hot, names):
    codes = np.zeros((1, 3), np.uint8)
    runners = [
        table_runner("ours.tflite", codes, UINT8_SCORES),
        table_runner("theirs.onnx", codes, Affine(scale=(1 / 255,), zero_point=(0,))),
    ]
    for runner, name in zip(runners, names, strict=True):
        runner.path = Path(name)
    assert verified(runners, [0], reference=one_hot(0)).pairs == ()


def test_twins_of_one_name_are_those_of_one_folder(table_runner, verified, one_hot):
    names = ["a/m.tflite", "b/m.tflite", "a/m.onnx", "b/m.onnx"]
    runners = [table_runner(name, np.zeros((1, 3), np.uint8), UINT8_SCORES) for name in names]
    for runner, name in zip(runners, names, strict=True):
        runner.name = name
    found = verified(runners, [0], reference=one_hot(0))
    twins = [(pair.a, pair.b) for pair in found.pairs if pair.is_twin]
    assert twins == [("a/m.tflite", "a/m.onnx"), ("b/m.tflite", "b/m.onnx")]
