"""Twins and kernel paths: which files are twins, and how alike two detectors answer."""

import math

import numpy as np
import pytest
from detection_scenes import changed, scenes

from mbexport.artifact import Precision
from mbexport.models.detection.boxes import Detections
from mbexport.verification.detection.kernel_paths import compare_paths
from mbexport.verification.detection.pairs import pair_of, twin_pairs
from mbexport.verification.detection.resampling import image_samples
from mbexport.verification.statistics import wilson_interval

DRAWN = scenes(1, images=20)


def test_twins_are_of_one_name_and_precision_in_two_runtimes(detector):
    kinds = [
        ("net_int8.tflite", Precision.INT8, "litert"),
        ("net_int8.onnx", Precision.INT8, "onnxruntime"),
        ("net_fp32.tflite", Precision.FP32, "litert"),
        ("net_fp32.onnx", Precision.FP32, "onnxruntime"),
        ("other_int8.onnx", Precision.INT8, "onnxruntime"),
    ]
    files = [
        detector(name=name, table=DRAWN.detections, precision=precision, runtime=runtime)
        for name, precision, runtime in kinds
    ]
    tables = [changed(DRAWN.detections, place, by=1e-4) for place in range(5)]
    found = twin_pairs(files, tables, image_samples(20))
    assert [(pair.a, pair.b) for pair in found] == [
        ("net_int8.tflite", "net_int8.onnx"),
        ("net_fp32.tflite", "net_fp32.onnx"),
    ]
    assert all(pair.paired.kept.value == 1 for pair in found)


@pytest.mark.parametrize("folder", ["", "elsewhere/"])
def test_the_twin_of_raw_heads_is_the_file_of_one_name_that_makes_boxes_of_them(detector, folder):
    kinds = [
        ("net_int8.onnx", Precision.INT8, "onnxruntime", False),
        ("net_int8.tflite", Precision.INT8, "litert", False),
        (f"{folder}net_int8_raw.tflite", Precision.INT8, "litert", True),
        ("net_fp32_raw.tflite", Precision.FP32, "litert", True),
        ("other_raw.tflite", Precision.INT8, "litert", False),  # called so, and gives boxes
    ]
    files = [
        detector(name=name, table=DRAWN.detections, precision=precision, runtime=runtime, is_raw=is_raw)
        for name, precision, runtime, is_raw in kinds
    ]
    found = twin_pairs(files, [DRAWN.detections] * len(files), image_samples(20))
    assert [(pair.a, pair.b) for pair in found] == [
        ("net_int8.onnx", "net_int8.tflite"),
        ("net_int8.tflite", f"{folder}net_int8_raw.tflite"),
    ]


def test_pair_by_hand():
    box = [[0.1, 0.1, 0.5, 0.5]]
    a = [Detections.of(box, [0], [0.9]), Detections.of(box, [0], [0.9]), Detections.of([], [], [])]
    b = [Detections.of(box, [0], [0.9]), Detections.of(box, [1], [0.9]), Detections.of([], [], [])]
    pair = pair_of("a", "b", a, b, image_samples(3))
    assert (pair.alike, pair.alike_ci95) == (2 / 3, wilson_interval(2, 3))
    assert (pair.paired.kept.value, pair.paired.backed.value, pair.paired.score_error) == (0.5, 0.5, 0)


def test_paths_of_one_file_are_compared_on_the_same_images(detector, photos, pixel):
    tables = {"xnnpack": DRAWN.detections, "reference": changed(DRAWN.detections, 0), "again": DRAWN.detections}
    openers = {name: lambda name=name, table=table: detector(name=name, table=table) for name, table in tables.items()}
    found = compare_paths(openers, photos(DRAWN.sizes), pixel, file="a.tflite", most=8)
    assert (found.file, found.images, found.names) == ("a.tflite", 8, ("xnnpack", "reference", "again"))
    assert [(pair.a, pair.b) for pair in found.pairs] == [
        ("xnnpack", "reference"),
        ("xnnpack", "again"),
        ("reference", "again"),
    ]
    other, same, _ = found.pairs
    assert same.paired.kept.value == same.alike == 1
    assert other.alike < 1
    assert same.paired.kept.count == sum(
        int((DRAWN.detections[place].scores >= 0.3).sum()) for place in np.arange(8) * 20 // 8
    )


@pytest.mark.parametrize("count", [0, 1])
def test_few_images_prove_nothing(detector, photos, pixel, count):
    openers = {name: lambda: detector(name="a", table=DRAWN.detections) for name in "ab"}
    (pair,) = compare_paths(openers, photos(DRAWN.sizes[:count]), pixel, file="a.tflite").pairs
    assert math.isnan(pair.alike) if count == 0 else pair.alike_ci95[0] < 0.5
