"""The artifacts of a small build, compared on real digits, as in a report."""

import json
from functools import partial

import numpy as np
import pytest

from mbexport.formats.registry import open_runner
from mbexport.formats.subject import Source, Subject
from mbexport.models.data.open import open_data
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.report.content import to_bytes
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.comparison import verify
from mbexport.verification.classification.kernel_paths import compare_paths
from mbexport.verification.classification.serialize import accuracy_json, pair_json, paths_json
from mbexport.verification.pictures import thumbnails

STEM = "mobilenet_v1_0.25_32"
PREPROCESS = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0)
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def opened(small_build):
    """Opens a file of the build by the end of its name."""

    def opener(kind):
        runner = open_runner(small_build / f"{STEM}_{kind}")
        return Subject(runner=runner, preprocess=PREPROCESS, kind=Output.SOFTMAX, source=Source.OPTION)

    return opener


@pytest.fixture(scope="module")
def digits():
    return open_data("digits").evaluation(0).subset(np.arange(150))


def test_build_is_compared_with_its_float_file(opened, digits):
    subjects = [opened(kind) for kind in ("fp32.onnx", "int8.tflite", "int8.onnx")]
    reference = Baseline.of(opened("fp32.tflite"))
    found = verify(subjects, digits, PREPROCESS, reference=reference)
    fp32, tflite, onnx = found.artifacts
    assert (fp32.agreement, fp32.difference.mcnemar_p) == (1.0, 1.0)
    assert fp32.max_abs_error < 1e-4
    assert fp32.lsb is None
    assert tflite.agreement > 0.9
    assert 0 < tflite.max_abs_error < 0.5
    assert tflite.lsb.largest == pytest.approx(tflite.max_abs_error * 256, rel=1e-3)
    assert (found.classes_seen, fp32.samples) == (10, 150)
    assert [(pair.a, pair.b, pair.is_twin, pair.max_lsb) for pair in found.pairs] == [(tflite.name, onnx.name, True, 0)]
    assert verify(subjects, digits, PREPROCESS, reference=reference, batch=7, workers=1) == found
    said = json.loads(to_bytes({"all": [accuracy_json(one, DIGITS) for one in found.artifacts]}))["all"]
    assert [len(one["per_class"]) for one in said] == [10, 10, 10]
    assert pair_json(found.pairs[0])["lsb_histogram"] == {"edges": [0, 1], "counts": [150]}
    disputed = [[one["image"] for one in entry["disagreements"]["worst"]] for entry in said]
    assert set(thumbnails(disputed, digits)) == {name for names in disputed for name in names}


def test_one_path_twice_is_one_path(opened, digits):
    openers = {name: partial(opened, "int8.tflite") for name in ("xnnpack", "again")}
    said = paths_json(compare_paths(openers, digits, PREPROCESS, file=f"{STEM}_int8.tflite"))
    (pair,) = said["pairs"]
    assert (said["images"], pair["agreement"], pair["max_lsb"], pair["max_abs_error"]) == (64, 1.0, 0, 0.0)
    assert pair["agreement_ci95"][0] == pytest.approx(64 / (64 + 1.959963984540054**2))
