"""Kernel paths of one file: distances by hand, how many images, and real runtimes that open one file in two ways."""

import math
from functools import partial

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.formats.registry import open_runner
from mbexport.formats.subject import Source, Subject
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.verification.classification.kernel_paths import compare_paths

UINT8_SCORES = Affine(scale=(1 / 256,), zero_point=(0,))


@pytest.fixture
def compared(table_runner, subject, numbered, pixel):
    """Compares tables as paths of one file."""

    def compare(tables, count, *, affine=UINT8_SCORES, kind=Output.SOFTMAX, **given):
        openers = {
            name: partial(subject, table_runner("m_int8.tflite", np.asarray(table), affine), kind)
            for name, table in tables.items()
        }
        return compare_paths(openers, numbered([0] * count), pixel, file="m_int8.tflite", **given)

    return compare


def test_pair_by_hand(compared):
    fast = np.array([[200, 56], [100, 156], [10, 246], [128, 128]], np.uint8)
    slow = np.array([[200, 56], [130, 126], [10, 246], [127, 129]], np.uint8)
    found = compared({"xnnpack": fast, "reference": slow}, 4)
    assert (found.file, found.images, found.names) == ("m_int8.tflite", 4, ("xnnpack", "reference"))
    (pair,) = found.pairs
    assert (pair.a, pair.b, pair.agreement, pair.max_lsb) == ("xnnpack", "reference", 0.5, 30)
    assert pair.max_abs_error == pytest.approx(30 / 256)
    assert pair.agreement_ci95 == pytest.approx((0.1500, 0.8500), abs=5e-5)  # Wilson, 2 of 4


def test_three_paths_make_three_pairs_and_floats_have_no_codes(compared):
    found = compared({name: np.eye(2, dtype=np.float32) for name in "abc"}, 2, affine=None)
    assert [(pair.a, pair.b) for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert {(pair.agreement, pair.max_lsb, pair.max_abs_error) for pair in found.pairs} == {(1.0, None, 0.0)}


def test_nan_fails_closed(compared):
    bad = np.array([[math.nan, 1.0], [0.0, 1.0]], np.float32)
    (pair,) = compared({"a": bad, "b": bad}, 2, affine=None).pairs
    assert pair.agreement == 0.5
    assert math.isnan(pair.max_abs_error)


def test_no_more_images_are_compared_than_the_most(compared):
    tables = {name: np.eye(40, dtype=np.float32) for name in "ab"}
    assert compared(tables, 40, affine=None).images == 40
    assert compared(tables, 40, affine=None, most=7).images == 7
    nothing = compared(tables, 0, affine=None)
    assert nothing.images == 0
    assert math.isnan(nothing.pairs[0].agreement)
    assert nothing.pairs[0].agreement_ci95 == (0.0, 1.0)


def test_two_kernel_paths_of_a_real_file(tmp_path, numbered):
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite_of("float32", codes="int8", affine=Affine(scale=(1 / 128,), zero_point=(0,))))
    preprocess = Preprocess(resolution=Resolution.square(2), crop_fraction=1.0)

    def opened(resolver=None):
        runner = open_runner(path)
        if resolver is not None:
            runner._interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=resolver)
            runner._interpreter.allocate_tensors()
        return Subject(runner=runner, preprocess=preprocess, kind=Output.SIGMOID, source=Source.QUANTIZATION)

    openers = {"xnnpack": opened, "reference": partial(opened, OpResolverType.BUILTIN_REF)}
    found = compare_paths(openers, numbered(range(200)), preprocess, file=path.name)
    (pair,) = found.pairs
    # Both only quantize and look nothing up: there is no rounding in which they could differ.
    assert (found.images, pair.agreement, pair.max_abs_error) == (64, 1.0, 0.0)
