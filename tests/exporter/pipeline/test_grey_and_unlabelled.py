"""Artifacts that take grey images, and images without labels, from files to a verdict."""

import math

import numpy as np
import pytest
from PIL import Image

from mbexport.errors import DataError
from mbexport.formats.matching import match
from mbexport.formats.registry import open_runner
from mbexport.formats.subject import Subject
from mbexport.latency.sittings import fixed_effort
from mbexport.models.data.open import DataSet, ImageSet
from mbexport.models.facts import Output
from mbexport.models.preprocess import CAFFE, MOBILENET, RAW, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.pipeline.bench_files import bench_files
from mbexport.pipeline.verify_files import VerifyOptions, verify_files
from mbexport.progress import Silent
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.measure import MeasureOptions, measure_all
from mbexport.verification.gates import gate_values
from mbexport.verification.judge import all_passed, judge

PX, CLASSES = 4, 3
GREY = (1, PX, PX, 1)


def images_of(*bytes_: int, labels: tuple[int, ...] = ()) -> ImageSet:
    """One image of a single grey a byte."""
    return ImageSet(
        labels=np.array(labels or [0] * len(bytes_), np.int64),
        names=tuple(map(str, bytes_)),
        read=lambda i: Image.new("RGB", (8, 8), (bytes_[i],) * 3),
    )


def data_of(images: ImageSet) -> DataSet:
    return DataSet(
        name="greys",
        class_names=("a", "b", "c"),
        fingerprint="greys",
        is_photos=False,
        split=lambda _seed: (images, images),
        evaluation=lambda _seed: images,
        contents=lambda: "greys",
    )


@pytest.fixture
def grey_network(colour_network, tmp_path):
    """A network that multiplies the mean of a grey image with -1, 0 and 1."""

    def write(name: str):
        return colour_network(tmp_path / name, classes=CLASSES, shape=GREY)

    return write


def subject_of(path, normalization=MOBILENET) -> Subject:
    pixels = Preprocess(resolution=Resolution.square(PX), channels=1)
    return match(open_runner(path), pixels=pixels, given=normalization, classes=CLASSES, background=False)


@pytest.fixture
def measured(grey_network):
    """Measurements of two equal networks on images; the reference is a third, or answers as `scores` say."""

    def measure(images: ImageSet, *, is_labelled: bool, scores=None):
        subjects = [subject_of(grey_network(name)) for name in ("a_fp32.onnx", "b_fp32.onnx")]
        baseline = Baseline.of(subject_of(grey_network("c_fp32.onnx")))
        if scores:
            baseline = Baseline(name="scores", kind=Output.LOGITS, scores=scores)
        asked = MeasureOptions(labels=("a", "b", "c"), is_timed=False, is_labelled=is_labelled)
        pixels = Preprocess(resolution=Resolution.square(PX), channels=1)
        return measure_all(subjects, images, pixels, baseline, asked, progress=Silent()).measured

    return measure


def test_grey_network_by_hand(grey_network):
    subject = subject_of(grey_network("a.onnx"), RAW)
    luma = subject.preprocess.pixels(Image.new("RGB", (8, 8), (255, 0, 0)))
    # ITU-R 601-2: 0.299 of red is 76.2
    assert (luma.shape, int(luma[0, 0, 0])) == ((PX, PX, 1), 76)
    assert subject.raw(luma[None]).tolist() == [[-76, 0, 76]]


def test_grey_networks_are_measured(measured):
    # Darker than 127.5 is answered with the first class, brighter with the last.
    found = measured(images_of(0, 100, 200, 255, labels=(0, 0, 2, 0)), is_labelled=True)
    reference = found["reference"]
    assert reference["top1"] == 0.75
    assert [entry["top1"] for entry in found["artifacts"]] == [0.75, 0.75]
    assert (reference["chance"], reference["labelled"], reference["classes_seen"]) == (0.75, True, 2)


def test_without_labels_nothing_is_said_of_truth(measured):
    found = measured(images_of(*range(0, 256, 5), labels=(0,) * 52), is_labelled=False)
    assert not found["reference"]["labelled"]
    for told in (found["reference"], *found["artifacts"]):
        assert math.isnan(told["top1"])
        assert math.isnan(told["top5"])
        assert told["top1_ci95"] is None
    assert [(entry["samples"], entry["agreement"]) for entry in found["artifacts"]] == [(52, 1.0), (52, 1.0)]
    assert math.isnan(found["reference"]["chance"])
    values = gate_values(found)
    assert set(values) == {"samples", "distinct_outputs", "fp32_error", "named_precision", "output_words"}
    assert all_passed(judge(values, {}, defaults={}))


def test_without_labels_a_reference_that_answers_otherwise_fails(measured):
    def scores(pixels):
        return np.tile(np.float32([0, 1, 0]), (len(pixels), 1))

    found = measured(images_of(*range(0, 256, 5)), is_labelled=False, scores=scores)
    assert [entry["agreement"] for entry in found["artifacts"]] == [0.0, 0.0]
    assert not all_passed(judge(gate_values(found), {}, defaults={}))


def test_folders_of_unlabelled_images_are_no_classes(measured):
    # More folders than scores: without labels they only tell pictures apart.
    found = measured(images_of(0, 255, labels=(7, 9)), is_labelled=False)
    assert found["reference"]["samples"] == 2


def verified(*files, data: DataSet, **given):
    defaults = {"normalization": MOBILENET, "max_bad": 0.01, "limits": {}, "latency": False}
    return verify_files(VerifyOptions(files=files, **{**defaults, **given}), data, out=None, progress=Silent())


def test_verify_feeds_a_grey_network_grey(grey_network):
    report = verified(grey_network("a_fp32.onnx"), data=data_of(images_of(0, 100, 200, 255, labels=(0, 0, 2, 2))))
    assert report["artifacts"][0]["top1"] == 1.0
    assert (report["data"]["mean"], report["data"]["channel_order"]) == (127.5, "GREY")


def test_verify_feeds_what_the_user_says(grey_network):
    # Raw bytes are never below zero: the last class wins everywhere but in black.
    images = images_of(0, 100, 200, 255, labels=(0, 0, 2, 2))
    report = verified(grey_network("a_fp32.onnx"), data=data_of(images), normalization=RAW)
    assert report["artifacts"][0]["top1"] == 0.75
    assert (report["data"]["mean"], report["data"]["std"]) == (0.0, 1.0)


@pytest.mark.parametrize("order", [1, -1])
def test_verify_refuses_grey_beside_colour(grey_network, colour_network, tmp_path, order):
    colour = colour_network(tmp_path / "colour_fp32.onnx", classes=CLASSES, shape=(1, PX, PX, 3))
    files = [grey_network("grey_fp32.onnx"), colour][::order]
    with pytest.raises(DataError, match=r"all artifacts must take images of one kind, got . channel\(s\) beside ."):
        verified(*files, data=data_of(images_of(0, 255, labels=(0, 2))))


def test_verify_refuses_colours_for_a_grey_network(grey_network):
    with pytest.raises(DataError, match="a grey image has one mean, one std and no order of channels"):
        verified(grey_network("a_fp32.onnx"), data=data_of(images_of(0, 255)), normalization=CAFFE)


def test_bench_times_grey_and_colour_side_by_side(grey_network, colour_network, tmp_path):
    colour = colour_network(tmp_path / "colour.onnx", classes=CLASSES, shape=(1, PX, PX, 3))
    effort = fixed_effort(3, warmup=0)
    found = bench_files([grey_network("grey.onnx"), colour], threads=1, effort=effort, batch=1, progress=Silent())
    assert [entry["file"] for entry in found["artifacts"]] == ["grey.onnx", "colour.onnx"]
    assert all(entry["latency_ms"]["runs"] == 3 for entry in found["artifacts"])
